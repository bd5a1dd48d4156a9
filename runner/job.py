"""The job folder: its configuration, its lock, and the path of everything in it.

JOB/
  job.json               configuration, format version, how many shards; written last, by rename
  lock                   held by the one running parent; names it
  manifests/00017.jsonl  immutable; the URLs of one shard
  repeats.lmdb           the columns of repeats, if any had some
  checkpoint.lmdb        every mark of every stage
  checkpoint.notes       a second copy of what else is noted there
  batches/00017.lmdb     the images of one shard, as served
  hashes/00017.lmdb      what the hash pass found for each of them
  dedup.lmdb             the key-value dedup table
  dedup.lmdb.search/     what its search has found so far; only while it is made
  hosts                  who is at which host just now, with --per-host or --rate; means nothing between runs
  errors.log             tracebacks of program errors, if there were any
"""

import contextlib
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from .config import JobConfig
from .engine.checkpoint import Checkpoint
from .engine.files import sync_folder
from .engine.lock import Lock, is_locked, owner
from .engine.soundness import check, check_pages
from .errors import JobError
from .manifest import Head, Summary, manifest_file, read_head, write_manifests, writing_to
from .record import DRAFT, RECORD, NoRecordError, Record
from .repeats import Keeper, Lists, Repeats

ERROR_LOG = "errors.log"

# Where lists are taken apart, before they become manifests by rename.
PARTIAL = "manifests.partial"
SCRATCH = "lists.partial"

_LOCK = "lock"
_MANIFESTS = "manifests"
_REPEATS = "repeats.lmdb"
# What a start that was killed before its job.json may have left.
_UNFINISHED = {_LOCK, _MANIFESTS, PARTIAL, SCRATCH, DRAFT, _REPEATS, f"{_REPEATS}-lock"}


class JobFolder:
    """Paths and configuration of one job."""

    def __init__(self, path: Path, record: Record) -> None:
        self.path = path
        self.record = record
        self.manifests = path / _MANIFESTS
        self.batches = path / "batches"
        self.hashes = path / "hashes"
        self.repeats_path = path / _REPEATS
        self.dedup = path / "dedup.lmdb"
        self.hosts = path / "hosts"
        self.checkpoint_path = path / "checkpoint.lmdb"

    @classmethod
    def create(cls, path: Path, lists: Sequence[str], config: JobConfig) -> Self:
        """Shard the lists into a new job folder.

        Raises JobError if the folder is taken, ListError if a list cannot be read; nothing is left then.
        """
        _check_name(path)
        _check_free(path)
        existed = path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(f"Cannot create {path}: {error.strerror}. Choose another folder.") from error
        with Lock(path / _LOCK):
            _check_free(path)
            try:
                with writing_to(path):
                    record = _shard(path, lists, config)
            except BaseException:
                _clear_unfinished(path)
                (path / _LOCK).unlink()
                if not existed:
                    path.rmdir()
                raise
        return cls(path, record)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing job. Raises JobError with the remedy if it is none."""
        _check_name(path)
        return cls(path, _read_record(path))

    @property
    def config(self) -> JobConfig:
        return self.record.config

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def lock_path(self) -> Path:
        return self.path / _LOCK

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one running parent. Raises BusyError."""
        with Lock(self.lock_path):
            self.sweep()
            if manifest_file(self.manifests, self.record.shards).exists():
                raise JobError(
                    f"{self.path / RECORD} is older than the manifests, which are more than the "
                    f"{self.record.shards} that it tells of: restore all of them from one copy."
                )
            yield

    def rewrite(self, record: Record) -> None:
        """Replace job.json; for who has the lock."""
        with writing_to(self.path):
            record.write(self.path)
        self.record = record

    def sweep(self) -> None:
        """Remove what an addition left that was killed before job.json counted its shards."""
        self.record = _read_record(self.path)
        shutil.rmtree(self.path / SCRATCH, ignore_errors=True)
        partial = self.path / PARTIAL
        if not partial.exists():
            return
        with writing_to(self.path):
            counted = set(self.manifest_paths())
            for path in self.manifests.iterdir():
                if path not in counted:
                    path.unlink()
            sync_folder(self.manifests)
            shutil.rmtree(partial)

    def checkpoint(self) -> Checkpoint:
        """The checkpoint, to be written by the process that has the lock. Raises DamagedError."""
        _check_store(self.checkpoint_path)
        return Checkpoint(self.checkpoint_path)

    @contextlib.contextmanager
    def reader(self) -> Iterator[Checkpoint | None]:
        """The checkpoint, to be read at any time; None if nothing was ever marked."""
        if not self.checkpoint_path.exists() or not self.checkpoint_path.stat().st_size:
            yield None
            return
        if not is_locked(self.lock_path):  # who has the lock has checked it
            _check_store(self.checkpoint_path)
        with Checkpoint(self.checkpoint_path, readonly=True) as checkpoint:
            yield checkpoint

    def heads(self) -> list[Head]:
        """The heads of all manifests, in order of shards. Raises JobError if one is missing or damaged.

        Whoever has no lock may find more of them than the last time: job.json is read again.
        """
        self.record = _read_record(self.path)
        return [read_head(path) for path in self.manifest_paths()]

    def manifest_paths(self) -> list[Path]:
        """Where every manifest is, or should be."""
        return [manifest_file(self.manifests, shard) for shard in range(self.record.shards)]

    def lines(self, heads: Sequence[Head]) -> Summary:
        """What became of the lines of all the job's lists."""
        uncounted = self.record.uncounted
        return Summary(
            items=sum(head.rows for head in heads),
            repeats=sum(head.repeats for head in heads) + uncounted.repeats,
            blank=sum(head.blank for head in heads) + uncounted.blank,
            shards=len(heads),
        )

    def repeats(self) -> Repeats:
        """What repeats carried, to be read at any time. Raises DamagedError."""
        if not is_locked(self.lock_path):  # who has the lock has checked it
            _check_store(self.repeats_path)
        return Repeats(self.repeats_path, self.lines(self.heads()).lines)

    def keeper(self) -> Keeper:
        """The same, to be written by the process that has the lock. Raises DamagedError."""
        if self.repeats_path.exists():
            check(self.repeats_path)
        return Keeper(self.repeats_path)

    def lists(self, heads: Sequence[Head]) -> Lists:
        """What the lists say of the items, for the processes of a run. Raises DamagedError."""
        _check_store(self.repeats_path)
        return Lists(self.manifests, self.repeats_path, self.lines(heads).lines)


