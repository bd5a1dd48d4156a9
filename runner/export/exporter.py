"""What an export does, whatever its format; and the formats that are not made of shards."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

from ..engine.checkpoint import Checkpoint
from ..engine.items import Mark, Stage
from ..engine.plan import Work
from .contents import Contents
from .host_counts import HostCounts
from .output import Output
from .stage import ExportStage
from .tables import Table
from .update import Exported, finish, prepare


class Run(NamedTuple):
    """A stage to run over its items.

    ``total``     how many marks there will be, and of these so many are ``finished``, if that is known
    ``each``      what a mark stands for, for those who follow the progress
    """

    stage: Stage[Any]
    work: Work
    total: int
    finished: int | None = None
    each: Callable[[Sequence[Mark]], Sequence[Mark]] | None = None


class Exporter(Protocol):
    """One export in one format, from what is there already to what is wanted."""

    hosts: HostCounts
    """Known once it is finished."""

    def runs(self) -> Iterator[Run]:
        """What is to be run, one after the other: each is asked for when the one before is complete."""
        ...

    def finish(self) -> Exported:
        """After complete runs: write what belongs beside the images, delete what is kept no longer."""
        ...


class FolderExport:
    """An image file for each image, and ``metadata.jsonl``."""

    def __init__(self, stage: ExportStage, contents: Contents, wanted: int, checkpoint: Checkpoint) -> None:
        self.hosts = HostCounts()
        self._stage = stage
        self._contents = contents
        self._wanted = wanted
        self._checkpoint = checkpoint

    def runs(self) -> Iterator[Run]:
        prepare(self._stage, self._contents.kept, self._checkpoint)
        yield Run(self._stage, self._contents.kept.work(), self._wanted)

    def finish(self) -> Exported:
        contents = self._contents
        return finish(self._stage, contents.kept, self._checkpoint, contents.lists, self.hosts.watch)


class TableExport:
    """Metadata alone: there is nothing to run."""

    def __init__(self, table: Table, contents: Contents, out: Output) -> None:
        self.hosts = HostCounts()
        self._table = table
        self._contents = contents
        self._out = out

    def runs(self) -> Iterator[Run]:
        return iter(())

    def finish(self) -> Exported:
        lines = chain.from_iterable(map(self._contents.lines, self._contents.kept.shards))
        size = 0
        with self._out.draft(self._table.name) as draft:
            for data in self._table.encode(self.hosts.watch(lines)):
                draft.file.write(data)
                size += len(data)
            draft.publish()
        return Exported(self.hosts.images, size, 0, {})
