"""Verify: every file of a job against every other. What is found wrong is named, per file and per item.

First each file by itself (``check_files``), then what the sound ones say of each item (``check_items``):
a mark against the bytes it stands for, a hash against the image it was made of, an export against the hash.
Nothing is written.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from . import repeats
from .deduptable import DedupTable
from .engine.checkpoint import Checkpoint
from .engine.items import DONE, Key, Mark, Result
from .engine.notes import NotesCopy
from .engine.shardfile import ShardFile, shard_file
from .engine.soundness import find_damage
from .errors import DamagedError, JobError
from .fingerprint import Fingerprint
from .job import JobFolder
from .manifest import Head, read_head, read_rows

# Of so many items a summary tells which they are.
SHOWN = 5


class Finding(NamedTuple):
    """Something wrong with a file, or with what it says of one item in one stage."""

    path: Path
    problem: str
    stage: str = ""
    key: Key | None = None

    def __str__(self) -> str:
        item = "" if self.key is None else f" item ({self.key.shard}, {self.key.index}), {self.stage}"
        return f"{self.path}{item}: {self.problem}"


def verify(folder: JobFolder, deep: bool = False) -> Iterator[Finding]:
    """Everything that is wrong with a job that nobody runs; ``deep`` reads every stored byte too."""
    damaged = set()
    for finding in check_files(folder):
        damaged.add(finding.path)
        yield finding
    if damaged.isdisjoint(folder.manifest_paths()) and folder.checkpoint_path not in damaged:
        with folder.reader() as checkpoint:
            if checkpoint and checkpoint.notes_path not in damaged and not checkpoint.notes_are_copied:
                yield Finding(checkpoint.notes_path, "it lacks what is noted in the checkpoint")
            for head in folder.heads():
                shard = Shard(folder, checkpoint, head, damaged)
                for stage in STAGES:
                    yield from check_items(shard, stage, deep)


def summarize(findings: Iterable[Finding]) -> Iterator[str]:
    """One line for each thing that is wrong with a file, however many items of a shard it is true of."""
    for _, group in groupby(findings, key=lambda finding: finding.key and finding.key.shard):
        items: dict[Finding, list[int]] = defaultdict(list)  # a finding of no item -> their indices
        for finding in group:
            if finding.key is None:
                yield str(finding)
            else:
                items[finding._replace(key=None)].append(finding.key.index)
                shard = finding.key.shard
        for finding, indices in items.items():
            some = ", ".join(map(str, indices[:SHOWN])) + (", ..." if len(indices) > SHOWN else "")
            yield (
                f"{finding.path}: shard {shard}, {finding.stage}: {finding.problem} "
                f"({len(indices):,} items: {some})"
            )


# -- each file by itself --


def check_files(folder: JobFolder) -> Iterator[Finding]:
    """What is wrong with the files, each looked at alone."""
    yield from check_manifests(folder)
    yield from _check_checkpoint(folder)
    for output in (folder.batches, folder.hashes):
        for path in sorted(output.glob("*.lmdb")):
            yield from _findings(path, _shard_file_problem)
    if folder.dedup.exists():
        yield from _findings(folder.dedup, _dedup_problem)
    if folder.repeats_path.exists():
        yield from _check_repeats(folder)


def _check_repeats(folder: JobFolder) -> Iterator[Finding]:
    try:
        heads = folder.heads()
    except JobError:
        return  # the manifests tell
    lines, rows = folder.lines(heads).lines, [head.rows for head in heads]
    yield from _findings(folder.repeats_path, lambda path: repeats.problem(path, lines, rows))


def _check_checkpoint(folder: JobFolder) -> Iterator[Finding]:
    """The checkpoint, which is made before the first shard file, and the copy of its notes."""
    path, copy = folder.checkpoint_path, NotesCopy(folder.checkpoint_path)
    try:
        copy.read()
    except DamagedError as error:
        yield Finding(copy.path, error.problem)
    if path.exists() and path.stat().st_size:
        yield from _findings(path, _checkpoint_problem)
    elif any(folder.batches.glob("*.lmdb")):
        state = "empty" if path.exists() else "missing"
        yield Finding(path, f"it is {state}, and nothing else tells which URLs have failed")


def check_manifests(folder: JobFolder) -> Iterator[Finding]:
    """Manifests that are missing or damaged: nothing else in the job has what they hold."""
    counted = set(folder.manifest_paths())
    for path in sorted(counted):
        try:
            read_head(path)
            for _ in read_rows(path):
                pass
        except JobError as error:
            yield Finding(path, str(error))
    for output in (folder.batches, folder.hashes):
        for file in sorted(output.glob("*.lmdb")):
            manifest = folder.manifests / f"{file.stem}.jsonl"
            if manifest not in counted:
                yield Finding(
                    manifest, f"job.json does not count it among its shards, and {file} belongs to it"
                )


def _findings(path: Path, problem: Callable[[Path], str | None]) -> Iterator[Finding]:
    try:
        found = find_damage(path) or problem(path)
    except DamagedError as error:
        found = error.problem
    if found:
        yield Finding(path, found)


def _checkpoint_problem(path: Path) -> str | None:
    with Checkpoint(path, readonly=True) as checkpoint:
        counted = 0
        for stage in checkpoint.stages():
            for shard, tally in checkpoint.tally(stage).items():
                marks = [mark for _, mark in checkpoint.marks(stage, shard)]
                counted += len(marks)
                number = Counter(mark.outcome for mark in marks)
                size: Counter[str] = Counter()
                for mark in marks:
                    size[mark.outcome] += mark.size
                if tally != {outcome: (number[outcome], size[outcome]) for outcome in number}:
                    return f"shard {shard} has other {stage} marks than its tally tells"
        if counted != checkpoint.count():
            return f"it has {checkpoint.count()} marks where its tallies tell {counted}"
        checkpoint.notes()
    return None


def _shard_file_problem(path: Path) -> str | None:
    if not path.stat().st_size:
        return None  # as a start that was killed may leave it; if there are marks, their items tell
    with ShardFile(path, readonly=True) as file:
        return file.problem()


def _dedup_problem(path: Path) -> str | None:
    with DedupTable(path) as table:
        return table.problem()


# -- what the files say of each item --


@dataclass(frozen=True)
class Shard:
    """What is known of one shard; files in ``damaged`` are not looked into."""

    folder: JobFolder
    checkpoint: Checkpoint | None
    head: Head
    damaged: set[Path]

    def marks(self, stage: str) -> dict[int, Mark]:
        return dict(self.checkpoint.marks(stage, self.head.shard)) if self.checkpoint else {}

    def path(self, stage: str) -> Path:
        """The shard file of a stage."""
        folder = self.folder
        return shard_file(folder.batches if stage == "download" else folder.hashes, self.head.shard)

    def stored(self, stage: str) -> dict[int, Mark]:
        """The marks beside the payloads in the shard file of a stage."""
        if not self.exists(stage):
            return {}
        with ShardFile(self.path(stage), readonly=True) as file:
            return file.marks()

    def exists(self, stage: str) -> bool:
        path = self.path(stage)
        return path.exists() and path.stat().st_size > 0


STAGES = ("download", "hash", "export")
_STALE = "it was hashed when other bytes were stored"


def check_items(shard: Shard, stage: str, deep: bool) -> Iterator[Finding]:
    """What is wrong with the items of a shard in one stage.

    A finding names the file that says something untrue: where that is forgotten, the stage makes it anew.
    """
    if not shard.damaged.isdisjoint((shard.path("download"), shard.path("hash"))):
        return
    if stage == "export":
        yield from _check_exports(shard)
        return
    yield from _check_marks(shard, stage)
    if stage == "hash":
        yield from _check_origin(shard)
    if deep:
        yield from _check_payloads(shard, stage)
    if deep and stage == "hash":
        yield from _check_sums(shard)


def _check_marks(shard: Shard, stage: str) -> Iterator[Finding]:
    """Marks in the checkpoint against payloads with their marks in the shard file."""
    stored = shard.stored(stage)
    for index, mark in shard.marks(stage).items():
        here = shard.folder.checkpoint_path, Key(shard.head.shard, index)
        if index >= shard.head.rows:
            yield _finding(*here, stage, "there is no such item")
        elif mark.outcome == DONE and index not in stored:
            yield _finding(*here, stage, "it is marked as done, and what was stored is missing")
        elif mark.outcome != DONE and index in stored:
            yield _finding(*here, stage, f"it is marked as {mark.outcome}, and something is stored")
        elif index in stored and stored[index] != mark:
            yield _finding(shard.path(stage), here[1], stage, "it has another mark than in the checkpoint")
    for index in stored:
        if index >= shard.head.rows:
            yield _finding(shard.path(stage), Key(shard.head.shard, index), stage, "there is no such item")


def _check_origin(shard: Shard) -> Iterator[Finding]:
    """Hashes against the images that they were made of."""
    images = shard.stored("download")
    for path, marks in (
        (shard.path("hash"), shard.stored("hash")),
        (shard.folder.checkpoint_path, shard.marks("hash")),
    ):
        for index, mark in marks.items():
            key = Key(shard.head.shard, index)
            if index not in images:
                yield _finding(path, key, "hash", "it is hashed, and its image is not stored")
            elif mark.outcome == DONE and mark.size != images[index].size:
                yield _finding(path, key, "hash", _STALE)


def _check_exports(shard: Shard) -> Iterator[Finding]:
    hashed = shard.marks("hash")
    for stage in shard.checkpoint.stages() if shard.checkpoint else ():
        for index in shard.marks(stage) if stage.startswith("export:") else ():
            if index not in hashed or hashed[index].outcome != DONE:
                key = Key(shard.head.shard, index)
                yield _finding(shard.folder.checkpoint_path, key, stage, "it is exported, and not hashed")


def _check_payloads(shard: Shard, stage: str) -> Iterator[Finding]:
    """Every stored byte against its checksum."""
    path = shard.path(stage)
    if shard.exists(stage):
        with ShardFile(path, readonly=True) as file:
            for index in sorted(file.indices()):
                key = Key(shard.head.shard, index)
                try:
                    file.stored(key)
                except DamagedError:
                    yield _finding(path, key, stage, "its bytes are not those that were stored")


def _check_sums(shard: Shard) -> Iterator[Finding]:
    """The sha256 in every hash against the image; what is damaged has been told of."""
    path = shard.path("hash")
    if shard.exists("hash") and shard.exists("download"):
        with (
            ShardFile(shard.path("download"), readonly=True) as images,
            ShardFile(path, readonly=True) as hashes,
        ):
            for index in sorted(images.indices() & hashes.indices()):
                key = Key(shard.head.shard, index)
                with suppress(DamagedError):
                    image, record = images.stored(key), hashes.stored(key)
                    sha256 = Fingerprint.unpack(_payload(record)).sha256
                    if hashlib.sha256(_payload(image)).digest() != sha256:
                        yield _finding(path, key, "hash", _STALE)


def _payload(result: Result | None) -> bytes:
    return b"" if result is None or result.payload is None else result.payload


def _finding(path: Path, key: Key, stage: str, problem: str) -> Finding:
    return Finding(path, problem, stage, key)
