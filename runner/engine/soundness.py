"""Whether an LMDB file is what LMDB left, found out without LMDB.

LMDB trusts its file: touching a page that is cut off kills the process (SIGBUS), and so may a page that is
not of the tree. So a file is read like any other before it is opened.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

import lmdb.verify

from .errors import DamagedError

_META = struct.Struct("=40xI84xQQQ")
LONG_HEAD = struct.Struct("=QHHI")
"""What the first page of a long value begins with: its number, -, flags, how many pages it takes."""
OVERFLOW = 0x04
"""Their flags."""


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

    Reads the beginning of every page, but for those that a long value goes on in: a microsecond each. Pages
    that are free again may look wrong, which costs a ``check``.
    """
    page_size, pages, _ = read_meta(path)
    number = 0
    with path.open("rb") as file:
        while number < pages:
            file.seek(number * page_size)
            found, _, flags, count = LONG_HEAD.unpack(
                file.read(LONG_HEAD.size).ljust(LONG_HEAD.size, b"\xff")
            )
            if found != number:
                break
            number += max(count, 1) if flags == OVERFLOW else 1
    if number != pages or path.stat().st_size < pages * page_size:
        check(path)


def check(path: Path) -> None:
    """Raise DamagedError if the structure of the file is damaged; for a file that nobody writes.

    Takes 2 seconds per million entries. Of values it sees how long they are, not what they hold.
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
    except lmdb.verify.VerifyError as error:
        return str(error)
    return problems[0] if problems else _cut_value(path)


def _cut_value(path: Path) -> str | None:
    """Whether the end of a long value is cut off: LMDB's own check looks at its first page only."""
    meta = read_meta(path)
    pages = path.stat().st_size // meta.page_size
    with path.open("rb") as file:
        for number in range(pages if pages < meta.pages else 0):
            file.seek(number * meta.page_size)
            found, _, flags, count = LONG_HEAD.unpack(file.read(LONG_HEAD.size))
            if found == number and flags == OVERFLOW and number + count > pages:
                return f"the value on page {number} is cut off"
    return None


class Meta(NamedTuple):
    """What a file says of itself: size of a page, number of pages, number of the root page."""

    page_size: int
    pages: int
    root: int


def read_meta(path: Path) -> Meta:
    """The newer of the two meta pages that a file begins with. Raises DamagedError."""
    with path.open("rb") as file:
        first = file.read(_META.size)
        if len(first) < _META.size or not 256 <= (page_size := _META.unpack(first)[0]) <= 1 << 15:
            raise DamagedError(path, "it does not begin as an LMDB file does")
        file.seek(page_size)
        second = file.read(_META.size)
    if len(second) < _META.size:
        raise DamagedError(path, "it is cut off")
    _, root, last, _ = max(map(_META.unpack, (first, second)), key=lambda meta: int(meta[-1]))
    return Meta(page_size, last + 1, root)
