"""Which URLs were seen before, and where: 20 bytes for each of many, most of it in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .urls import digest

if TYPE_CHECKING:
    from .digesttable import DigestTable

NEW = -1
"""Stands for "seen before: never"."""

_DIGEST_BYTES = 16
# So many URLs are looked up in a dict: of a short list it is done before numpy would be loaded.
FEW = 10_000


class SeenUrls:
    """The URLs seen so far, equal in the sense of ``urls.normal_form``, numbered from 0 as they came.

    It keeps 128-bit BLAKE2b digests. For two different URLs to be taken for equal, the chance is 1 in 10^24
    in a list of 10 million. Beyond a million URLs the memory stays what it is: what is more goes to files
    without a name in ``folder`` (or where the system has such files). ``add`` raises OSError when they
    cannot be written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._few: dict[bytes, int] = {}
        self._many: DigestTable | None = None

    def __len__(self) -> int:
        return len(self._few if self._many is None else self._many)

    def add(self, urls: Sequence[str]) -> list[int]:
        """Add a block of URLs; return for each the number of the equal one before it, or ``NEW``.

        Those that are new get the next numbers, in their order; the others get none. A block of thousands
        costs about 2 µs per URL.
        """
        digests = [digest(url, _DIGEST_BYTES) for url in urls]
        if self._many is None and len(self._few) + len(digests) <= FEW:
            return [self._find_or_add(each) for each in digests]
        return self._table().add_all(digests)

    def _find_or_add(self, wanted: bytes) -> int:
        before = self._few.get(wanted, NEW)
        if before == NEW:
            self._few[wanted] = len(self._few)
        return before

    def _table(self) -> "DigestTable":
        if self._many is None:
            from .digesttable import DigestTable

            self._many = DigestTable(self._folder)
            self._many.add_all(list(self._few))
            self._few = {}
        return self._many
