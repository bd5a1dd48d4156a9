"""Tables of text: csv as the standard library reads it, tsv where a line is a row whatever it holds."""

import csv
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ..errors import ListError
from ..manifest import Row
from .columns import carried_columns, distinct, url_column
from .lines import CutLine, read_lines
from .options import ListOptions
from .places import printable
from .records import MAX_RECORD, NOT_UTF8, make_row, malformed
from .values import plain

# What a table with one column may be divided by in truth.
_NOT_CSV = (";", "\t", "|")
_NOT_TSV = (",", ";", "|")

_is_json = re.compile(r'\s*(\{\s*("|$)|\[\s*([\["{]|$))').match

_START = 100  # bytes of a record that are looked at when it is none


class _Record(NamedTuple):
    """The fields of a record; or how it begins, and why it has none. Its line is where it begins."""

    line: int
    fields: list[str]
    error: str | None = None


def read_csv(stream: BinaryIO, name: str, options: ListOptions) -> Iterator[Row | None]:
    """Yield a row for each record behind the head, None for a blank line.

    A record may go over several lines, in quotation marks. One that is malformed (quotation marks that do
    not match, another number of fields than the head, bytes that are not UTF-8) is an invalid item.
    """
    return _rows(_csv_records(stream), name, options, _NOT_CSV)


def read_tsv(stream: BinaryIO, name: str, options: ListOptions) -> Iterator[Row | None]:
    """The same of a table with tabs, where a record is a line.

    Quotation marks around a field, with those inside doubled, are taken off; others are part of it.
    """
    return _rows(_tsv_records(stream), name, options, _NOT_TSV)


def _rows(
    records: Iterator[_Record], name: str, options: ListOptions, others: tuple[str, ...]
) -> Iterator[Row | None]:
    head = next((record for record in records if record.fields or record.error), None)
    if head is None:
        return
    names = _names(head, name, options.url_col, others)
    url_at, carried = _choose(names, name, options)
    width = len(names)
    for line, fields, error in records:
        if error is None and len(fields) == width > 1:
            columns = {column: plain(fields[at]) for at, column in carried}
            yield make_row(fields[url_at], columns, name, line, options.digest)
        elif error is None and not "".join(fields).strip() and len(fields) < 2:
            yield None
        elif error is None and len(fields) == width:
            yield make_row(fields[0], {}, name, line)
        else:
            count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            yield malformed(error or f"{count} where the head names {width}", name, line)


def _choose(names: list[str], name: str, options: ListOptions) -> tuple[int, list[tuple[int, str]]]:
    """Where the URL is, and where what is carried, with its name."""
    url = url_column(names, options, name)
    carried = carried_columns(names, url, options, name)
    return names.index(url), [(names.index(column), as_named) for column, as_named in carried.items()]


def _names(head: _Record, name: str, url_col: str | None, others: tuple[str, ...]) -> list[str]:
    """The names of the columns. Raises ListError if the first line is no head."""
    if _is_json(head.fields[0] if head.fields else ""):
        raise ListError(f"{name} is no table: it looks like JSON, so name it .json or .jsonl")
    if head.error:
        raise ListError(f"{name} is no table: its first line has {head.error}")
    names = [field.strip() for field in head.fields]
    for each in names:
        if each.lower().startswith(("http://", "https://")):
            raise ListError(
                f"{name} begins with a URL, {printable(each[:200])}, where the names of its columns should "
                "be: write them on a line before it, or read it with --input-format txt"
            )
    for delimiter in others:
        if len(names) == 1 and delimiter in names[0] and names[0] != url_col:
            raise ListError(
                f"{name} seems to be divided by {delimiter!r} and not as its name says: "
                "write it with commas as .csv, or with tabs as .tsv"
            )
    return distinct(names)


class _Lines:
    """Text lines for a csv reader; says of those that it has given since ``begin`` what is wrong with them.

    It raises for a record that grows too long: the reader begins anew behind that line.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._lines = read_lines(stream, MAX_RECORD)
        self._size = 0
        self.number = 0
        self.start = ""
        self.undecodable = False

    def begin(self) -> None:
        self._size = 0
        self.start = ""
        self.undecodable = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self._size += line.length if isinstance(line, CutLine) else len(line)
        self.start = self.start or line[:_START].decode("utf-8", "replace")
        if self._size > MAX_RECORD:
            raise csv.Error(f"more than {MAX_RECORD} bytes")
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError:
            self.undecodable = True
            return line.decode("utf-8", "replace") + "\n"


def _csv_records(stream: BinaryIO) -> Iterator[_Record]:
    lines = _Lines(stream)
    # strict: quotation marks that do not match are an error where they are, and not silently the end of
    # all records up to the next one.
    reader = csv.reader(lines, strict=True)
    while True:
        lines.begin()
        first = lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Record(first, [lines.start], str(error))
            continue
        yield _Record(first, fields, NOT_UTF8 if lines.undecodable else None)


def _tsv_records(stream: BinaryIO) -> Iterator[_Record]:
    for number, line in enumerate(read_lines(stream, MAX_RECORD), start=1):
        if isinstance(line, CutLine):
            yield _Record(number, [], f"more than {MAX_RECORD} bytes")
            continue
        try:
            text = line.decode().rstrip("\r")
        except UnicodeDecodeError:
            yield _Record(number, [], NOT_UTF8)
            continue
        fields = text.split("\t") if text.strip() else []
        yield _Record(number, [_unquoted(field) for field in fields] if '"' in text else fields)


def _unquoted(field: str) -> str:
    inside = field[1:-1]
    quoted = len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inside.replace('""', "")
    return inside.replace('""', '"') if quoted else field
