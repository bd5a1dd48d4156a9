"""The hash stage: batches/ -> hashes/.

What decodes and hashes is imported where the stage runs: numpy and scipy take longer to load than all the
rest, and the process that hands out the work does without.
"""

import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .engine.items import Item, Key, Result
from .engine.shardfile import read_payloads, shard_file
from .recipes import Recipe

# Bytes a worker may allocate: the largest accepted image fits three times, a bomb that got past the limits
# ends as a MemoryError of one image instead of an out-of-memory kill of anything.
MEMORY_LIMIT = 2 << 30


@dataclass(frozen=True)
class HashStage:
    """Fingerprints of the images in ``batches``; payload ``Fingerprint.pack()``, mark ``DONE``.

    An image that does not decode gets a mark with one of ``imaging.REASONS``, the sha256 of its bytes as the
    detail, and no payload.
    ``memory_limit``: bytes that the process running the stage may allocate from then on; None in a process
    that is not ours to limit.
    """

    batches: Path
    output: Path
    memory_limit: int | None = None
    recipe: Recipe = "exact"
    name: str = "hash"
    slice_size: int | None = 64
    patience: float = 60.0

    @property
    def warm_up(self) -> Callable[[], object]:
        return partial(_practise, self.recipe)

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[bytes]]:
        """The stored bytes of these images."""
        for index, data in read_payloads(shard_file(self.batches, shard), indices):
            yield Item(Key(shard, index), data)

    def process(self, items: Iterator[Item[bytes] | None]) -> Iterator[Result | None]:
        """One image at a time."""
        from .examiner import Examiner, examined

        if self.memory_limit is not None:
            limit_memory(self.memory_limit)
        examine = Examiner(examined(self.recipe), self.recipe)
        for item in items:
            yield None if item is None else examine(item)


def _practise(recipe: Recipe) -> None:
    from .examiner import practise

    practise(recipe)


def limit_memory(limit: int) -> None:
    """Let allocations of this process beyond ``limit`` bytes fail as MemoryError."""
    # Not RLIMIT_AS: that would count the maps of LMDB files too, which take address space but no memory.
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(
        resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
