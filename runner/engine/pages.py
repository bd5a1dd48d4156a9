"""How LMDB 0.9 lays a file out, read without LMDB: nothing in a file can end the process that reads it so.

A file begins with two meta pages, of which the newer counts. A table is a tree of pages. Each begins with its
number and the places of its nodes: in a leaf a key and a value, where a long value is in pages of its own; in
a branch the number of a page below it, and the lowest key that may be there, but for the first. Numbers are
as this machine has them in memory, with 64 bits where LMDB has a word: so LMDB itself reads and writes them.
"""

import os
import struct
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, Self

from .closing import Closing
from .errors import DamagedError

HEAD = struct.Struct("=QHHHH")
"""What a page begins with: its number, -, flags, end of the places of its nodes, begin of the nodes."""
LONG_HEAD = struct.Struct("=QHHI")
"""The same of the first page of a long value: its number, -, flags, how many pages it takes."""
NODE = struct.Struct("=IHH")
"""A node: length of its value, flags (both in a branch: a page), length of its key, which follows."""
NUMBER = struct.Struct("=Q")
"""Of a page, where it is a value."""
BRANCH, LEAF, OVERFLOW, META = 0x01, 0x02, 0x04, 0x08
"""Flags of a page."""
LONG, TABLE = 0x01, 0x02
"""Flags of a node: the value is a page number; the value is the record of a table."""
NO_PAGE = (1 << 64) - 1
METAS = 2

_PLACE = struct.Struct("=H")
_META = struct.Struct("=Q2xH4xII16x48s48sQQ")


class Table(NamedTuple):
    """The record of a table; ``page_size`` stands only in that of the free pages."""

    page_size: int
    flags: int
    depth: int
    branches: int
    leaves: int
    long_pages: int
    entries: int
    root: int

    @classmethod
    def unpack(cls, record: bytes) -> Self:
        return cls._make(TABLE_RECORD.unpack(record))


TABLE_RECORD = struct.Struct("=IHHQQQQQ")


class Meta(NamedTuple):
    """What a file says of itself; ``tables`` is the table of its tables, ``age`` counts its commits."""

    number: int
    flags: int
    magic: int
    version: int
    free: Table
    tables: Table
    last_page: int
    age: int

    @property
    def page_size(self) -> int:
        return self.free.page_size

    @property
    def pages(self) -> int:
        """How many pages the file has, as far as they were ever written."""
        return self.last_page + 1

    @classmethod
    def unpack(cls, page: bytes) -> Self:
        number, flags, magic, version, free, tables, last_page, age = _META.unpack(page)
        return cls(number, flags, magic, version, Table.unpack(free), Table.unpack(tables), last_page, age)


def read_metas(path: Path) -> tuple[Meta, Meta]:
    """The two meta pages, with a page size that is possible. Raises DamagedError."""
    with path.open("rb") as file:
        first = file.read(_META.size)
        if len(first) < _META.size or not 256 <= (page_size := Meta.unpack(first).page_size) <= 1 << 15:
            raise DamagedError(path, "it does not begin as an LMDB file does")
        file.seek(page_size)
        second = file.read(_META.size)
    if len(second) < _META.size:
        raise DamagedError(path, "it is cut off")
    return Meta.unpack(first), Meta.unpack(second)


def read_meta(path: Path) -> Meta:
    """The newer of the two. Raises DamagedError."""
    return max(read_metas(path), key=lambda meta: meta.age)


Node = tuple[int, tuple[int, int, int]]
"""Where it is in its page, and what it begins with."""


def nodes_in(page: bytes) -> list[Node]:
    """The nodes that begin within the page, in the order of their keys."""
    end = min(HEAD.unpack_from(page)[3], len(page))
    last = len(page) - NODE.size
    places = [at for (at,) in _PLACE.iter_unpack(page[HEAD.size : end - end % 2]) if at <= last]
    return list(zip(places, map(NODE.unpack_from, repeat(page), places), strict=True))


def children(nodes: list[Node]) -> list[int]:
    """The numbers of the pages that the nodes of a branch name."""
    return [low | high << 32 for _, (low, high, _) in nodes]


class PageFile(Closing):
    """A file, page by page."""

    def __init__(self, path: Path, page_size: int) -> None:
        self._file = path.open("rb", buffering=0)
        self.size = path.stat().st_size
        self.page_size = page_size

    @property
    def pages(self) -> int:
        """How many whole pages there are."""
        return self.size // self.page_size

    def page(self, number: int, kind: int) -> bytes | None:
        """A page, if it is there and of that kind."""
        if number >= self.pages:
            return None
        page = self.read(number * self.page_size, self.page_size)
        found, _, flags, _, _ = HEAD.unpack_from(page)
        return page if (found, flags) == (number, kind) else None

    def read(self, offset: int, length: int) -> bytes:
        """Any bytes of it, as far as they are there."""
        return os.pread(self._file.fileno(), min(length, self.size), offset)

    def close(self) -> None:
        self._file.close()
