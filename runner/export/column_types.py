"""The columns that the rows of a list bring along, and the one type that each has in a table.

A list may hold anything in any row. In a table a column has one type: that which fits all rows of the job, or
else it is text, with each value written as JSON. All rows count, kept or not, so that other filters do not
change the type.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ..manifest import read_rows
from .metadata import OWN_COLUMNS, REPEATS, Line, carried

TEXT, INTEGER, FLOAT, BOOLEAN, JSON = "string", "int64", "float64", "bool", "json"

Columns = dict[str, str]
"""Name in an export -> one of the above, in the order in which the lists have them."""

Features: TypeAlias = "Sequence[tuple[str, str | Features]]"
"""Names and types as the Hugging Face `datasets` call them; that of an object is those of its fields."""

_OWN = {str: TEXT, int: INTEGER}
# Up to here a float holds every integer; up to there an int64 does.
_MAX_EXACT = 1 << 53
_MAX_LONG = 1 << 63
_LONG = "long"


def columns_of(manifests: Iterable[Path], repeats: bool = False) -> Columns:
    """All columns of an export: its own, those of the lists, and what repeats carried, if they did."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for path in manifests:
        for row in read_rows(path):
            for name, value in carried(row.columns).items() if row.columns else ():
                kinds[name].add(_kind(value))
    own = {name: _OWN[kind] for name, kind in OWN_COLUMNS.items()}
    theirs = {name: _common(found - {""}) for name, found in kinds.items()}
    return own | theirs | ({REPEATS: JSON} if repeats else {})


def _kind(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return BOOLEAN
        case int():
            return INTEGER if abs(value) <= _MAX_EXACT else _LONG if -_MAX_LONG <= value < _MAX_LONG else JSON
        case float():
            return FLOAT
        case str():
            return TEXT
    return JSON


def _common(kinds: set[str]) -> str:
    if not kinds:
        return TEXT
    if kinds <= {INTEGER, _LONG}:
        return INTEGER
    if kinds == {INTEGER, FLOAT}:
        return FLOAT
    return kinds.pop() if len(kinds) == 1 else JSON


def cell(value: Any, kind: str) -> Any:
    """A value as its column wants it; None stays what it is."""
    if value is None:
        return None
    if kind == JSON:
        value = json.dumps(value, ensure_ascii=False)
    if kind == FLOAT:
        return float(value)
    return clean(value) if isinstance(value, str) else value


def clean(text: str) -> str:
    """Without half surrogate pairs, which are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def row_of(line: Line, columns: Mapping[str, str]) -> list[Any]:
    """A line as a row of a table."""
    return [cell(line.get(name), kind) for name, kind in columns.items()]
