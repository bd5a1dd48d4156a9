"""A folder for what a question needs while it is measured, and whether the disk has room for that."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.driver import CommandFailed

SPARE = 1.1  # so many times what is needed must be free


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A new, empty folder, which is gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


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
