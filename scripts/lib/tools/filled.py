"""A job as it is after its download, made without a network: the real files, written by their own code."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.engine.items import Key, Mark

SHARD_SIZE = 10_000
COMMITTED_TOGETHER = 1_000


def fill(folder: Path, urls: Path, bodies: Iterable[bytes]) -> None:
    """Make a job of this list in which the first URLs have these bodies; any others are pending."""
    from runner.config import JobConfig
    from runner.engine.checkpoint import Checkpoint
    from runner.fetch.options import FetchOptions
    from runner.job import JobFolder

    job = JobFolder.create(folder, [str(urls)], JobConfig(2, SHARD_SIZE, FetchOptions(allow_private=True)))
    job.batches.mkdir()
    coming = iter(bodies)
    shard = 0
    with Checkpoint(job.checkpoint_path) as checkpoint:
        while sizes := [*_store(job.batches, shard, islice(coming, SHARD_SIZE))]:
            checkpoint.commit("download", _marks(shard, sizes))
            shard += 1


def borrow(job: Path, folder: Path, *shared: str) -> None:
    """Make a copy of a job that has these folders, which are only to be read, in common with it."""
    shutil.copytree(job, folder, ignore=lambda _, names: set(shared).intersection(names))
    for name in shared:
        (folder / name).symlink_to((job / name).resolve())


def _store(batches: Path, shard: int, bodies: Iterator[bytes]) -> Iterator[int]:
    """Write the file of one shard; the size of each body in it."""
    from runner.engine.items import Result
    from runner.engine.shardfile import ShardFile, shard_file

    start = 0
    while several := [*islice(bodies, COMMITTED_TOGETHER)]:
        sizes = [len(body) for body in several]
        marks = _marks(shard, sizes, start)
        with ShardFile(shard_file(batches, shard)) as file:
            file.append(Result(key, mark, body) for (key, mark), body in zip(marks, several, strict=True))
        start += len(several)
        yield from sizes


def _marks(shard: int, sizes: Sequence[int], start: int = 0) -> "Iterator[tuple[Key, Mark]]":
    from runner.download import FetchDetail
    from runner.engine.items import DONE, Key, Mark

    detail = FetchDetail(200, 1, "image/jpeg", None)
    return ((Key(shard, start + index), Mark(DONE, size, detail)) for index, size in enumerate(sizes))
