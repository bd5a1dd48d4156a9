"""What a program takes from when its clock begins; for any Python, with nothing but the standard library."""

import json
import resource
import time
from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self._began = time.monotonic()
        self._cpu_began = _cpu_seconds()

    def lap(self) -> float:
        """Seconds since the clock began."""
        return time.monotonic() - self._began

    def tell(self, **more: object) -> None:
        """Print what it took, as the fields of a ``Run``; ``more`` adds to them or takes their place."""
        taken = {
            "seconds": self.lap(),
            "cpu_seconds": _cpu_seconds() - self._cpu_began,
            "peak_mb": _peak_mb(),
        }
        print(json.dumps({**taken, **more}))


def _cpu_seconds() -> float:
    """Of the process, and of the children that it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_mb() -> float:
    """Of the process. What ``getrusage`` tells would begin with the memory of the one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
