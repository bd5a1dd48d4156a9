"""Memory of running processes, read from /proc while they run."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .children import Child

SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Peak:
    """Most megabytes seen, without mapped files: of all processes together, of the first, of any other."""

    together: float = 0.0
    parent: float = 0.0
    worker: float = 0.0

    def raised_by(self, parent: float, workers: list[float]) -> "Peak":
        """The peak when these processes have been seen too."""
        return Peak(
            max(self.together, parent + sum(workers)),
            max(self.parent, parent),
            max(self.worker, *workers, 0.0),
        )


class MemoryWatch:
    """Looks at a command and all that it has started, now and then, while the ``with`` block runs."""

    def __init__(self, child: Child) -> None:
        self.peak = Peak()
        self._child = child
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            workers = [resident(pid)[0] for pid in self._child.descendants()]
            self.peak = self.peak.raised_by(resident(self._child.process.pid)[0], workers)
            if self._over.wait(SAMPLE_SECONDS):
                return


def resident(pid: int) -> tuple[float, float]:
    """Megabytes of a process: its own, and with the pages of mapped files. 0 when it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    fields = dict(line.split(":", 1) for line in lines)
    own, total = (int(fields.get(name, "0 kB").split()[0]) / 1024 for name in ("RssAnon", "VmRSS"))
    return own, total
