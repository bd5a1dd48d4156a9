"""A folder for what a question needs while it is measured, and whether the disk has room for that."""

import os
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tools.driver import CommandFailed

DELETED_AT_ONCE = 8
SPARE = 1.1  # so many times what is needed must be free


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A new, empty folder, which is gone afterwards."""
    remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Delete a folder, if it is there, with all that is in it: millions of files, perhaps.

    Several at a time, since a disk that is told of every file that goes may take a millisecond for each.
    """
    if folder.exists():
        innermost = [path for path, folders, _ in os.walk(folder) if not folders]
        with ThreadPoolExecutor(DELETED_AT_ONCE) as pool:
            deque(pool.map(shutil.rmtree, innermost), maxlen=0)
        shutil.rmtree(folder, ignore_errors=True)  # which may have been the innermost


def check_room(folder: Path, gigabytes: float, files: int) -> None:
    """Raise CommandFailed if the disk of an existing folder has no room for so much."""
    free, names = room(folder)
    if free < gigabytes or names < files:
        raise CommandFailed(
            f"This takes {gigabytes:.1f} GB and {files:,} files, and {folder} has room for {free:.1f} GB and "
            f"{names:,} files: make room, or ask for fewer."
        )


def room(folder: Path) -> tuple[float, int]:
    """Gigabytes and files that the disk of an existing folder takes, with some to spare."""
    disk = os.statvfs(folder)
    # A file system without a fixed number of files tells 0.
    files = disk.f_favail if disk.f_files else 1 << 62
    return disk.f_bavail * disk.f_frsize / 1e9 / SPARE, int(files / SPARE)
