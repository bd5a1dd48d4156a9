"""Bringing an export up to date: before the run, what has to be written again; after it, what has to go.

The order is what makes a kill harmless. New images come first, then ``metadata.jsonl`` lists them, and only
then the images go that are kept no longer: the list never names a file that is not there. Killed between
any two steps, the next export does the rest.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..engine.checkpoint import Checkpoint
from ..engine.items import DONE, Key, Mark
from ..repeats import Lists
from .kept import Kept
from .metadata import Line, describe_shard, write_metadata
from .stage import ExportStage, recipe_for

# Index -> how many others it stands for, of the kept images of a shard.
Members = dict[int, int]


class Exported(NamedTuple):
    """What an export holds now: ``images`` files of so many ``bytes``.

    ``removed``: images deleted just now, kept no longer. ``failures``: reason -> images of which no file
    could be made.
    """

    images: int
    bytes: int
    removed: int
    failures: dict[str, int]


def prepare(stage: ExportStage, kept: Kept, checkpoint: Checkpoint) -> None:
    """Forget the marks of kept images whose file is not what it should be.

    That is: missing, of another size than the mark says, or made by another recipe than is wanted now.
    What a worker died of before is tried again too.
    """
    folder = stage.folder
    for shard, members in kept:
        marks = _marks(checkpoint, stage, shard, members)
        if marks:
            sizes = folder.sizes(shard)
            found = stage.fingerprints(shard, list(marks))
            stale = [
                Key(shard, index)
                for index, mark in marks.items()
                if mark.detail != (recipe_for(found[index], stage.rendering),)
                or (mark.outcome == DONE and mark.size != sizes.get(index))
            ]
            checkpoint.forget(stage.name, stale)


def finish(
    stage: ExportStage,
    kept: Kept,
    checkpoint: Checkpoint,
    lists: Lists,
    watch: Callable[[Iterator[Line]], Iterator[Line]] = iter,
) -> Exported:
    """After a complete run: list the images in ``metadata.jsonl``, then delete those kept no longer.

    The lines pass through ``watch`` on their way.
    """
    outcomes = _Outcomes(stage, checkpoint)
    write_metadata(stage.out, watch(_lines(stage, kept, outcomes, lists)))
    removed = _remove_unwanted(stage, kept, outcomes, checkpoint)
    counts: Counter[str] = Counter()
    size = 0
    for tally in checkpoint.tally(stage.name).values():
        for outcome, (count, outcome_bytes) in tally.items():
            counts[outcome] += count
            size += outcome_bytes
    return Exported(counts.pop(DONE, 0), size, removed, dict(counts))


class _Outcomes:
    """What became of the images of an export, of which all that are kept have a mark."""

    def __init__(self, stage: ExportStage, checkpoint: Checkpoint) -> None:
        self._stage = stage.name
        self._checkpoint = checkpoint
        self._tallies = checkpoint.tally(stage.name)

    def of(self, shard: int, members: Members) -> tuple[list[int], list[int]]:
        """The members of a shard that have a file, and what has a mark and is kept no longer."""
        tally = self._tallies.get(shard, {})
        if tally.keys() == {DONE} and tally[DONE][0] == len(members):
            return list(members), []  # as it mostly is, and quicker told than from the marks
        marks = dict(self._checkpoint.marks(self._stage, shard))
        written = [index for index, mark in marks.items() if mark.outcome == DONE and index in members]
        return written, [index for index in marks if index not in members]


def _lines(stage: ExportStage, kept: Kept, outcomes: _Outcomes, lists: Lists) -> Iterator[Line]:
    for shard, members in kept:
        indices, _ = outcomes.of(shard, members)
        stage.folder.publish(shard, indices)
        if indices:
            found = stage.fingerprints(shard, indices)
            yield from describe_shard(lists, shard, found, members, stage.rendering)


def _remove_unwanted(stage: ExportStage, kept: Kept, outcomes: _Outcomes, checkpoint: Checkpoint) -> int:
    folder = stage.folder
    removed = 0
    for shard, members in kept:
        written, unwanted = outcomes.of(shard, members)
        # Of what is not hashed (again, after a repair) nothing is decided: its image stays.
        removed += folder.prune(shard, set(written), decided=checkpoint.finished("hash", shard))
        checkpoint.forget(stage.name, [Key(shard, index) for index in unwanted])
    return removed


def _marks(checkpoint: Checkpoint, stage: ExportStage, shard: int, members: Members) -> dict[int, Mark]:
    return {index: mark for index, mark in checkpoint.marks(stage.name, shard) if index in members}
