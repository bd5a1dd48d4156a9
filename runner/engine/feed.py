"""The feed: the items that a stage pulls, task after task, without a pause at the end of any."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from .board import Board
from .errors import DamagedError, DiskFullError
from .items import Item, Items, Key, Result, Stage
from .plan import OpenShards, Task
from .stop import Stop
from .writer import ChunkWriter

# The next task is asked for when so few items of the current one are left.
LOW_WATER = 16
# How long a feed that has nothing to give, to a stage that has nothing in flight, sleeps between two looks.
PAUSE_SECONDS = 0.01
# Shards with unfinished items that a worker may have: it takes files, and what others could do meanwhile.
MOST_OPEN = 32


class Tasks(Protocol):
    """Where a feed gets its tasks."""

    ended: bool
    """No task will come any more."""

    def get(self) -> Task | None:
        """The next task; None if there is none now."""
        ...

    def prefetch(self) -> None:
        """The next task will be wanted soon."""
        ...


class Feed(Items[Any]):
    """Gives items to ``Stage.process``; the board shows what the stage has in hand."""

    def __init__(
        self, stage: Stage[Any], tasks: Tasks, writer: ChunkWriter, board: Board, stop: Stop
    ) -> None:
        self._stage = stage
        self._tasks = tasks
        self._writer = writer
        self._shards = OpenShards(writer)
        self._board = board
        self._stop = stop
        self._items: Iterator[Item[Any]] = iter(())
        self._task = Task(0, [])
        self._next: Task | None = None
        self._given = 0
        self._put_by = 0
        self._unflushed = False

    def __next__(self) -> Item[Any] | None:
        while not self._stop.asked:
            if not self._held_back():
                item = self._next_item()
                if item is not None:
                    self._board.take(item.key)
                    return item
                if self._ended:
                    break
            if len(self._board):
                return None
            self._look_up()
            if self._put_by:
                return None
            if self._ended and not self._has_work():
                break
            time.sleep(PAUSE_SECONDS)
        raise StopIteration

    def put_by(self, key: Key) -> None:
        self._board.finish(key)
        self._put_by += 1

    def take_back(self, shard: int, indices: Sequence[int]) -> list[Item[Any]]:
        if self._stop.asked:
            return []
        if self._held_back():
            if not len(self._board):
                self._look_up()
            return []
        items = list(self._stage.read(shard, indices[: self._board.room]))
        for item in items:
            self._board.take(item.key)
        self._put_by -= len(items)
        return items

    @property
    def _ended(self) -> bool:
        return self._tasks.ended and not self._put_by

    def _look_up(self) -> None:
        """With nothing in flight: settle what was finished, and see whether the run can go on."""
        self._flush()
        self.beat()
        if self._put_by or self._has_work():
            self._check_room()

    def _flush(self) -> None:
        if self._unflushed:  # the parent may be waiting for these results to give the next task, or the end
            self._writer.flush()
            self._unflushed = False

    def finish(self, result: Result) -> None:
        """Account for a finished item and hand its result to the writer."""
        self._unflushed = True
        self._board.finish(result.key)
        self._shards.finish(result)

    def beat(self) -> None:
        """Show a sign of life; raise what went wrong in the writer."""
        self._board.beat()
        self._writer.check()

    @property
    def overdue(self) -> bool:
        """After a request to stop: the stage has had its time."""
        return self._stop.overdue

    def _held_back(self) -> bool:
        room = self._writer.has_room(len(self._board))
        return self._writer.behind or self._board.full or not room

    def _has_work(self) -> bool:
        """Whether there is anything to take up, once nothing holds it back."""
        self._next = self._next or self._tasks.get()
        return self._next is not None or self._given < len(self._task.indices)

    def _check_room(self) -> None:
        """End the run if there is no room for any more."""
        if self._writer.full:
            raise DiskFullError(
                f"Hardly any room left on the disk of {self._stage.output}, so no more is taken on. What is "
                "finished is kept: free some space, then resume."
            )

    def _next_item(self) -> Item[Any] | None:
        while True:
            item = next(self._items, None)
            if item is not None:
                self._given += 1
                if len(self._task.indices) - self._given <= LOW_WATER:
                    self._tasks.prefetch()
                return item
            self._check_that_all_were_read()
            if not self._begin_next_task():
                return None

    def _begin_next_task(self) -> bool:
        """Take up a task; False if there is none now, or if it has to wait for what is in flight."""
        self._next = self._next or self._tasks.get()
        if self._next is None or self._shards.number >= MOST_OPEN:
            return False
        unfinished = len(self._board) or self._put_by
        if unfinished and (self._task.apart or self._next.apart):
            return False
        task, self._next = self._next, None
        self._begin(task)
        return True

    def _begin(self, task: Task) -> None:
        self._task = self._shards.begin(task)
        self._given = 0
        pending = self._task.indices
        self._items = self._stage.read(task.shard, pending) if pending else iter(())

    def _check_that_all_were_read(self) -> None:
        missing = len(self._task.indices) - self._given
        if missing:
            raise DamagedError(
                f"What the {self._stage.name} stage reads of shard {self._task.shard}",
                f"{missing} items that should be there are not",
            )


def work(stage: Stage[Any], feed: Feed) -> Iterator[None]:
    """Run the stage until the feed ends, or until a request to stop is overdue; yields at every step."""
    results = stage.process(feed)
    for result in results:
        feed.beat()
        if result is not None:
            feed.finish(result)
        if feed.overdue:
            break
        yield
    close = getattr(results, "close", None)
    if close is not None:
        close()  # what is in flight is dropped: it stays pending
