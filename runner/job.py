"""The job folder: its configuration, its lock, and the path of everything in it.

JOB/
  job.json               frozen configuration and format version; written last, by rename
  lock                   held by the one running parent; names it
  manifests/00017.jsonl  immutable; the URLs of one shard
  checkpoint.lmdb        every mark of every stage
  batches/00017.lmdb     the images of one shard, as served
  hashes/00017.lmdb      what the hash pass found for each of them
  dedup.lmdb             the key-value dedup table
  hosts                  who is at which host just now, with --per-host or --rate; means nothing between runs
  errors.log             tracebacks of program errors, if there were any
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from .engine.checkpoint import Checkpoint
from .engine.files import sync_folder
from .engine.lock import Lock, is_locked
from .engine.soundness import check_pages
from .engine.store import LMDB_ENGINE
from .errors import JobError, UsageError
from .fetch.options import FetchOptions
from .manifest import Head, manifest_name, read_head, write_manifests, writing_to
from .sources import rows
from .sources.options import ListOptions

FORMAT = 1
"""Version of the job folder. A reader refuses a newer one."""

MAX_WORKERS = 256

ERROR_LOG = "errors.log"

_CONFIG = "job.json"
_LOCK = "lock"
_MANIFESTS = "manifests"
_PARTIAL = ".partial"
_SCRATCH = "lists" + _PARTIAL
# What a start that was killed before its job.json may have left.
_UNFINISHED = {_LOCK, _MANIFESTS, _MANIFESTS + _PARTIAL, _SCRATCH, _CONFIG + _PARTIAL}


@dataclass(frozen=True)
class JobConfig:
    """What `start` was told, frozen in job.json."""

    workers: int = 8
    shard_size: int = 10_000
    fetch: FetchOptions = field(default_factory=FetchOptions)
    lists: ListOptions = field(default_factory=ListOptions)

    def __post_init__(self) -> None:
        check_workers(self.workers)
        if self.shard_size < 1:
            raise UsageError("--shard-size must be at least 1.")

    @classmethod
    def from_options(cls, **options: Any) -> Self:
        """The configuration from a flat set of options, named as on the command line."""

        def take(*names: str) -> dict[str, Any]:
            return {name: options.pop(name) for name in names if name in options}

        own = take("workers", "shard_size")
        lists = ListOptions(**take(*(entry.name for entry in fields(ListOptions))))
        fetch = FetchOptions(**take(*(entry.name for entry in fields(FetchOptions))))
        if options:
            raise UsageError(f"There is no option called {', '.join(sorted(options))}.")
        return cls(**own, fetch=fetch, lists=lists)

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "lmdb": LMDB_ENGINE, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        lists = ListOptions(**data.get("lists", {}))  # the first jobs had none
        return cls(data["workers"], data["shard_size"], FetchOptions(**data["fetch"]), lists)


def check_workers(workers: int) -> None:
    """Raise UsageError if so many worker processes make no sense."""
    if not 0 <= workers <= MAX_WORKERS:
        raise UsageError(
            f"--workers is a number from 0 (all in one process) to {MAX_WORKERS}, not {workers}."
        )


class JobFolder:
    """Paths and configuration of one job."""

    def __init__(self, path: Path, config: JobConfig, shards: int) -> None:
        self.path = path
        self.config = config
        self.shards = shards  # at least; none of their manifests may be missing
        self.manifests = path / _MANIFESTS
        self.batches = path / "batches"
        self.hashes = path / "hashes"
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
                    shards = _shard(path, lists, config)
            except BaseException:
                _clear_unfinished(path)
                (path / _LOCK).unlink()
                if not existed:
                    path.rmdir()
                raise
        return cls(path, config, shards)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing job. Raises JobError with the remedy if it is none."""
        _check_name(path)
        try:
            data = json.loads((path / _CONFIG).read_text())
            version = data["format"]
        except (FileNotFoundError, NotADirectoryError):
            raise JobError(_why_no_job(path)) from None
        except OSError as error:
            raise JobError(f"Cannot read {path / _CONFIG}: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError):
            raise JobError(f"{path / _CONFIG} is damaged: restore it from a copy.") from None
        if version != FORMAT:
            raise JobError(
                f"{path} has job format {version}, and this runner reads format {FORMAT}: upgrade runner."
            )
        try:
            return cls(path, JobConfig.from_json(data), data["shards"])
        except (KeyError, TypeError, UsageError) as error:
            raise JobError(f"{path / _CONFIG} is damaged ({error}): restore it from a copy.") from None

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def lock_path(self) -> Path:
        return self.path / _LOCK

    def lock(self) -> Lock:
        """Be the one running parent. Raises BusyError."""
        return Lock(self.lock_path)

    def checkpoint(self) -> Checkpoint:
        """The checkpoint, to be written by the process that has the lock. Raises DamagedError."""
        if self.checkpoint_path.exists() and self.checkpoint_path.stat().st_size:
            check_pages(self.checkpoint_path)
        return Checkpoint(self.checkpoint_path)

    @contextlib.contextmanager
    def reader(self) -> Iterator[Checkpoint | None]:
        """The checkpoint, to be read at any time; None if nothing was ever marked."""
        if not self.checkpoint_path.exists() or not self.checkpoint_path.stat().st_size:
            yield None
            return
        if not is_locked(self.lock_path):  # who has the lock has checked it
            check_pages(self.checkpoint_path)
        with Checkpoint(self.checkpoint_path, readonly=True) as checkpoint:
            yield checkpoint

    def heads(self) -> list[Head]:
        """The heads of all manifests, in order of shards. Raises JobError if one is missing or damaged."""
        return [read_head(path) for path in self.manifest_paths()]

    def manifest_paths(self) -> list[Path]:
        """Where every manifest is, or should be."""
        count = max(self.shards, sum(1 for _ in self.manifests.glob("*.jsonl")))
        return [self.manifests / manifest_name(shard) for shard in range(count)]


def _shard(path: Path, lists: Sequence[str], config: JobConfig) -> int:
    """Write the manifests, then job.json: a folder without job.json is no job yet. Returns how many."""
    _clear_unfinished(path)
    partial = path / (_MANIFESTS + _PARTIAL)
    partial.mkdir()
    scratch = path / _SCRATCH
    summary = write_manifests(rows(lists, config.lists, scratch), partial, config.shard_size)
    shutil.rmtree(scratch, ignore_errors=True)
    partial.rename(path / _MANIFESTS)
    draft = path / (_CONFIG + _PARTIAL)
    with draft.open("w") as file:
        json.dump({**config.to_json(), "shards": summary.shards}, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path / _CONFIG)
    sync_folder(path)
    return summary.shards


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
    if (path / _CONFIG).exists():
        raise JobError(f"{path} is a job already. Go on with it: runner resume {path}")
    if path.exists() and not path.is_dir():
        raise JobError(f"{path} is a file: choose another folder for the job.")
    if path.is_dir() and not _is_unfinished(path):
        raise JobError(f"{path} is not empty and not a job: choose another folder.")


def _why_no_job(path: Path) -> str:
    if not path.exists():
        return f"{path} does not exist. Start a job: runner start {path} LIST"
    if is_locked(path / _LOCK):
        return f"{path} is just being made from its list: try again in a moment."
    if (path / _LOCK).exists() and _is_unfinished(path):
        return f"{path} was interrupted while its list was read. Start it again: runner start {path} LIST"
    if (path / _LOCK).exists():
        return f"{path} has lost its {_CONFIG}: restore it from a copy."
    return f"{path} is not a job: it has no {_CONFIG}."


def _clear_unfinished(path: Path) -> None:
    for name in (_MANIFESTS, _MANIFESTS + _PARTIAL, _SCRATCH):
        shutil.rmtree(path / name, ignore_errors=True)
    (path / (_CONFIG + _PARTIAL)).unlink(missing_ok=True)
