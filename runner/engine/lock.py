"""The lock of a folder: one running parent. The kernel releases it, however that process ends."""

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import BusyError, StoreError

# A status that looks at the lock holds it for an instant; so one refusal proves nothing.
TRIES = 5
PAUSE_SECONDS = 0.05


class Lock:
    """An exclusive lock on ``path``, a file that names its owner. BusyError if another process has it."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"Cannot lock {path}: {error.strerror}. Make the folder writable.") from error
        try:
            self._acquire(path)
        except BaseException:
            os.close(self._file)
            raise

    def _acquire(self, path: Path) -> None:
        for _ in range(TRIES):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                name = json.dumps({"pid": os.getpid(), "host": os.uname().nodename})
                os.ftruncate(self._file, 0)
                with contextlib.suppress(OSError):  # no room for a name: the lock holds without
                    os.pwrite(self._file, name.encode(), 0)
                return
            time.sleep(PAUSE_SECONDS)
        raise BusyError(
            f"{path.parent} is in use by {owner(path)}. Wait for it, or stop it: what it has done is kept."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


def is_locked(path: Path) -> bool:
    """True while a process holds the lock; never waits."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def owner(path: Path) -> str:
    """Who holds the lock, in words."""
    try:
        who = json.loads(path.read_text())
        return f"process {who['pid']} on {who['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
