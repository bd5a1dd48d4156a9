"""An exact table of 128-bit digests: 20 bytes for each, beyond a million in files."""

import mmap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .seen import NEW

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]

# The set is split by the first bits of the digests, so that a merge copies a sixteenth of it at a time.
_PART_BITS = 4
# A run is merged into the one before it unless it is so many times shorter. More: fewer runs to search
# and less memory for a merge; less: fewer merges.
_RATIO = 8
# A run of so many digests or more is kept in a file. Up to a million digests, none is.
_FILED_FROM = 1 << 16


class DigestTable:
    """An exact table of 128-bit digests, each given as two 64-bit words, numbered as they came.

    When they are many, most are in mapped files without a name in ``folder``, or where the system has such
    files; it keeps of them in memory what it has room for. To add raises OSError if they cannot be written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._parts = [_Part(folder) for _ in range(1 << _PART_BITS)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add_all(self, digests: Sequence[bytes]) -> list[int]:
        """Add a block of digests of 16 bytes; return for each the number of the equal one, or ``NEW``."""
        words = np.frombuffer(b"".join(digests), dtype=np.uint64)
        numbers: list[int] = self.add(words[0::2], words[1::2]).tolist()
        return numbers

    def add(self, high: Words, low: Words) -> Numbers:
        """Add a block; return for each the number of the equal one before it, or ``NEW``."""
        order = np.lexsort((low, high))  # stable: of equal digests, the first stays first
        high, low = high[order], low[order]
        same = np.zeros(len(order), dtype=np.bool_)  # as the one before it
        same[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])

        before = self._find(high, low)
        new = ~same & (before == NEW)
        numbers = self._number(new, order)
        self._insert(high[new], low[new], numbers[new].astype(np.uint32))

        # The first of equal ones that came within this block has just got its number.
        first = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
        repeats_new = same & (before == NEW)
        before[repeats_new] = numbers[first[repeats_new]]

        in_given_order = np.empty_like(before)
        in_given_order[order] = before
        return in_given_order

    def _number(self, new: NDArray[np.bool_], order: NDArray[np.intp]) -> Numbers:
        """The next numbers for the new ones, in the order in which they were given; sorted as ``new`` is."""
        in_given_order = np.empty_like(new)
        in_given_order[order] = new
        numbers: Numbers = self._count - 1 + np.cumsum(in_given_order, dtype=np.int64)
        self._count += int(new.sum())
        return numbers[order]

    def _find(self, high: Words, low: Words) -> Numbers:
        found = np.empty(len(high), dtype=np.int64)
        for part, span in self._spans(high):
            found[span] = part.find(high[span], low[span])
        return found

    def _insert(self, high: Words, low: Words, numbers: NDArray[np.uint32]) -> None:
        for part, span in self._spans(high):
            if span.start < span.stop:
                part.insert(_Run(high[span], low[span], numbers[span]))

    def _spans(self, high: Words) -> Iterator[tuple["_Part", slice]]:
        """Each part, and where in these sorted words its own are."""
        first_of_part = np.arange(len(self._parts), dtype=np.uint64) << np.uint64(64 - _PART_BITS)
        bounds = [*np.searchsorted(high, first_of_part).tolist(), len(high)]
        for part, (start, end) in zip(self._parts, pairwise(bounds), strict=True):
            yield part, slice(start, end)


class _Run(NamedTuple):
    """Digests sorted by their high words, with their numbers; equal high words stand in any order."""

    high: Words
    low: Words
    number: NDArray[np.uint32]  # enough for 80 GB of digests

    def find(self, high: Words, low: Words) -> Numbers:
        found = np.full(len(high), NEW, dtype=np.int64)
        at = np.searchsorted(self.high, high)
        asked = np.flatnonzero(at < len(self.high))
        while len(asked):  # a second turn only if different digests share their high word
            here = at[asked]
            same_high = self.high[here] == high[asked]
            same = same_high & (self.low[here] == low[asked])
            found[asked[same]] = self.number[here[same]]
            at[asked] += 1
            asked = asked[same_high & ~same & (here + 1 < len(self.high))]
        return found


class _Part:
    """Runs of falling length, as in a log-structured store: additions are cheap, look-ups stay few."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._runs: list[_Run] = []

    def find(self, high: Words, low: Words) -> Numbers:
        found = np.full(len(high), NEW, dtype=np.int64)
        for run in self._runs:  # a digest is in one of them at most
            np.maximum(found, run.find(high, low), out=found)
        return found

    def insert(self, run: _Run) -> None:
        """Add digests that are not in the table."""
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-2].high) < _RATIO * len(self._runs[-1].high):
            shorter, longer = self._runs.pop(), self._runs.pop()
            merged = _merge(longer, shorter)
            self._runs.append(merged if len(merged.high) < _FILED_FROM else _filed(merged, self._folder))


def _merge(longer: _Run, shorter: _Run) -> _Run:
    at = np.searchsorted(longer.high, shorter.high)
    return _Run(
        np.insert(longer.high, at, shorter.high),
        np.insert(longer.low, at, shorter.low),
        np.insert(longer.number, at, shorter.number),
    )


def _filed(run: _Run, folder: Path | None) -> _Run:
    """The same in a mapped file, which is gone when nobody uses the run any more."""
    with TemporaryFile(dir=folder) as file:
        for column in run:
            file.write(column.data)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    count = len(run.high)
    return _Run(
        np.frombuffer(mapped, np.uint64, count),
        np.frombuffer(mapped, np.uint64, count, run.high.nbytes),
        np.frombuffer(mapped, np.uint32, count, run.high.nbytes + run.low.nbytes),
    )
