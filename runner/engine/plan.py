"""The plan: what is left to do of a stage, task by task, read from the checkpoint as it is needed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .checkpoint import Checkpoint
from .items import Key, Result
from .writer import ChunkWriter

Work = Iterable[tuple[int, Sequence[int]]]
"""(shard, indices of its items that belong to the stage), shard by shard."""


@dataclass(slots=True)
class Task:
    """Pending items of one shard. ``apart``: no item of another task may be in flight beside them."""

    shard: int
    indices: list[int]
    apart: bool = False


def pending_tasks(stage: str, work: Work, checkpoint: Checkpoint) -> Iterator[Task]:
    """One task for each shard that is not finished: its members minus what is marked."""
    tallies = checkpoint.tally(stage)
    for shard, members in work:
        marked = sum(count for count, _ in tallies.get(shard, {}).values())
        finished = checkpoint.finished(stage, shard) if marked else set()
        pending = [index for index in members if index not in finished]
        if pending:
            yield Task(shard, pending)


class OpenShards:
    """The shards that a writer has open: adopts what is stored already, seals what is complete."""

    def __init__(self, writer: ChunkWriter) -> None:
        self._writer = writer
        self._unfinished: dict[int, int] = defaultdict(int)
        self._opened: dict[int, int] = defaultdict(int)

    @property
    def number(self) -> int:
        """How many shards have unfinished items."""
        return len(self._unfinished)

    def begin(self, task: Task) -> Task:
        """Open the task's shard, mark what a crash left stored but unmarked; the rest is to be done."""
        stored = self._writer.open(task.shard)
        pending = []
        for index in task.indices:
            if index in stored:
                self._writer.add(Result(Key(task.shard, index), stored[index]))
            else:
                pending.append(index)
        self._opened[task.shard] += 1
        self._unfinished[task.shard] += len(pending)
        self._seal_if_complete(task.shard)
        return Task(task.shard, pending, task.apart)

    def finish(self, result: Result) -> None:
        """Hand a result to the writer."""
        self._writer.add(result)
        self._unfinished[result.key.shard] -= 1
        self._seal_if_complete(result.key.shard)

    def _seal_if_complete(self, shard: int) -> None:
        if self._unfinished[shard] == 0:
            del self._unfinished[shard]
            for _ in range(self._opened.pop(shard)):
                self._writer.seal(shard)


class Agenda:
    """Tasks not handed out yet: first those that dead workers left behind, then the plan."""

    def __init__(self, plan: Iterator[Task]) -> None:
        self._plan = plan
        self._returned: list[list[Task]] = []
        self._next: Task | None = None

    def put_back(self, tasks: list[Task]) -> None:
        """These go to one worker, in this order."""
        if tasks:
            self._returned.append(tasks)

    def take(self) -> list[Task]:
        """Tasks for one worker; none when all are handed out."""
        if self._returned:
            return self._returned.pop(0)
        if self.empty or self._next is None:
            return []
        task, self._next = self._next, None
        return [task]

    @property
    def empty(self) -> bool:
        if self._next is None:
            self._next = next(self._plan, None)
        return self._next is None and not self._returned
