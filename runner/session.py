"""A job in the hands of the process that works on it: running its stages, and counting what is done."""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .engine.checkpoint import Checkpoint
from .engine.files import disk_errors
from .engine.items import DONE, Key, Mark, Stage
from .engine.plan import Work
from .engine.run import run
from .engine.shardfile import ShardFile, shard_file
from .engine.soundness import check_readable
from .engine.stop import Stop
from .errors import DamagedError
from .job import JobFolder
from .manifest import Head
from .recipes import Recipe, described, recipe_of


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come.

    ``stage``   download, hash or export
    ``total``   items of the stage
    ``done``    of these, how many are finished, well or not, in this run or before
    ``new``     finished in this run; ``failed`` of these failed, and ``bytes`` is what they weigh
    ``ended``   True once, the last time, however the stage has ended
    """

    stage: str
    total: int
    done: int
    new: int = 0
    failed: int = 0
    bytes: int = 0
    ended: bool = False

    def after(self, marks: Sequence[Mark]) -> "Progress":
        """The progress when these items are finished too."""
        if not marks:  # as in every other call, while there is nothing new
            return self
        return replace(
            self,
            done=self.done + len(marks),
            new=self.new + len(marks),
            failed=self.failed + sum(mark.outcome != DONE for mark in marks),
            bytes=self.bytes + sum(mark.size for mark in marks),
        )


Listener = Callable[[Progress], None]
"""Hears when a stage begins, whenever items are finished or a moment has passed, and when it ends.

It is called in the thread that called the job's method, which waits for it. What it raises ends the run, as
``Stop`` does; what is finished is kept.
"""


def nobody(progress: Progress) -> None:
    """The listener of those who do not care."""


class Session:
    """The job while this process has it."""

    def __init__(
        self, checkpoint: Checkpoint, heads: Sequence[Head], workers: int, listener: Listener, stop: Stop
    ) -> None:
        self.checkpoint = checkpoint
        self.heads = heads  # of all manifests: as long as this process has the job, there are no others
        self.workers = workers
        self._listener = listener
        self._stop = stop

    def run(
        self,
        stage: Stage[Any],
        work: Work,
        total: int,
        finished: int | None = None,
        each: Callable[[Sequence[Mark]], Sequence[Mark]] | None = None,
    ) -> None:
        """Run a stage. ``each`` tells what marks stand for, to those who listen: they count these."""
        if finished is None:
            finished = self.count(stage.name)
        name = re.split("[:-]", stage.name)[0]  # of "export-tar:7c9e6679" what a user knows
        progress = Progress(name, total, finished)

        def watch(marks: Sequence[Mark]) -> None:
            nonlocal progress
            progress = progress.after(marks if each is None else each(marks))
            self._listener(progress)

        self._listener(progress)
        try:
            run(stage, work, self.checkpoint, workers=self.workers, watch=watch, stop=self._stop)
        finally:
            self._listener(replace(progress, ended=True))

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

    def items(self) -> int:
        """How many the job has."""
        return sum(head.rows for head in self.heads)

    def unfinished_shards(self, stage: str) -> list[Head]:
        marked = self.marked(stage)
        return [head for head in self.heads if head.rows > marked[head.shard]]

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
                    check_readable(shard_file(folder, shard))
            yield shard, members

    def stored(self) -> Iterator[tuple[int, list[int]]]:
        """The downloaded images, shard by shard."""
        for head in self.heads:
            marks = self.checkpoint.marks("download", head.shard)
            yield head.shard, [index for index, mark in marks if mark.outcome == DONE]


def keep_one_recipe(folder: JobFolder, checkpoint: Checkpoint, recipe: Recipe | None) -> Recipe:
    """Hashes of another recipe or other library versions do not compare: make them all again.

    Returns the recipe; without one asked for it is that of the hashes that the job has.
    """
    recipe = recipe or recipe_of(checkpoint.note("recipe"))
    description = described(recipe)
    if checkpoint.note("recipe") != description:
        # The marks first: after a crash in between, whatever recipe is wanted then, all hashes go, or those
        # still there are of the recipe noted.
        for shard in list(checkpoint.tally("hash")):
            checkpoint.forget("hash", [Key(shard, index) for index in checkpoint.finished("hash", shard)])
        # What could not be deleted would be taken for hashes of the new recipe.
        with disk_errors("delete", folder.hashes, "run this again"), suppress(FileNotFoundError):
            shutil.rmtree(folder.hashes)
        checkpoint.set_note("recipe", description)
    return recipe
