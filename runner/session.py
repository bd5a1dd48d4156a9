"""A job in the hands of the process that works on it: running its stages, and counting what is done."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .engine.checkpoint import Checkpoint
from .engine.items import DONE, Key, Stage
from .engine.ledger import Watch
from .engine.plan import Work
from .engine.run import ignore, run
from .engine.shardfile import ShardFile, shard_file
from .engine.soundness import check
from .engine.stop import Stop
from .errors import DamagedError
from .job import JobFolder
from .manifest import Head


class Progress(Protocol):
    """Hears how a stage gets on."""

    def begin(self, stage: str, total: int, finished: int) -> Watch:
        """A stage begins; of ``total`` items so many are finished already."""
        ...

    def end(self) -> None:
        """The stage has ended, as it should or not."""
        ...


class Silence:
    """Progress that nobody follows."""

    def begin(self, stage: str, total: int, finished: int) -> Watch:  # noqa: ARG002
        return ignore

    def end(self) -> None: ...


class Session:
    """The job while this process has it."""

    def __init__(self, checkpoint: Checkpoint, workers: int, progress: Progress, stop: Stop) -> None:
        self.checkpoint = checkpoint
        self.workers = workers
        self._progress = progress
        self._stop = stop

    def run(self, stage: Stage[Any], work: Work, total: int) -> None:
        watch = self._progress.begin(stage.name.partition(":")[0], total, self.count(stage.name))
        try:
            run(stage, work, self.checkpoint, workers=self.workers, watch=watch, stop=self._stop)
        finally:
            self._progress.end()

    def count(self, stage: str, outcome: str | None = None) -> int:
        """Items marked in a stage, or those of one outcome."""
        return self.marked(stage, outcome).total()

    def marked(self, stage: str, outcome: str | None = None) -> Counter[int]:
        """The same by shard."""
        return Counter(
            {
                shard: sum(count for name, (count, _) in tally.items() if outcome in (None, name))
                for shard, tally in self.checkpoint.tally(stage).items()
            }
        )

    def failures(self, stage: str) -> dict[str, int]:
        """Reason -> items that failed in a stage."""
        counts: Counter[str] = Counter()
        for tally in self.checkpoint.tally(stage).values():
            counts.update({outcome: count for outcome, (count, _) in tally.items() if outcome != DONE})
        return dict(counts.most_common())

    def unfinished_shards(self, stage: str, heads: Sequence[Head]) -> list[Head]:
        marked = self.marked(stage)
        return [head for head in heads if head.rows > marked[head.shard]]

    def check_stored(self, stage: str, folder: Path, members: Mapping[int, int]) -> None:
        """Raise DamagedError if a shard file has fewer payloads than there are marks for them.

        Or more, once all ``members`` of the shard are marked: those without a mark are adopted before that.
        """
        total = self.marked(stage)
        for shard, marked in self.marked(stage, DONE).items():
            if marked:
                path = shard_file(folder, shard)
                with ShardFile(path, readonly=True) as file:
                    stored = file.count()
                if stored < marked or (stored > marked and total[shard] == members[shard]):
                    raise DamagedError(path, f"it holds {stored} items, and {marked} are marked as stored")

    def checked(self, stage: str, work: Work, *folders: Path) -> Work:
        """The same work; the files that it reads are checked first, as a damaged one could end a process."""
        marked = self.marked(stage)
        for shard, members in work:
            if len(members) > marked[shard]:
                for folder in folders:
                    check(shard_file(folder, shard))
            yield shard, members

    def stored(self, heads: Sequence[Head]) -> Iterator[tuple[int, list[int]]]:
        """The downloaded images, shard by shard."""
        for head in heads:
            marks = self.checkpoint.marks("download", head.shard)
            yield head.shard, [index for index, mark in marks if mark.outcome == DONE]


def keep_one_recipe(folder: JobFolder, checkpoint: Checkpoint, recipe: str) -> None:
    """Hashes of another recipe or other library versions do not compare: make them all again."""
    if checkpoint.note("recipe") != recipe.encode():
        # The files first: a crash in between leaves marks without hashes, and comes here again.
        shutil.rmtree(folder.hashes, ignore_errors=True)
        for shard in list(checkpoint.tally("hash")):
            checkpoint.forget("hash", [Key(shard, index) for index in checkpoint.finished("hash", shard)])
        checkpoint.set_note("recipe", recipe.encode())
