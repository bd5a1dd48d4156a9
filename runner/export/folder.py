"""The folder of images that an export writes: how files are named, how they appear and go.

    OUT/
      metadata.jsonl          one line per image, in item order
      00017/000170042.jpg     the image of item (17, 42)
      .00017.part/            the images of a shard that has no folder yet, until all of them are written

A name is made of the item's key alone, so nothing of a URL ever reaches the file system. Whatever has its
final name is whole, since it got that name by rename: a shard's first images together with their folder,
which saves a seventh of the time, a later one alone, from a hidden temporary name beside its place. Both
hidden names belong to the shard or the item, so what a killed run left is overwritten or swept away.
"""

import errno
import os
from collections.abc import Collection, Container, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..engine import files
from ..engine.items import Key

METADATA = "metadata.jsonl"
SUFFIXES = (".jpg", ".png", ".webp")


def image_name(key: Key, suffix: str) -> str:
    """Path of an item's image within the export: ``00017/000170042.jpg``."""
    return f"{key.shard:05d}/{_file_name(*key, suffix)}"


def _file_name(shard: int, index: int, suffix: str) -> str:
    return f"{shard:05d}{index:04d}{suffix}"


def temporary(path: Path) -> Path:
    """Where a file is written before it gets its name; hidden, so that no reader takes it for an image."""
    return path.with_name(_hidden(path.name))


def _hidden(name: str) -> str:
    return f".{name}.part"


def _final_name(temporary_name: str) -> str:
    return temporary_name.removeprefix(".").removesuffix(".part")


def disk_errors(folder: Path | str) -> AbstractContextManager[None]:
    """Turn what the disk refuses into the one sentence that ends the run: no item is to blame for it."""
    return files.disk_errors("export to", folder, "run the export again; what is written so far is kept")


@dataclass(frozen=True)
class ImageFolder:
    """The images of one export below ``path``, all with one ``suffix``.

    Touches no file but those named after an item. Raises DiskFullError when there is no room, RunnerError
    when the disk refuses for another reason.
    """

    path: Path
    suffix: str = ".jpg"

    def write(self, key: Key, data: bytes) -> None:
        """Make ``data`` the image of this item, whole or not at all; of a new shard once it is published."""
        shard, name = f"{key.shard:05d}", _file_name(*key, self.suffix)
        new, folder = f"{self.path}/{_hidden(shard)}", f"{self.path}/{shard}"
        with disk_errors(folder):
            try:
                _write(f"{new}/{name}", data)
            except FileNotFoundError:
                if Path(folder).exists():
                    _replace(folder, name, data)
                else:
                    Path(new).mkdir(exist_ok=True)
                    _write(f"{new}/{name}", data)

    def publish(self, shard: int, written: Iterable[int]) -> None:
        """Give the folder of a new shard its name. What is in it and was not ``written`` to the end goes."""
        folder, new = self._shard_folder(shard), self._new_folder(shard)
        with disk_errors(folder):
            if not new.is_dir():
                return
            whole = self._names(shard, written)
            for entry in _files(new):
                if entry.name not in whole:
                    Path(entry.path).unlink()
            try:
                new.rename(folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                for entry in _files(new):  # somebody has made a folder of that name meanwhile
                    Path(entry.path).replace(folder / entry.name)
                new.rmdir()

    def sizes(self, shard: int) -> dict[int, int]:
        """Index -> bytes of every image file of a shard."""
        sizes = {}
        folder = self._shard_folder(shard)
        with disk_errors(folder):
            for entry in [*_files(folder), *_files(self._new_folder(shard))]:
                index, suffix = parse_name(shard, entry.name)
                if index is not None and suffix == self.suffix:
                    sizes[index] = entry.stat(follow_symlinks=False).st_size
        return sizes

    def prune(self, shard: int, wanted: Collection[int], decided: Container[int]) -> int:
        """Delete a shard's ``decided`` images except the wanted, and what a killed run left.

        Returns how many images are gone.
        """
        folder = self._shard_folder(shard)
        removed = 0
        names = self._names(shard, wanted)
        with disk_errors(folder):
            for entry in _files(folder):
                if entry.name in names:
                    continue
                index, _ = parse_name(shard, entry.name)
                if index in decided:
                    Path(entry.path).unlink()
                    removed += index not in wanted
                elif index is None and parse_name(shard, _final_name(entry.name)) != NO_IMAGE:
                    Path(entry.path).unlink()
        with suppress(OSError):  # not there, or not empty
            folder.rmdir()
        return removed

    def _names(self, shard: int, indices: Iterable[int]) -> set[str]:
        return {_file_name(shard, index, self.suffix) for index in indices}

    def _shard_folder(self, shard: int) -> Path:
        return self.path / f"{shard:05d}"

    def _new_folder(self, shard: int) -> Path:
        return self.path / _hidden(f"{shard:05d}")


def _files(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _replace(folder: str, name: str, data: bytes) -> None:
    part = f"{folder}/{_hidden(name)}"
    _write(part, data)
    os.rename(part, f"{folder}/{name}")  # noqa: PTH104  # pathlib takes longer than the system call


def _write(path: str, data: bytes) -> None:
    # Not synced: what a power cut takes has the wrong size afterwards, and the next export writes it again.
    # And not by a file object, which makes three more system calls.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


NO_IMAGE = (None, "")


def parse_name(shard: int, name: str) -> tuple[int | None, str]:
    """The index and the suffix of the item that an image file is named after; of any other file NO_IMAGE."""
    for suffix in SUFFIXES:
        digits = name.removeprefix(f"{shard:05d}").removesuffix(suffix)
        if digits.isdecimal() and digits.isascii():
            index = int(digits)
            if name == _file_name(shard, index, suffix):
                return index, suffix
    return NO_IMAGE
