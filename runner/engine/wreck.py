"""A damaged LMDB file, read page by page without LMDB: nothing in it can end the process that reads it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .closing import Closing
from .errors import DamagedError
from .pages import (
    BRANCH,
    HEAD,
    LEAF,
    LONG,
    LONG_HEAD,
    NO_PAGE,
    NODE,
    NUMBER,
    OVERFLOW,
    TABLE,
    TABLE_RECORD,
    PageFile,
    Table,
    children,
    nodes_in,
    read_meta,
)

_USUAL_PAGE_SIZE = 4096


class Entry(NamedTuple):
    """A key, and where in the file its value is."""

    key: bytes
    flags: int
    offset: int
    length: int

    def part(self, offset: int, length: int) -> "Entry":
        """A part of the value, as far as it is there."""
        return self._replace(offset=self.offset + offset, length=max(0, min(length, self.length - offset)))


class Wreck(Closing):
    """What can still be read of a file. What is found may itself be damaged: check it."""

    def __init__(self, path: Path) -> None:
        try:
            meta = read_meta(path)
            page_size, self._root = meta.page_size, meta.tables.root
        except DamagedError:
            page_size, self._root = _USUAL_PAGE_SIZE, NO_PAGE
        self._file = PageFile(path, page_size)

    def scan(self) -> Iterator[Entry]:
        """The entries of every leaf page, of all tables, also of pages that are no longer in use."""
        for number in range(self._file.pages):
            yield from self._entries(number)

    def long_values(self) -> Iterator[Entry]:
        """The values that have pages of their own, to the end of the last; without their keys."""
        for number in range(self._file.pages):
            at = number * self._file.page_size
            found, _, flags, count = LONG_HEAD.unpack(self._file.read(at, LONG_HEAD.size))
            if found == number and flags == OVERFLOW:
                yield Entry(b"", LONG, at + HEAD.size, count * self._file.page_size - HEAD.size)

    def walk(self, table: str) -> Iterator[Entry]:
        """The entries of a table, as of the last commit; what is below a damaged page is left out."""
        for entry in self._below(self._root):
            if entry.key == table.encode() and entry.flags & TABLE:
                record = self.read(entry)
                if len(record) == TABLE_RECORD.size:
                    yield from self._below(Table.unpack(record).root)

    def read(self, entry: Entry) -> bytes:
        """The value of an entry, as far as it is there."""
        return self._file.read(entry.offset, entry.length)

    def _below(self, root: int) -> Iterator[Entry]:
        pending, seen = [root], set()
        while pending:
            number = pending.pop()
            if number not in seen:
                seen.add(number)
                branch = self._file.page(number, BRANCH)
                pending += children(nodes_in(branch)) if branch else []
                yield from self._entries(number)

    def _entries(self, number: int) -> Iterator[Entry]:
        page = self._file.page(number, LEAF) or bytes(HEAD.size)
        for at, (length, flags, width) in nodes_in(page):
            value = at + NODE.size + width
            offset = number * self._file.page_size + value
            if flags & LONG:
                first = int.from_bytes(page[value : value + NUMBER.size], sys.byteorder)
                offset = first * self._file.page_size + HEAD.size
            if offset <= self._file.size:
                yield Entry(page[at + NODE.size : value], flags, offset, length)

    def close(self) -> None:
        self._file.close()
