"""One file per shard: the stage that writes ``OUT/00017.tar`` (or ``.parquet``), and what is around it.

Here an item is a whole shard: key (17, 0). Its mark has the size of the file, and tells in ``detail`` what
the file was made from, so that one which is right already is not written again.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import BinaryIO, NamedTuple, Protocol

from ..engine.checkpoint import Checkpoint
from ..engine.items import CRASHED, DONE, Item, Key, Mark, Result
from .contents import Contents, Sample
from .exporter import Run
from .host_counts import HostCounts
from .output import ImageFiles, Output, digest
from .stage import ExportStage, Source, Unwritable, file_of, recipe_for
from .update import Exported

SIGN_OF_LIFE_SECONDS = 0.5


class ShardFormat(Protocol):
    """A kind of file that holds a shard. Frozen, and told apart by its ``repr``."""

    @property
    def suffix(self) -> str: ...

    def write(self, file: BinaryIO, samples: Iterator[Sample | None]) -> Iterator[None]:
        """Write the samples, pausing after each; None is passed over."""
        ...


class Written(NamedTuple):
    """What a mark remembers of a shard's file.

    ``digest``    of what it was made from
    ``images``    how many are in it; a shard without any has no file
    ``members``   a bit for each index that was to be in it
    ``failures``  reason -> images of which no file could be made
    """

    digest: bytes
    images: int
    members: bytes
    failures: dict[str, int]

    def indices(self) -> set[int]:
        """Those of ``members``."""
        bits = int.from_bytes(self.members, "little")
        return {index for index in range(bits.bit_length()) if bits >> index & 1}


def _as_bits(indices: Iterator[int]) -> bytes:
    bits = bytearray()
    for index in indices:
        bits.extend(bytes(max(0, index // 8 + 1 - len(bits))))
        bits[index // 8] |= 1 << index % 8
    return bytes(bits)


@dataclass(frozen=True)
class ShardStage:
    """Writes the file of a shard, and gives its mark when it has its name."""

    contents: Contents
    out: Output
    format: ShardFormat
    name: str = field(init=False)
    output: Path | None = field(default=None, init=False)
    slice_size: int | None = field(default=None, init=False)
    patience: float = field(default=60.0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"export-{self.format.suffix[1:]}:{digest(self.out)}")

    @property
    def warm_up(self) -> Callable[[], object]:
        return partial(import_module, type(self).__module__)

    def file_name(self, shard: int) -> str:
        return f"{shard:05d}{self.format.suffix}"

    def digest(self, shard: int) -> bytes:
        """Of all that decides what is in the file of a shard."""
        return self.contents.digest(shard, repr(self.format))

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[None]]:
        """Nothing: the images of a shard are read while they are written."""
        return (Item(Key(shard, index), None) for index in indices)

    def process(self, items: Iterator[Item[None] | None]) -> Iterator[Result | None]:
        """One shard at a time; a sign of life after each image."""
        for item in items:
            if item is not None:
                mark = yield from self._write(item.key.shard)
                yield Result(item.key, mark)

    def _write(self, shard: int) -> Generator[None, None, Mark]:
        members = self.contents.kept.of(shard)
        failures: Counter[str] = Counter()
        name = self.file_name(shard)
        with self.out.draft(name) as draft:
            yield from self.format.write(draft.file, self.contents.samples(shard, failures))
            size = draft.file.tell()
            images = len(members) - failures.total()
            if images:
                yield from _patiently(draft.publish)
        if not images:
            self.out.remove(name)
        written = Written(self.digest(shard), images, _as_bits(iter(members)), dict(failures))
        return Mark(DONE, size if images else 0, tuple(written))


def _patiently(action: Callable[[], None]) -> Iterator[None]:
    """Do what takes its time and says nothing meanwhile, with a sign of life now and then."""
    done: Future[None] = Future()

    def act() -> None:
        try:
            action()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    Thread(target=act, daemon=True).start()
    while True:
        try:
            return done.result(SIGN_OF_LIFE_SECONDS)
        except NotYet:
            yield


@dataclass(frozen=True)
class ProbeStage(ExportStage):
    """Makes the file of each image and drops it: which one is it that workers die of?"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"export-probe:{digest(self.out)}")

    def result(self, folder: ImageFiles, item: Item[Source]) -> Result:  # noqa: ARG002
        with suppress(Unwritable):
            file_of(item.data, self.rendering, recipe_for(item.data.fingerprint, self.rendering))
        return Result(item.key, Mark(DONE))