def _check_store(path: Path) -> None:
    if path.exists() and path.stat().st_size:
        check_pages(path)


def _shard(path: Path, lists: Sequence[str], config: JobConfig) -> Record:
    """Write the manifests, then job.json: a folder without job.json is no job yet."""
    from .sources.reading import rows  # brings every format, and what they need: not for every command

    _clear_unfinished(path)
    partial = path / PARTIAL
    partial.mkdir()
    found = rows(lists, config.lists, path / SCRATCH)
    with Keeper(path / _REPEATS) as keeper:
        summary = write_manifests(found, partial, config.shard_size, keep=keeper.keep)
    shutil.rmtree(path / SCRATCH, ignore_errors=True)
    partial.rename(path / _MANIFESTS)
    record = Record(config, summary.shards)
    record.write(path)
    return record


def _check_name(path: Path) -> None:
    # LMDB and JSON take UTF-8 only, and so would every message about the job.
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise JobError(f"{str(path)!r} is not UTF-8: choose another name for the job folder.") from None


def _is_unfinished(path: Path) -> bool:
    """True for a folder with nothing in it but what a start leaves that was killed before the end."""
    return {entry.name for entry in path.iterdir()} <= _UNFINISHED


def _check_free(path: Path) -> None:
    if (path / RECORD).exists():
        raise JobError(_how_it_is_taken(path))
    if path.exists() and not path.is_dir():
        raise JobError(f"{path} is a file: choose another folder for the job.")
    if path.is_dir() and not _is_unfinished(path):
        raise JobError(f"{path} is not empty and not a job: choose another folder.")


def _how_it_is_taken(path: Path) -> str:
    name = shlex.quote(str(path))
    if is_locked(path / _LOCK):
        return (
            f"{path} is a job already, and {owner(path / _LOCK)} is at work on it. Watch it: runner status "
            f"{name} --watch. Add new URLs when it is done: runner add {name} LIST"
        )
    return (
        f"{path} is a job already. Go on with it: runner resume {name}. "
        f"Add new URLs to it: runner add {name} LIST"
    )


def _read_record(path: Path) -> Record:
    try:
        return Record.read(path)
    except NoRecordError:
        raise JobError(_why_no_job(path)) from None


def _why_no_job(path: Path) -> str:
    if not path.exists():
        return f"{path} does not exist. Start a job: runner start {path} LIST"
    if is_locked(path / _LOCK):
        return f"{path} is just being made from its list: try again in a moment."
    if (path / _LOCK).exists() and _is_unfinished(path):
        return f"{path} was interrupted while its list was read. Start it again: runner start {path} LIST"
    if (path / _LOCK).exists():
        return f"{path} has lost its {RECORD}: restore it from a copy."
    return f"{path} is not a job: it has no {RECORD}."


def _clear_unfinished(path: Path) -> None:
    for name in (_MANIFESTS, PARTIAL, SCRATCH):
        shutil.rmtree(path / name, ignore_errors=True)
    for name in (DRAFT, _REPEATS, f"{_REPEATS}-lock"):
        (path / name).unlink(missing_ok=True)
