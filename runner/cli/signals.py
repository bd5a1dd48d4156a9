"""The first Ctrl-C stops gently, the second at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..engine.stop import Stop
from .progress import ProgressBar

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Turns signals into a request to stop, or, where there is no stage to ask, into KeyboardInterrupt."""

    def __init__(self, stop: Stop, progress: ProgressBar) -> None:
        self._stop = stop
        self._progress = progress
        self._signal = signal.SIGINT

    @property
    def exit_code(self) -> int:
        """As shells have it: 128 and the signal's number, so 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self._signal

    @contextmanager
    def handled(self) -> Iterator[None]:
        """While this lasts, signals are handled here."""
        before = {number: signal.signal(number, self._handle) for number in HANDLED}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._signal = signal.Signals(number)
        again = self._stop.asked
        self._stop.ask()
        if again or not self._progress.running:
            raise KeyboardInterrupt
