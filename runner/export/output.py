"""Where an export goes: a folder, or a place that fsspec reaches, such as ``s3://bucket/cats``.

Whatever has its final name is whole. In a folder a file gets its name by rename when it is complete;
elsewhere, where nothing can be renamed, an object is sent when it is complete.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from ..engine.checkpoint import Checkpoint
from ..engine.items import Key
from ..errors import UsageError
from .folder import ImageFolder, disk_errors, temporary

# An attribute of the folder, not a file in it, so that equal exports stay equal. A copy does not have it.
_TOKEN = "user.runner.export"
# Between the parts of what a job notes of an OUT.
_SEPARATOR = b"\0"


class ImageFiles(Protocol):
    """The images of a folder export, one file each; see ``ImageFolder``."""

    def write(self, key: Key, data: bytes) -> None: ...

    def publish(self, shard: int, written: Iterable[int]) -> None: ...

    def sizes(self, shard: int) -> dict[int, int]: ...

    def prune(self, shard: int, wanted: set[int], decided: set[int]) -> int: ...


class Draft(NamedTuple):
    """A file that appears under its name, whole, when it is published. That may take a while."""

    file: BinaryIO
    publish: Callable[[], None]


class Output(Protocol):
    """An OUT, frozen and picklable, spelt in one way only. What it refuses ends the run with one sentence."""

    @property
    def name(self) -> str:
        """As a user may write it."""
        ...

    @property
    def in_this_process(self) -> bool:
        """Whether no other process sees what is written there."""
        ...

    def prepare(self, job: Path) -> bool:
        """Make it ready to be written to; whether it is empty. Raises UsageError if it cannot be an OUT."""
        ...

    def mark(self) -> bytes:
        """Mark it with a new token; empty where that cannot be done."""
        ...

    def token(self) -> bytes | None:
        """What ``mark`` left, empty if nothing is there; None where that cannot be told."""
        ...

    def images(self, suffix: str) -> ImageFiles:
        """The images below it."""
        ...

    def draft(self, name: str) -> AbstractContextManager["Draft"]:
        """A file to write, which is gone at the end of the block if it was not published."""
        ...

    def read(self, name: str) -> bytes | None:
        """A small file; None if there is none."""
        ...

    def sizes(self) -> dict[str, int]:
        """The files directly in it: name -> bytes."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file directly in it, and what a killed run left of it."""
        ...


@dataclass(frozen=True)
class LocalFolder:
    """A folder, made absolute and free of links."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(os.path.realpath(self.path)))

    @property
    def name(self) -> str:
        return os.fspath(self.path)

    @property
    def in_this_process(self) -> bool:
        return False

    def prepare(self, job: Path) -> bool:
        path = self.path
        if path == job or path in job.parents or job in path.parents:
            raise UsageError(f"{path} overlaps with the job folder {job}: choose a folder outside of it.")
        with disk_errors(path):
            if path.exists() and not path.is_dir():
                raise UsageError(f"{path} is not a folder: choose a new or an empty one.")
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return not any(path.iterdir())

    def mark(self) -> bytes:
        token = os.urandom(8).hex().encode()
        try:
            os.setxattr(self.path, _TOKEN, token)
        except OSError:  # a file system without attributes: then the name has to do
            return b""
        return token

    def token(self) -> bytes | None:
        try:
            return os.getxattr(self.path, _TOKEN)
        except OSError as error:
            return b"" if error.errno == errno.ENODATA else None

    def images(self, suffix: str) -> ImageFolder:
        return ImageFolder(self.path, suffix)

    @contextmanager
    def draft(self, name: str) -> Iterator[Draft]:
        path = self.path / name
        part = temporary(path)

        def publish() -> None:
            with disk_errors(self.path):
                file.flush()
                os.fsync(file.fileno())
                part.replace(path)

        try:
            with disk_errors(self.path), part.open("wb") as file:
                yield Draft(file, publish)
        finally:
            with suppress(OSError):  # what cannot be removed is swept up by the next export
                part.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        with disk_errors(self.path):
            path = self.path / name
            return path.read_bytes() if path.is_file() else None

    def sizes(self) -> dict[str, int]:
        with disk_errors(self.path), os.scandir(self.path) as entries:
            files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
            return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in files}

    def remove(self, name: str) -> None:
        with disk_errors(self.path):
            for path in (self.path / name, temporary(self.path / name)):
                path.unlink(missing_ok=True)


def output_for(out: str | Path, job: Path) -> Output:
    """The OUT of this name: a folder, or whatever has ``://`` in it (``file://`` is a folder)."""
    name = os.fspath(out)
    protocol, separator, rest = name.partition("://")
    if not separator:
        return LocalFolder(Path(name))
    if protocol == "file":
        return LocalFolder(Path(rest))
    from .remote import RemoteFolder

    return RemoteFolder(f"{protocol}://{rest.rstrip('/')}", job)


def digest(output: Output) -> str:
    """What an OUT is called in the checkpoint."""
    return hashlib.sha256(os.fsencode(output.name)).hexdigest()[:12]


class _Claim(NamedTuple):
    """What a job notes of an OUT: its name, the format of the export, and the token that marks the folder."""

    name: bytes
    kind: bytes
    token: bytes

    @classmethod
    def read(cls, note: bytes) -> "_Claim":
        return cls(*note.split(_SEPARATOR))


def claim(output: Output, job: Path, checkpoint: Checkpoint, kind: str) -> None:
    """Make an OUT this job's to write to and delete from, in one format, creating it if it is missing.

    The job (an absolute path) notes it before the first file is in it, so an export killed at once can go on.
    An OUT that holds something and was never noted, or was replaced by another folder, is somebody else's.
    Raises UsageError for that, for one that holds another format, and for what cannot be an OUT; RunnerError
    where nothing can be written.
    """
    empty = output.prepare(job)
    name = f"export:{digest(output)}"
    note = checkpoint.note(name)
    if empty:
        ours = _Claim(os.fsencode(output.name), kind.encode(), output.mark())
        checkpoint.set_note(name, _SEPARATOR.join(ours))
        return
    if note is None:
        raise UsageError(
            f"{output.name} is not empty and this job never exported to it: choose a new folder."
        )
    noted = _Claim.read(note)
    if output.token() not in (noted.token, None):
        raise UsageError(
            f"{output.name} is not the folder that this job exported to, but another in its place: "
            "choose a new folder, or remove that one."
        )
    if noted.kind != kind.encode():
        raise UsageError(
            f"{output.name} holds an export as {noted.kind.decode()}: choose another place for {kind}."
        )
