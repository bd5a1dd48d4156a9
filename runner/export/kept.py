"""Which images an export holds: what the dedup table kept, up to a limit, shard by shard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ..dedup import DedupTable


@dataclass(frozen=True)
class Kept:
    """The kept images of these shards (ascending); with ``limit`` only the first so many in item order."""

    table: DedupTable
    shards: Sequence[int]
    limit: int | None = None

    def __iter__(self) -> Iterator[tuple[int, dict[int, int]]]:
        """Every shard with its kept indices, ascending, and how many other images each stands for."""
        room = self.limit
        for shard in self.shards:
            kept = dict(islice(self.table.kept(shard), room))
            yield shard, kept
            if room is not None:
                room -= len(kept)

    def work(self) -> Iterator[tuple[int, Sequence[int]]]:
        """The same as the engine wants it: shards with the indices of their members."""
        for shard, kept in self:
            if kept:
                yield shard, list(kept)
