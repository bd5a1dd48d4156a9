"""Files beside LMDB's: what lets a new name survive a power cut, and what is said when a disk refuses."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import DiskFullError, StoreError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def sync_folder(folder: Path) -> None:
    """Write the folder's list of names to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leave_cache(path: Path, end: int) -> None:
    """Let the system forget its copy in memory of what is on disk before ``end``, a number of bytes.

    What a process has mapped it keeps.
    """
    with suppress(OSError):  # not all file systems can, and nothing depends on it
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, end, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def no_room(folder: Path | str, then: str) -> DiskFullError:
    return DiskFullError(f"No room left in {folder}: free some space (or raise the quota), then {then}.")


@contextmanager
def disk_errors(doing: str, folder: Path | str, then: str) -> Iterator[None]:
    """Turn what the disk refuses into one sentence: what could not be done, and what to do ``then``."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room(folder, then) from error
        raise StoreError(
            f"Cannot {doing} {folder}: {error.strerror or error}. "
            f"Make it a folder that can be written to, or choose another, then {then}."
        ) from error
