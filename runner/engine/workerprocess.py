"""One worker as its parent sees it: the process, the connection, and what it was given to do."""

import contextlib
import pickle
from collections import defaultdict
from typing import Any

from .board import Board
from .indexset import IndexSet
from .items import Key, Stage
from .nursery import Nursery
from .plan import Task

# A new process may take so long on a busy machine before its first sign of life counts.
START_SECONDS = 60.0


class WorkerProcess:
    """A started worker. It ends by itself when this process is gone."""

    def __init__(self, nursery: Nursery, stage: Stage[Any], number: int) -> None:
        self.board = Board.create()
        self._process = nursery.fork(number, self.board.fileno())
        self.connection = self._process.connection
        with contextlib.suppress(OSError):
            self.connection.send_bytes(pickle.dumps(stage))
        self.number = number
        self.wants = False
        self._pending: dict[int, IndexSet] = defaultdict(IndexSet)
        self._apart: set[Key] = set()
        self._beat = 0.0
        self._silent = -START_SECONDS

    def send(self, message: object) -> None:
        # One that has died needs no message; reading from it tells.
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def give(self, tasks: list[Task]) -> None:
        for task in tasks:
            self._pending[task.shard].update(task.indices)
            if task.apart:
                self._apart.update(Key(task.shard, index) for index in task.indices)
        self.wants = False
        self.send(tasks)

    def finish(self, key: Key) -> None:
        """Book one of the items that it was given."""
        self._pending[key.shard].discard(key.index)
        self._apart.discard(key)
        if not self._pending[key.shard]:
            del self._pending[key.shard]

    @property
    def idle(self) -> bool:
        return not self._pending

    def silence(self, passed: float) -> float:
        """Seconds without a sign of life, ``passed`` seconds after the last call."""
        beat = self.board.last_beat()
        if beat != self._beat or (beat and self.idle):
            self._silent = 0.0
        else:
            self._silent += passed
        self._beat = beat
        return self._silent

    def suspects(self) -> list[Key]:
        """The items that it was working on when it died."""
        return [key for key in self.board.read() if key.index in self._pending.get(key.shard, ())]

    def convicts(self, suspects: list[Key]) -> bool:
        """Whether the death proves anything: a single suspect, with nothing else in flight beside it."""
        return len(suspects) == 1 and suspects[0] in self._apart

    def leftovers(self, suspects: list[Key]) -> list[Task]:
        """Tasks that finish what it was given: the suspects in halves, each apart, and the rest as before."""
        tasks = []
        for shard in sorted(self._pending):
            suspected = [key.index for key in suspects if key.shard == shard]
            middle = len(suspected) // 2
            halves = [half for half in (suspected[:middle], suspected[middle:]) if half]
            tasks += [Task(shard, half, apart=True) for half in halves]
        for shard, indices in sorted(self._pending.items()):
            rest = indices.without(key.index for key in suspects if key.shard == shard)
            if rest:
                tasks.append(Task(shard, rest))
        return tasks

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> int:
        """Wait for the end of the process; its exit code, negative for a signal."""
        code = self._process.wait()
        self.connection.close()
        self.board.close()
        return code