class ShardsExport:
    """An export of files that hold a shard each."""

    def __init__(self, stage: ShardStage, wanted: int, checkpoint: Checkpoint) -> None:
        self.hosts = HostCounts()
        self._stage = stage
        self._wanted = wanted
        self._kept = stage.contents.kept
        self._checkpoint = checkpoint
        self._removed = 0

    def runs(self) -> Iterator[Run]:
        """Write what is not there or not right.

        When workers die of a shard, even alone, a second run finds out which image it is, and a third
        writes the shard without it.
        """
        self._prepare()
        yield self._run(self._stage)
        dead = [shard for shard, mark in self._marks().items() if mark.outcome == CRASHED]
        if dead:
            yield from self._probe(dead)

    def _probe(self, shards: list[int]) -> Iterator[Run]:
        contents = self._stage.contents
        probe = ProbeStage(contents.batches, contents.hashes, self._stage.out, contents.rendering)
        self._forget(probe.name, shards)  # of a probe that was killed
        members = {shard: list(self._kept.of(shard)) for shard in shards}
        yield Run(probe, iter(members.items()), sum(map(len, members.values())))
        deadly = {
            Key(shard, index)
            for shard in shards
            for index, mark in self._checkpoint.marks(probe.name, shard)
            if mark.outcome == CRASHED
        }
        self._forget(probe.name, shards)
        if deadly:
            self._forget(self._stage.name, shards)
            yield self._run(replace(self._stage, contents=replace(contents, deadly=frozenset(deadly))))

    def _run(self, stage: ShardStage) -> Run:
        work = ((shard, [0]) for shard, members in self._kept if members)
        finished = images_of(list(self._marks().values()))
        return Run(stage, work, self._wanted, len(finished), images_of)

    def _prepare(self) -> None:
        """Forget the marks of shards whose file is not what it should be."""
        files = self._stage.out.sizes()
        marks = self._marks()
        stale = [shard for shard, mark in marks.items() if not self._is_current(shard, mark, files)]
        for shard in stale:
            if marks[shard].outcome == DONE:
                self._removed += len(Written(*marks[shard].detail).indices() - self._kept.of(shard).keys())
        self._forget(self._stage.name, stale)

    def _is_current(self, shard: int, mark: Mark, files: dict[str, int]) -> bool:
        if mark.outcome != DONE:
            return False
        written = Written(*mark.detail)
        if files.get(self._stage.file_name(shard)) != (mark.size if written.images else None):
            return False
        if written.digest == self._stage.digest(shard):
            return True
        # What is pending again, after a repair, may be nowhere else: for now the file stays as it is.
        return not written.indices() <= self._checkpoint.finished("hash", shard)

    def finish(self) -> Exported:
        """Delete the files of shards of which nothing is kept any more; count the rest."""
        self.hosts.count(self._stage.contents.urls())
        marks = self._marks()
        files = self._stage.out.sizes()
        for shard in self._kept.shards:
            name = self._stage.file_name(shard)
            if shard not in marks and (name in files or f".{name}.part" in files):
                self._stage.out.remove(name)
        failures: Counter[str] = Counter()
        images = 0
        for shard, mark in marks.items():
            if mark.outcome == DONE:
                written = Written(*mark.detail)
                images += written.images
                failures.update(written.failures)
            else:
                failures[mark.outcome] += len(self._kept.of(shard))
        size = sum(mark.size for mark in marks.values())
        return Exported(images, size, self._removed, dict(failures))

    def _marks(self) -> dict[int, Mark]:
        """The mark of every shard that has one."""
        name = self._stage.name
        return {shard: mark for shard in self._kept.shards for _, mark in self._checkpoint.marks(name, shard)}

    def _forget(self, stage: str, shards: list[int]) -> None:
        keys = [Key(shard, index) for shard in shards for index in self._checkpoint.finished(stage, shard)]
        self._checkpoint.forget(stage, keys)


def images_of(marks: Sequence[Mark]) -> list[Mark]:
    """For those who follow the images: as many marks as there are images in these shards."""
    each: list[Mark] = []
    for mark in marks:
        if mark.outcome == DONE:
            written = Written(*mark.detail)
            each += [Mark(DONE, mark.size // max(written.images, 1))] * written.images
            for reason, count in written.failures.items():
                each += [Mark(reason)] * count
    return each
