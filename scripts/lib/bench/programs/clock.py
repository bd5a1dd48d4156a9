"""What a program has taken since its clock began; for any Python, with nothing but its standard library."""

import json
import resource
import time


class Clock:
    def __init__(self) -> None:
        self._began = time.monotonic()
        self._cpu_began = _cpu_seconds()
        self._peak_began = _peak_mb()

    def lap(self) -> float:
        """Seconds since the clock began."""
        return time.monotonic() - self._began

    def tell(self, **more: object) -> None:
        """Print what it took, as the fields of a ``Run``; ``more`` adds to them or takes their place."""
        taken = {
            "seconds": self.lap(),
            "cpu_seconds": _cpu_seconds() - self._cpu_began,
            "peak_mb": _peak_mb() - self._peak_began,
        }
        print(json.dumps({**taken, **more}))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
