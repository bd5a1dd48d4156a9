"""Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tqdm import tqdm

from ..engine.items import DONE, Mark
from ..engine.ledger import Watch

# How often a line is printed where there is no terminal.
LINE_SECONDS = 10.0


class ProgressBar:
    """Items done, images/s, MB/s, failures and time left, of one stage after the other."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None
        self.running = False

    def begin(self, stage: str, total: int, finished: int) -> Watch:
        self.running = True
        self._stage = stage
        self._total = total
        self._finished = finished
        self._count = self._failed = self._bytes = 0
        self._started = self._printed = time.monotonic()
        self._terminal = sys.stderr.isatty()
        if self._terminal and not self._quiet:
            self._bar = tqdm(
                desc=stage, total=total, initial=finished, unit=" images", dynamic_ncols=True, smoothing=0.1
            )
        return self._watch

    def end(self) -> None:
        self.running = False
        with suppress(OSError):
            if self._bar is not None:
                self._bar.close()
            elif not self._quiet and self._count:
                self._print_line()
        self._bar = None

    def _watch(self, marks: Sequence[Mark]) -> None:
        self._count += len(marks)
        self._failed += sum(mark.outcome != DONE for mark in marks)
        self._bytes += sum(mark.size for mark in marks)
        with suppress(OSError):  # the terminal or the reader is gone: the work goes on
            if self._bar is not None:
                if marks:
                    self._bar.set_postfix_str(self._details(), refresh=False)
                self._bar.update(len(marks))
            elif not self._quiet and time.monotonic() - self._printed > LINE_SECONDS:
                self._print_line()

    def _print_line(self) -> None:
        self._printed = time.monotonic()
        seconds = max(self._printed - self._started, 1e-3)
        done = self._finished + self._count
        left = (self._total - done) * seconds / self._count if self._count else 0.0
        print(
            f"{self._stage}: {done:,} of {self._total:,}, {self._count / seconds:,.0f} images/s, "
            f"{self._details()}, {tqdm.format_interval(left)} left",
            file=sys.stderr,
            flush=True,
        )

    def _details(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        return f"{self._bytes / seconds / 1e6:.1f} MB/s, {self._failed:,} failed"
