"""Which URLs were seen before: a set that takes under 20 bytes per URL."""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .urls import normal_form

Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]

# The set is split by the first bits of the digests, so that a merge copies a sixteenth of it at a time.
_PART_BITS = 4
# A run is merged into the one before it unless it is so many times shorter. More: fewer runs to search
# and less memory for a merge; less: fewer merges.
_RATIO = 8


class SeenUrls:
    """The set of URLs seen so far, equal in the sense of ``normal_form``.

    It keeps 128-bit BLAKE2b digests. Measured with distinct URLs, as growth of the process at its peak:
    20 MB for a million URLs, 171 MB for ten. For two different URLs to be taken for equal, the chance is
    1 in 10^24 in a list of 10 million.
    """

    def __init__(self) -> None:
        self._digests = DigestSet()

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, urls: Sequence[str]) -> Mask:
        """Add a block of URLs; return which of them are repeats, of earlier ones or within the block.

        The first of equal URLs in a block is no repeat. A block of thousands costs about 2 µs per URL.
        """
        words = np.frombuffer(b"".join([_digest(url) for url in urls]), dtype=np.uint64)
        return self._digests.add(words[0::2], words[1::2])


def _digest(url: str) -> bytes:
    # A lone surrogate cannot come from a text file, but from an escape in JSON it can.
    return blake2b(normal_form(url).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class DigestSet:
    """An exact set of 128-bit numbers, each given as two 64-bit words."""

    def __init__(self) -> None:
        self._parts = [_Part() for _ in range(1 << _PART_BITS)]

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def add(self, high: Words, low: Words) -> Mask:
        """Add a block of numbers; return which of them were there before or came earlier in the block."""
        order = np.lexsort((low, high))  # stable: of equal numbers, the first stays first
        high, low = high[order], low[order]
        repeats = np.zeros(len(order), dtype=np.bool_)
        repeats[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])

        first_of_part = np.arange(len(self._parts), dtype=np.uint64) << np.uint64(64 - _PART_BITS)
        bounds = [*np.searchsorted(high, first_of_part).tolist(), len(order)]
        for part, (start, end) in zip(self._parts, pairwise(bounds), strict=True):
            span = slice(start, end)
            repeats[span] |= part.contains(high[span], low[span])
            new = ~repeats[span]
            part.insert(high[span][new], low[span][new])

        in_given_order = np.empty_like(repeats)
        in_given_order[order] = repeats
        return in_given_order


class _Run(NamedTuple):
    """Numbers sorted by their high words; those with equal high words stand in any order."""

    high: Words
    low: Words

    def contains(self, high: Words, low: Words) -> Mask:
        found = np.zeros(len(high), dtype=np.bool_)
        at = np.searchsorted(self.high, high)
        asked = np.flatnonzero(at < len(self.high))
        while len(asked):  # a second turn only if different numbers share their high word
            here = at[asked]
            same_high = self.high[here] == high[asked]
            same = same_high & (self.low[here] == low[asked])
            found[asked[same]] = True
            at[asked] += 1
            asked = asked[same_high & ~same & (here + 1 < len(self.high))]
        return found


class _Part:
    """Runs of falling length, as in a log-structured store: additions are cheap, look-ups stay few."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return sum(len(run.high) for run in self._runs)

    def contains(self, high: Words, low: Words) -> Mask:
        found = np.zeros(len(high), dtype=np.bool_)
        for run in self._runs:
            found |= run.contains(high, low)
        return found

    def insert(self, high: Words, low: Words) -> None:
        """Add numbers that are sorted by ``high`` and not in the set."""
        if not len(high):
            return
        self._runs.append(_Run(high, low))
        while len(self._runs) > 1 and len(self._runs[-2].high) < _RATIO * len(self._runs[-1].high):
            shorter, longer = self._runs.pop(), self._runs.pop()
            self._runs.append(_merge(longer, shorter))


def _merge(longer: _Run, shorter: _Run) -> _Run:
    at = np.searchsorted(longer.high, shorter.high)
    return _Run(np.insert(longer.high, at, shorter.high), np.insert(longer.low, at, shorter.low))
