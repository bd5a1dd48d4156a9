"""A damaged LMDB file, read page by page without LMDB: nothing in it can end the process that reads it.

The layout is that of LMDB 0.9. A page begins with its number; a leaf page holds nodes of a key and a value,
where a long value is in pages of its own; a branch page holds the numbers of the pages below it.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .closing import Closing
from .errors import DamagedError
from .soundness import LONG_HEAD, OVERFLOW, read_meta

_HEAD = struct.Struct("=QHHHH")  # number, -, flags, end of the list of nodes, -
_NODE = struct.Struct("=HHHH")  # low and high half of the value's length, flags, length of the key
_ROOT = struct.Struct("=40xQ")  # of the record of a table
_BRANCH, _LEAF = 0x01, 0x02
_LONG, _TABLE = 0x01, 0x02  # of a node: the value is a page number; the value is the record of a table
_NO_PAGE = (1 << 64) - 1
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
        self._file = path.open("rb")
        self._size = path.stat().st_size
        try:
            self._page_size, _, self._root = read_meta(path)
        except DamagedError:
            self._page_size, self._root = _USUAL_PAGE_SIZE, _NO_PAGE

    def scan(self) -> Iterator[Entry]:
        """The entries of every leaf page, of all tables, also of pages that are no longer in use."""
        for number in range(self._size // self._page_size):
            yield from self._entries(number)

    def long_values(self) -> Iterator[Entry]:
        """The values that have pages of their own, to the end of the last; without their keys."""
        for number in range(self._size // self._page_size):
            at = number * self._page_size
            self._file.seek(at)
            found, _, flags, count = LONG_HEAD.unpack(self._file.read(LONG_HEAD.size))
            if found == number and flags == OVERFLOW:
                yield Entry(b"", _LONG, at + _HEAD.size, count * self._page_size - _HEAD.size)

    def walk(self, table: str) -> Iterator[Entry]:
        """The entries of a table, as of the last commit; what is below a damaged page is left out."""
        for entry in self._below(self._root):
            if entry.key == table.encode() and entry.flags & _TABLE:
                yield from self._below(_ROOT.unpack(self.read(entry).ljust(_ROOT.size, b"\xff"))[0])

    def read(self, entry: Entry) -> bytes:
        """The value of an entry, as far as it is there."""
        self._file.seek(entry.offset)
        return self._file.read(min(entry.length, self._size))

    def _below(self, root: int) -> Iterator[Entry]:
        pending, seen = [root], set()
        while pending:
            number = pending.pop()
            if number not in seen:
                seen.add(number)
                pending += self._children(number)
                yield from self._entries(number)

    def _children(self, number: int) -> list[int]:
        nodes = self._nodes(number, _BRANCH)
        return [low | high << 16 | flags << 32 for _, _, (low, high, flags, _) in nodes]

    def _entries(self, number: int) -> Iterator[Entry]:
        for page, at, (low, high, flags, width) in self._nodes(number, _LEAF):
            key = page[at + _NODE.size : at + _NODE.size + width]
            inside = at + _NODE.size + width
            offset = number * self._page_size + inside
            if flags & _LONG:
                offset = int.from_bytes(page[inside : inside + 8], "little") * self._page_size + _HEAD.size
            if offset <= self._size:
                yield Entry(key, flags, offset, low | high << 16)

    def _nodes(self, number: int, kind: int) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
        """(page, position in it, fields) of each node, if this is a page of that kind."""
        if (number + 1) * self._page_size > self._size:
            return
        self._file.seek(number * self._page_size)
        page = self._file.read(self._page_size)
        found, _, flags, end, _ = _HEAD.unpack_from(page)
        if found != number or flags != kind or end > self._page_size:
            return
        for (at,) in struct.iter_unpack("=H", page[_HEAD.size : end - end % 2]):
            if at + _NODE.size <= self._page_size:
                yield page, at, _NODE.unpack_from(page, at)

    def close(self) -> None:
        self._file.close()
