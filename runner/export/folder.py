"""The folder that an export writes: who may write to it, how files are named, how they appear and go.

    OUT/
      metadata.jsonl          one line per image, in item order
      00017/000170042.jpg     the image of item (17, 42)

A name is made of the item's key alone, so nothing of a URL ever reaches the file system. A file is written
under a hidden temporary name beside its place and renamed into it: whatever has its final name is whole.
The temporary name belongs to the item too, so what a killed run left is overwritten or swept away.
"""

import errno
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..engine.checkpoint import Checkpoint
from ..engine.items import Key
from ..errors import DiskFullError, RunnerError, UsageError

METADATA = "metadata.jsonl"
SUFFIX = ".jpg"


def image_name(key: Key) -> str:
    """Path of an item's image within the export: ``00017/000170042.jpg``."""
    return f"{key.shard:05d}/{key.shard:05d}{key.index:04d}{SUFFIX}"


def temporary(path: Path) -> Path:
    """Where a file is written before it gets its name; hidden, so that no reader takes it for an image."""
    return path.with_name(f".{path.name}.part")


def _final_name(temporary_name: str) -> str:
    return temporary_name.removeprefix(".").removesuffix(".part")


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into the one sentence that ends the run: no item is to blame for it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"No room left in {folder}: free some space (or raise the quota), then run the export again; "
                "what is written so far is kept."
            ) from error
        raise RunnerError(
            f"Cannot export to {folder}: {error.strerror or error}. "
            "Make it a folder that can be written to, or choose another, then run the export again."
        ) from error


@dataclass(frozen=True)
class ImageFolder:
    """The images of one export below ``path``. Touches no file but those named after an item.

    Raises DiskFullError when there is no room, RunnerError when the disk refuses for another reason.
    """

    path: Path

    def write(self, key: Key, data: bytes) -> None:
        """Make ``data`` the image of this item, whole or not at all."""
        path = self.path / image_name(key)
        with disk_errors(path.parent):
            try:
                _replace(path, data)
            except FileNotFoundError:
                path.parent.mkdir(exist_ok=True)
                _replace(path, data)

    def sizes(self, shard: int) -> dict[int, int]:
        """Index -> bytes of every image file of a shard."""
        with disk_errors(self._shard_folder(shard)):
            return {
                index: entry.stat(follow_symlinks=False).st_size
                for entry in self._files(shard)
                if (index := _index(shard, entry.name)) is not None
            }

    def prune(self, shard: int, wanted: Container[int]) -> int:
        """Delete a shard's images except the wanted, and what a killed run left; returns how many images."""
        folder = self._shard_folder(shard)
        removed = 0
        with disk_errors(folder):
            for entry in self._files(shard):
                index = _index(shard, entry.name)
                if index is not None and index not in wanted:
                    Path(entry.path).unlink()
                    removed += 1
                elif index is None and _index(shard, _final_name(entry.name)) is not None:
                    Path(entry.path).unlink()
        with suppress(OSError):  # not there, or not empty
            folder.rmdir()
        return removed

    def _files(self, shard: int) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._shard_folder(shard)) as entries:
                return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def _shard_folder(self, shard: int) -> Path:
        return self.path / f"{shard:05d}"


def _replace(path: Path, data: bytes) -> None:
    # Not synced: what a power cut takes has the wrong size afterwards, and the next export writes it again.
    part = temporary(path)
    part.write_bytes(data)
    part.replace(path)


def _index(shard: int, name: str) -> int | None:
    """The index of the item that an image file is named after; None for any other file."""
    digits = name.removeprefix(f"{shard:05d}").removesuffix(SUFFIX)
    if digits.isdecimal() and digits.isascii():
        key = Key(shard, int(digits))
        if image_name(key).endswith(f"/{name}"):
            return key.index
    return None


def claim(out: Path, job: Path, checkpoint: Checkpoint, note: str) -> None:
    """Make ``out`` (an absolute path) this job's to write to and delete from, creating it if it is missing.

    The job notes the folder before the first file is in it, so an export killed at once can go on. A folder
    that holds something and was never noted is somebody else's. Raises UsageError for that, for a file and
    for a folder that overlaps with the job's; RunnerError where nothing can be written.
    """
    if out == job or out in job.parents or job in out.parents:
        raise UsageError(f"{out} overlaps with the job folder {job}: choose a folder outside of it.")
    with disk_errors(out):
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is not a folder: choose a new or an empty one.")
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        empty = not any(out.iterdir())
    if checkpoint.note(note) is None:
        if not empty:
            raise UsageError(f"{out} is not empty and this job never exported to it: choose a new folder.")
        checkpoint.set_note(note, os.fsencode(out))
