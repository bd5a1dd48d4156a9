"""Which URLs were seen before, and where: in memory, under 24 bytes for each of many."""

from collections.abc import Sequence
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

    It keeps 128-bit BLAKE2b digests. Measured with distinct URLs, as growth of the process at its peak:
    29 MB for a million URLs, 230 MB for ten. For two different URLs to be taken for equal, the chance is
    1 in 10^24 in a list of 10 million.
    """

    def __init__(self) -> None:
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

            self._many = DigestTable()
            self._many.add_all(list(self._few))
            self._few = {}
        return self._many
