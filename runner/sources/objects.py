"""JSON: an array of objects or URLs (json), or one of them a line (jsonl)."""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from ..errors import ListError
from ..manifest import Row
from .columns import carried_columns, name_in_job, url_column
from .lines import CutLine, read_lines
from .options import ALL, ListOptions
from .places import printable
from .records import MAX_RECORD, NOT_UTF8, make_row, malformed
from .values import plain

# The columns are those of the first records: so many of them, or so many bytes.
_FIRST_RECORDS = 100
_FIRST_BYTES = MAX_RECORD
# What ijson gets at a time, in bytes. It remembers a path of names for each level of nesting, so the levels
# that open and do not close are counted between blocks, and may be a block's more than allowed.
_BLOCK = 1 << 12
_MAX_DEPTH = 100


class _Record(NamedTuple):
    """What one record holds, if there is no error, and its size in bytes (about). Blank: None and size 0."""

    line: int
    value: Any
    size: int
    error: str | None = None


def read_jsonl(stream: BinaryIO, name: str, options: ListOptions) -> Iterator[Row | None]:
    """Yield a row for each line that is an object, or a URL in quotation marks; None for a blank one.

    What is neither, or no JSON, is an invalid item.
    """
    return _rows(_lines(stream), name, options)


def read_json(stream: BinaryIO, name: str, options: ListOptions) -> Iterator[Row | None]:
    """The same for each element of an array; the number of an element counts as its line.

    What is no JSON ends the list: behind it nobody can tell where the next element begins.
    """
    return _rows(_elements(stream, name), name, options)


def _rows(records: Iterator[_Record], name: str, options: ListOptions) -> Iterator[Row | None]:
    first = _first(records)
    if first and all(record.error for record in first):
        raise ListError(f"{name} is not JSON, one object a line: line {first[0].line} is {first[0].error}")
    objects = [record.value for record in first if isinstance(record.value, dict)]
    choice = _choose(objects, name, options) if objects or (first and options.naming_columns()) else None
    for line, value, size, error in chain(first, records):
        if error is not None:
            yield malformed(error, name, line)
        elif isinstance(value, dict):
            choice = choice or _choose([value], name, options)
            yield make_row(value.get(choice.url), choice.columns(value), name, line, options.digest)
        elif isinstance(value, str):
            yield make_row(value, {}, name, line)
        elif size:
            yield malformed("neither an object nor a text", name, line)
        else:
            yield None


class _Choice(NamedTuple):
    """The key of the URL, the keys of what is carried, each with its name in the job, and whether all are."""

    url: str
    carried: dict[str, str]
    all: bool

    def columns(self, value: dict[str, Any]) -> dict[str, Any]:
        if self.all:
            keys = {key: self.carried.get(key) or name_in_job(plain(key)) for key in value if key != self.url}
        else:
            keys = {key: as_named for key, as_named in self.carried.items() if key in value}
        return {as_named: plain(value[key]) for key, as_named in keys.items()}


def _choose(objects: list[dict[str, Any]], name: str, options: ListOptions) -> _Choice:
    """What is taken of objects like these."""
    names = list(dict.fromkeys(key for each in objects for key in each))
    url = url_column(names, options, name)
    carried = carried_columns(names, url, options, name)
    return _Choice(url, {key: plain(as_named) for key, as_named in carried.items()}, options.columns == ALL)


def _first(records: Iterator[_Record]) -> list[_Record]:
    first: list[_Record] = []
    size = 0
    for record in records:
        first.append(record)
        size += record.size
        if len(first) == _FIRST_RECORDS or size >= _FIRST_BYTES:
            break
    return first


def _lines(stream: BinaryIO) -> Iterator[_Record]:
    for number, line in enumerate(read_lines(stream, MAX_RECORD), start=1):
        size = len(line)
        if isinstance(line, CutLine):
            yield _Record(number, None, size, f"more than {MAX_RECORD} bytes")
            continue
        try:
            text = line.decode().strip()
            yield _Record(number, json.loads(text), size) if text else _Record(number, None, 0)
        except UnicodeDecodeError:
            yield _Record(number, None, size, NOT_UTF8)
        except RecursionError:
            yield _Record(number, None, size, "JSON nested too deeply")
        except ValueError as error:
            yield _Record(number, None, size, f"no JSON ({error})")


def _elements(stream: BinaryIO, name: str) -> Iterator[_Record]:
    import ijson

    source = _Metered(stream)
    if not _is_array(source, name):
        return
    number = 1
    try:
        for value in ijson.items(source, "item", buf_size=_BLOCK):
            yield _Record(number, _with_floats(value), source.restart())
            number += 1
    except ijson.IncompleteJSONError as error:
        raise ListError(
            f"{name} is cut off or damaged, or no JSON, from element {number} on: {_one_line(error)}"
        ) from error
    except (ijson.JSONError, ValueError, OverflowError) as error:
        raise ListError(f"{name} is no JSON from element {number} on: {_one_line(error)}") from error
    except _TooLargeError:
        raise ListError(
            f"element {number} of {name} has more than {MAX_RECORD} bytes, or lists in lists without end: "
            "leave it out"
        ) from None


def _with_floats(value: Any) -> Any:
    """Decimals as floats. To have ijson make them would leave out what is too long for a C integer."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _with_floats(each) for name, each in value.items()}
    return [_with_floats(each) for each in value] if isinstance(value, list) else value


def _one_line(error: Exception) -> str:
    # What is wrong; yajl also tells the text around it, and points at it in a third line.
    what, _, more = str(error).strip().partition("\n")
    around = more.partition("\n")[0].strip()
    return what[:200] + (f" Here: {printable(around)}" if around else "")


def _is_array(source: "_Metered", name: str) -> bool:
    """False for a list of nothing. Raises ListError if it is something else."""
    head = source.begin()
    if head.startswith(b"{"):
        raise ListError(
            f"{name} is a JSON object and not an array: if it has one object a line, "
            "read it with --input-format jsonl; else take the array out of it"
        )
    if head and not head.startswith(b"["):
        raise ListError(f"{name} is no JSON array: it begins with {head[:20].decode('utf-8', 'replace')!r}")
    return bool(head)


class _TooLargeError(Exception):
    """An element does not end, or goes deeper and deeper."""


class _Metered:
    """A stream that measures what is read of it for one element, and gives no more than one may have."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._head = b""
        self._read = 0
        self._depth = 0

    def begin(self) -> bytes:
        """What comes first, without white space."""
        while not self._head and (data := self._stream.read(_BLOCK)):
            self._head = data.lstrip()
        return self._head

    def restart(self) -> int:
        """An element is complete: its size, about."""
        size, self._read, self._depth = self._read, 0, 0
        return max(size, 1)

    def read(self, size: int) -> bytes:
        if self._read > MAX_RECORD + _BLOCK or self._depth > _MAX_DEPTH:
            raise _TooLargeError
        data, self._head = self._head[:size], self._head[size:]
        data = data or self._stream.read(size)
        self._read += len(data)
        self._depth += data.count(b"[") + data.count(b"{") - data.count(b"]") - data.count(b"}")
        return data
