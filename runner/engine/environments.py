"""LMDB environments, at most one for each file in a process, shared by all who have that file open.

LMDB forbids a second one, because its locks belong to the process. Sharing lets one thread look at a job on
which another works, and two readers of the same images stand side by side.

What is open does not outlive a fork: the child closes its share before it does anything else, and has to open
files of its own. No transaction is under way while this process forks.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import lmdb

Tables = dict[str, "lmdb._Database | None"]
Opened = tuple[lmdb.Environment, Tables]
Opener = Callable[[], Opened]


class Environment:
    """An open file and its tables. Hold ``lock`` for the length of each transaction."""

    def __init__(self, opener: Opener, *, writable: bool) -> None:
        # The map may only grow, and the file only be reopened, while no transaction of this process is open.
        self.lock = threading.Lock()
        self.writable = writable
        self.users = 0
        self._opener = opener
        self.env, self.tables = opener()

    def reopen(self, opener: Opener | None = None, *, writable: bool | None = None) -> None:
        """Open the file again, perhaps to write it; if that fails it is open as it was."""
        with self.lock:
            self.env.close()
            try:
                self.env, self.tables = (opener or self._opener)()
            except BaseException:
                self.env, self.tables = self._opener()
                raise
            self._opener = opener or self._opener
            self.writable = self.writable if writable is None else writable

    @property
    def outdated(self) -> bool:
        """Opened before a writer of another process had made the tables."""
        return None in self.tables.values()


_open: dict[tuple[int, int], Environment] = {}
_released: deque[Environment] = deque()
_guard = threading.Lock()


def share(path: Path, opener: Opener, *, writable: bool) -> Environment:
    """The environment of a file, opened if nobody here has it open, or not as it is wanted."""
    with _guard:
        _close_unused()
        environment = _open.get(_identity(path)) if path.exists() else None
        if environment is None:
            environment = Environment(opener, writable=writable)
            _open[_identity(path)] = environment
        elif environment.outdated or (writable and not environment.writable):
            environment.reopen(opener, writable=writable)
        environment.users += 1
        return environment


def release(environment: Environment) -> None:
    """Be done with it; the last one closes the file. Never waits: the garbage collector calls it too."""
    _released.append(environment)
    if _guard.acquire(blocking=False):
        try:
            _close_unused()
        finally:
            _guard.release()


def _close_unused() -> None:
    while _released:
        environment = _released.popleft()
        environment.users -= 1
        if environment.users == 0:
            environment.env.close()
            for identity in [each for each, known in _open.items() if known is environment]:
                del _open[identity]


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


_held = ExitStack()


def _before_fork() -> None:
    _held.enter_context(_guard)
    for environment in list(_open.values()):
        _held.enter_context(environment.lock)


def _close_inherited() -> None:
    for environment in _open.values():
        environment.env.close()
    _open.clear()
    _held.close()


os.register_at_fork(before=_before_fork, after_in_parent=_held.close, after_in_child=_close_inherited)
