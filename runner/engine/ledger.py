"""The ledger: results that are safe on disk, on their way into the checkpoint."""

import queue
from collections.abc import Callable, Sequence
from typing import Any

from .checkpoint import Checkpoint
from .items import Key, Mark, Result, Stage

Watch = Callable[[Sequence[Mark]], None]
"""Called with the marks just committed, and now and then with none."""


class Ledger:
    """Gathers safe results from any thread; one thread commits them, many at a time."""

    def __init__(self, stage: Stage[Any], checkpoint: Checkpoint, watch: Watch) -> None:
        self._stage = stage
        self._checkpoint = checkpoint
        self._watch = watch
        self._safe: queue.SimpleQueue[Sequence[Result]] = queue.SimpleQueue()

    def add(self, results: Sequence[Result]) -> None:
        """These are stored durably, or have nothing to store."""
        self._safe.put(results)

    def commit(self) -> None:
        """Mark what came in since the last time."""
        marks: dict[Key, Mark] = {}
        while not self._safe.empty():
            marks.update((result.key, result.mark) for result in self._safe.get())
        if marks:
            self._checkpoint.commit(self._stage.name, marks.items())
        self._watch(list(marks.values()))
