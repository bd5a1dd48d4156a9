"""Which images an export holds: of those that the dedup table kept, a sample, up to a limit."""

import sys
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from ..deduptable import DedupTable
from ..export_options import ExportOptions

Keys = npt.NDArray[np.uint64]


class Kept:
    """The images to export, of these shards (ascending). A worker that gets it opens the table itself."""

    def __init__(self, table: DedupTable, shards: Sequence[int], options: ExportOptions) -> None:
        self._table = table
        self.shards = shards
        self._seed = options.seed
        self._last_rank: int | None = None  # of the sample; None if all are in it
        if options.sample is not None:
            self._last_rank = _lowest(_ranks(table.kept_keys(), options.seed), options.sample)
        self._last: tuple[int, int] | None = None  # with a limit: the last shard, and how many of its images
        if options.limit is not None:
            self._last = self._reach(options.limit)

    def __iter__(self) -> Iterator[tuple[int, dict[int, int]]]:
        """Every shard with its images' indices, ascending, and how many others each stands for."""
        return ((shard, self.of(shard)) for shard in self.shards)

    def of(self, shard: int) -> dict[int, int]:
        """The same for one shard."""
        if self._last is None or shard < self._last[0]:
            return dict(self._sampled(shard))
        return dict(islice(self._sampled(shard), self._last[1])) if shard == self._last[0] else {}

    def _reach(self, limit: int) -> tuple[int, int]:
        """How far so many images go."""
        for shard in self.shards:
            count = sum(1 for _ in self._sampled(shard))
            if count >= limit:
                return shard, limit
            limit -= count
        return sys.maxsize, 0

    def work(self) -> Iterator[tuple[int, Sequence[int]]]:
        """The same as the engine wants it: shards with the indices of their members."""
        for shard, kept in self:
            if kept:
                yield shard, list(kept)

    def _sampled(self, shard: int) -> Iterator[tuple[int, int]]:
        kept = list(self._table.kept(shard))
        if self._last_rank is not None:
            keys = np.array([shard << 32 | index for index, _ in kept], dtype=np.uint64)
            chosen = _ranks(keys, self._seed) <= self._last_rank
            kept = [entry for entry, wanted in zip(kept, chosen.tolist(), strict=True) if wanted]
        return iter(kept)


def _lowest(ranks: Keys, count: int) -> int:
    """The highest of the ``count`` lowest ranks; -1 of none."""
    count = min(count, len(ranks))
    return int(np.partition(ranks, count - 1)[count - 1]) if count else -1


def _ranks(keys: Keys, seed: int) -> Keys:
    """A number for each key, without any pattern, all different: the finish of splitmix64."""
    word = keys ^ np.random.SeedSequence(seed).generate_state(1, np.uint64)
    word = (word ^ word >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ word >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    ranks: Keys = word ^ word >> np.uint64(31)
    return ranks
