"""Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..session import Progress

# How often a line is printed where there is no terminal.
LINE_SECONDS = 10.0


class ProgressBar:
    """Items done, images/s, MB/s, failures and time left, of one stage after the other."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None
        self.running = False

    def __call__(self, progress: "Progress") -> None:
        if not self.running:
            self.running = True
            self._started = self._printed = time.monotonic()
        if not self._quiet:
            with suppress(OSError):  # the terminal or the reader is gone: the work goes on
                self._show(progress)
        if progress.ended:
            self.running = False
            self._bar = None

    def _show(self, progress: "Progress") -> None:
        if sys.stderr.isatty():
            self._move_bar(progress)
        elif (progress.ended and progress.new) or time.monotonic() - self._printed > LINE_SECONDS:
            self._printed = time.monotonic()
            print(self._line(progress), file=sys.stderr, flush=True)

    def _move_bar(self, progress: "Progress") -> None:
        if self._bar is None:
            from tqdm import tqdm  # is slow to load: not where there is no terminal

            self._bar = tqdm(
                desc=progress.stage,
                total=progress.total,
                initial=progress.done,
                unit=" images",
                dynamic_ncols=True,
                smoothing=0.1,
            )
        if progress.new:
            self._bar.set_postfix_str(self._details(progress), refresh=False)
        self._bar.update(progress.done - self._bar.n)
        if progress.ended:
            self._bar.close()

    def _line(self, progress: "Progress") -> str:
        left = (progress.total - progress.done) * self._seconds() / progress.new if progress.new else 0.0
        return (
            f"{progress.stage}: {progress.done:,} of {progress.total:,}, "
            f"{progress.new / self._seconds():,.0f} images/s, "
            f"{self._details(progress)}, {timedelta(seconds=round(left))} left"
        )

    def _details(self, progress: "Progress") -> str:
        return f"{progress.bytes / self._seconds() / 1e6:.1f} MB/s, {progress.failed:,} failed"

    def _seconds(self) -> float:
        return max(time.monotonic() - self._started, 1e-3)
