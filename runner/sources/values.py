"""Values of columns, turned into JSON values of bounded size: the same one for the same value, always."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

MAX_VALUE = 1 << 16
"""Characters of a text, or of the JSON of a list or object. Of a longer one only its length is kept."""

_MAX_DEPTH = 32


def plain(value: Any) -> Any:
    """The value as JSON has it.

    NaN and infinities are null, dates and times ISO 8601, durations seconds, decimals their digits as
    text, bytes text if they are UTF-8 and hexadecimal digits if not. Half a surrogate pair is "?".
    """
    kind = type(value)
    if kind is str:
        return _text(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping | list | tuple):
        return _nested(value)
    if kind is timedelta:
        return value.total_seconds()
    return _text(_from_table(value))


def _text(text: str) -> str:
    if len(text) > MAX_VALUE:
        return f"[text of {len(text)} characters]"
    if not text.isascii():
        return text.encode("utf-8", "replace").decode()
    return text


def _from_table(value: Any) -> Any:
    """A value that JSON does not know, as text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)


def _nested(value: Any) -> Any:
    try:
        found = _converted(value, _MAX_DEPTH)
        length = len(json.dumps(found))
    except RecursionError:
        return f"[{_MAX_DEPTH} values and more in each other]"
    return found if length <= MAX_VALUE else f"[value of {length} characters]"


def _converted(value: Any, depth: int) -> Any:
    if not depth:
        raise RecursionError
    if isinstance(value, Mapping):
        return {_text(str(name)): _converted(each, depth - 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_converted(each, depth - 1) for each in value]
    return plain(value)
