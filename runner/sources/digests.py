"""Digests as lists have them: hexadecimal digits, perhaps behind the name of the algorithm."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from .columns import name_in_job
from .options import DigestColumn

_is_hexadecimal = re.compile("[0-9a-f]+").fullmatch


def digest_of(columns: Mapping[str, Any], column: DigestColumn) -> str | None:
    """What these columns of a row have for a digest, in lower case; None if there is nothing."""
    value = columns.get(name_in_job(column.column))
    text = "" if value is None else str(value).strip().lower()
    return text.removeprefix(f"{column.algorithm}:").strip() or None


def is_digest(text: str, algorithm: str) -> bool:
    """True if these can be the lower-case digits of such a digest."""
    return len(text) == 2 * digest_size(algorithm) and _is_hexadecimal(text) is not None


@cache  # asked for every row of a list
def digest_size(algorithm: str) -> int:
    """Bytes of the algorithm's digests."""
    return hashlib.new(algorithm, usedforsecurity=False).digest_size
