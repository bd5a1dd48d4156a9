"""Child processes that end with us, whatever ends us."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any


class Child:
    """A command in a session of its own, so that one signal reaches it and all it has started.

    Leaving the ``with`` block kills what is left of it.
    """

    def __init__(self, command: Sequence[str | Path], **options: Any) -> None:
        self.command = [str(word) for word in command]
        self.process = subprocess.Popen(self.command, start_new_session=True, **options)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.kill()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self) -> int:
        return self.process.wait()

    def wait_for_usage(self) -> tuple[int, float]:
        """Exit code, and seconds of processor time of the command and of the children that it waited for."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode, usage.ru_utime + usage.ru_stime

    def kill(self) -> None:
        """SIGKILL the whole tree at once, without warning. Nothing happens when the command has ended."""
        if self.running:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.wait()

    def descendants(self) -> list[int]:
        """The processes that the command has started, and those that they have, by id."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                children.setdefault(_parent(entry), []).append(int(entry.name))
        found = list(children.get(self.process.pid, ()))
        for pid in found:
            found += children.get(pid, ())
        return found


@contextmanager
def end_cleanly() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C leave every ``with`` block, and end without a traceback."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except KeyboardInterrupt:
        print("\nStopped; everything that was started has ended.", file=sys.stderr)
        sys.exit(130)


def _parent(process: Path) -> int:
    """The parent of a process, from its folder in /proc; 0 when it has just ended."""
    with suppress(OSError):
        # After the name, which may hold spaces and parentheses: the state, the parent, and so on.
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return 0
