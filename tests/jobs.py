"""Jobs whose images were never downloaded: as `runner start` leaves them, without a server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import runner
from runner.config import JobConfig
from runner.engine.checkpoint import Checkpoint
from runner.engine.items import DONE, Key, Mark, Result
from runner.engine.shardfile import ShardFile, shard_file
from runner.manifest import Row, write_manifests
from runner.record import Record

Line = tuple[bytes | None, dict[str, Any]]


def make_job(path: Path, shards: Sequence[Sequence[Line]]) -> runner.Job:
    """A complete job. Shards are of equal size but for the last; an image that is None failed."""
    for name in ("manifests", "batches"):
        (path / name).mkdir(parents=True)
    rows = [
        Row(f"http://{'ab'[index % 2]}.example/{shard}/{index}.jpg", columns)
        for shard, lines in enumerate(shards)
        for index, (_, columns) in enumerate(lines)
    ]
    write_manifests(rows, path / "manifests", len(shards[0]))
    with Checkpoint(path / "checkpoint.lmdb") as checkpoint:
        for shard, lines in enumerate(shards):
            results = [_result(Key(shard, index), body) for index, (body, _) in enumerate(lines)]
            with ShardFile(shard_file(path / "batches", shard)) as batch:
                batch.append([result for result in results if result.payload is not None])
            checkpoint.commit("download", [(result.key, result.mark) for result in results])
    Record(JobConfig(shard_size=len(shards[0])), len(shards)).write(path)
    return runner.Job.open(path)


def _result(key: Key, body: bytes | None) -> Result:
    mark = Mark("http_404") if body is None else Mark(DONE, len(body), (200, 1, "image/jpeg", None))
    return Result(key, mark, body)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
