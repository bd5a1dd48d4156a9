"""Whether an LMDB file is what LMDB left, found out without LMDB.

LMDB trusts its file: touching a page that is cut off kills the process (SIGBUS), and so may a page that is
not of the tree. So a file is read like any other before it is opened.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import lmdb.verify

from .errors import DamagedError
from .pages import (
    BRANCH,
    HEAD,
    LEAF,
    LONG,
    LONG_HEAD,
    META,
    METAS,
    NO_PAGE,
    NODE,
    NUMBER,
    OVERFLOW,
    TABLE,
    TABLE_RECORD,
    Meta,
    Node,
    PageFile,
    Table,
    children,
    nodes_in,
    read_meta,
    read_metas,
)

_MAGIC = 0xBEEFC0DE
_VERSION = 1
_DEEPEST = 32  # tree that LMDB takes


def check_length(path: Path) -> None:
    """Raise DamagedError if pages are cut off. Takes microseconds; safe while the file is written."""
    size = path.stat().st_size
    if not size:
        return  # made by one that was killed before it wrote anything
    # Pages at the end that are free again were perhaps never written: only then may the file be shorter.
    meta = read_meta(path)
    if size < meta.page_size * meta.pages:
        check(path)


def check_pages(path: Path) -> None:
    """Raise DamagedError if a whole page is not what belongs there; for a file that nobody writes.

    For those who want little of a large file: reads the beginning of every page, but for those that a long
    value goes on in: a microsecond each. Pages that are free again may look wrong, which costs a
    ``check_readable``.
    """
    meta = read_meta(path)
    number = 0
    with PageFile(path, meta.page_size) as file:
        cut_off = file.pages < meta.pages
        while number < meta.pages and not cut_off:
            found, _, flags, count = LONG_HEAD.unpack(file.read(number * meta.page_size, LONG_HEAD.size))
            if found != number:
                break
            number += max(count, 1) if flags == OVERFLOW else 1
    if number != meta.pages:
        check_readable(path)


def check(path: Path) -> None:
    """Raise DamagedError if the structure of the file is damaged; for a file that nobody writes.

    This is what to do before writing into it: pages that are free count too. Takes 2 seconds per million
    entries. Of values it sees how long they are, not what they hold.
    """
    problem = find_damage(path)
    if problem:
        raise DamagedError(path, problem)


def find_damage(path: Path) -> str | None:
    """The first thing wrong with the structure of a file that nobody writes; None if it is sound."""
    if not path.stat().st_size:
        return None
    try:
        problems: list[str] = lmdb.verify.verify(os.fspath(path), subdir=False)  # type: ignore[no-untyped-call]
        if problems:
            return problems[0]
        check_readable(path)  # as the former looks only at the first page of a long value
    except lmdb.verify.VerifyError as error:
        return str(error)
    except DamagedError as error:
        return error.problem
    return None


def check_readable(path: Path) -> None:
    """Raise DamagedError if LMDB cannot read the file safely; for a file that nobody writes.

    Looks at the pages of the trees alone, since those are all that LMDB goes by then, and whether what they
    tell of is within them, or a long value within the file.
    """
    if path.stat().st_size:
        meta = _sound_meta(path)
        with PageFile(path, meta.page_size) as file:
            _Walk(path, file, min(meta.pages, file.pages)).tables(meta.tables)


def _sound_meta(path: Path) -> Meta:
    metas = read_metas(path)
    for number, meta in enumerate(metas):
        told = meta.number, meta.flags, meta.magic, meta.version, meta.page_size
        # LMDB takes the one of even age to be the first.
        parity = number if meta.age else 0
        if told != (number, META, _MAGIC, _VERSION, metas[0].page_size) or meta.age % METAS != parity:
            raise DamagedError(path, f"meta page {number} is damaged")
    return read_meta(path)


class _Walk:
    """One look at every page of the trees of a file. Raises DamagedError."""

    def __init__(self, path: Path, file: PageFile, pages: int) -> None:
        self._path = path
        self._file = file
        self._pages = pages
        self._seen = bytearray(pages)

    def tables(self, tables: Table) -> None:
        """Every table of the table of tables."""
        for page, nodes in self._leaves(tables):
            for at, (length, flags, width) in nodes:
                value = at + NODE.size + width
                if flags != TABLE or length != TABLE_RECORD.size or value + length > len(page):
                    self._fail("it has something other than tables")
                self._table(Table.unpack(page[value : value + length]))

    def _table(self, table: Table) -> None:
        entries = 0
        for page, nodes in self._leaves(table):
            self._check_values(page, nodes)
            entries += len(nodes)
        if entries != table.entries:
            self._fail(f"a table has {entries} entries, and tells of {table.entries}")

    def _check_values(self, page: bytes, nodes: list[Node]) -> None:
        room = len(page) - NODE.size
        # In most pages no node has a flag: a flag counts here as if it went beyond the page.
        if max([at + width + length + flags * room for at, (length, flags, width) in nodes]) > room:
            for at, (length, flags, width) in nodes:
                value = at + NODE.size + width
                if flags == LONG:
                    there = self._has_long_value(page[value : value + NUMBER.size], length)
                else:
                    there = not flags and value + length <= len(page)
                if not there:
                    self._fail("a value is not where it should be")

    def _has_long_value(self, number: bytes, length: int) -> bool:
        pages = -(-(HEAD.size + length) // self._file.page_size)
        first: int = NUMBER.unpack(number)[0] if len(number) == NUMBER.size else NO_PAGE
        return METAS <= first <= self._pages - pages

    def _leaves(self, table: Table) -> Iterator[tuple[bytes, list[Node]]]:
        """The leaf pages of a table, and the nodes in each."""
        if table.flags or table.depth > _DEEPEST or (table.root == NO_PAGE) != (table.depth == 0):
            self._fail("the record of a table is damaged")
        pending = [(table.root, table.depth)] if table.depth else []
        while pending:
            number, depth = pending.pop()
            if depth == 1:
                yield self._page(number, LEAF, fewest=1)
            else:
                page, nodes = self._page(number, BRANCH, fewest=2)
                if any(at + NODE.size + width > len(page) for at, (_, _, width) in nodes):
                    self._fail(f"a key of page {number} is not where it should be")
                pending += [(child, depth - 1) for child in children(nodes)]

    def _page(self, number: int, kind: int, fewest: int) -> tuple[bytes, list[Node]]:
        page = self._file.page(number, kind) if METAS <= number < self._pages else None
        if page is None or self._seen[number]:
            self._fail(f"page {number} is not what its tree takes it for")
        self._seen[number] = 1
        nodes = nodes_in(page)
        _, _, _, end, begin = HEAD.unpack_from(page)
        if len(nodes) < fewest or end != HEAD.size + 2 * len(nodes) or not end <= begin <= len(page):
            self._fail(f"page {number} has not the nodes that it tells of")
        return page, nodes

    def _fail(self, problem: str) -> NoReturn:
        raise DamagedError(self._path, problem)
