"""Runs a stage over what is left of its items: in worker processes, or in this one."""

from collections.abc import Iterator, Sequence
from typing import Any

from .board import Board
from .checkpoint import Checkpoint
from .errors import StoppedError
from .feed import Feed, work
from .items import Mark, Stage
from .ledger import Ledger, Watch
from .plan import Task, Work, pending_tasks
from .stop import Stop
from .supervisor import Supervisor
from .writer import ChunkWriter


def ignore(marks: Sequence[Mark]) -> None:
    """Watch nothing."""


def run(
    stage: Stage[Any],
    items: Work,
    checkpoint: Checkpoint,
    *,
    workers: int = 8,
    watch: Watch = ignore,
    stop: Stop | None = None,
) -> None:
    """Bring every item of the stage to a mark.

    ``items`` yields (shard, indices of its members); those that have a mark are left out. ``workers`` 0 runs
    the stage in this process, with the same semantics except that a crash of the stage is a crash of it all.
    ``watch`` hears of marks as they are committed. Raises StoppedError after ``stop`` was asked, and
    RunnerError when the run cannot go on; what was finished is committed in every case.
    """
    stop = stop or Stop()
    plan = pending_tasks(stage.name, items, checkpoint)
    ledger = Ledger(stage, checkpoint, watch)
    if workers:
        Supervisor(stage, plan, ledger, stop).run(workers)
    else:
        _run_here(stage, plan, ledger, stop)


class _PlannedTasks:
    """Tasks straight from the plan."""

    def __init__(self, plan: Iterator[Task]) -> None:
        self._plan = plan
        self.ended = False

    def get(self) -> Task | None:
        task = next(self._plan, None)
        self.ended = task is None
        return task

    def prefetch(self) -> None:
        """Nothing to wait for."""


def _run_here(stage: Stage[Any], plan: Iterator[Task], ledger: Ledger, stop: Stop) -> None:
    writer = ChunkWriter(stage.output, ledger.add)
    try:
        with Board.create() as board:
            for _ in work(stage, Feed(stage, _PlannedTasks(plan), writer, board, stop)):
                ledger.commit()
    finally:
        writer.close()
        ledger.commit()
    if stop.asked:
        raise StoppedError("Stopped. Everything that was finished is kept.")
