"""The columns of a list beside our own fields: in `ls --json` and in every export."""

from collections.abc import Callable, Collection
from typing import Any

SUFFIX = "_in_list"


def merge(
    own: dict[str, Any],
    columns: dict[str, Any],
    reserved: Collection[str] = (),
    is_taken: Callable[[str], bool] = lambda name: False,  # noqa: ARG005
) -> dict[str, Any]:
    """Our fields, then the columns. One whose name is ours, or reserved, or taken, is ``NAME_in_list``."""
    merged = dict(own)
    for column, value in columns.items():
        name = column
        while name in own or name in reserved or is_taken(name) or (name != column and name in columns):
            name += SUFFIX
        merged[name] = value
    return merged
