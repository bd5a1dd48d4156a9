"""The parent's side: hands tasks to workers, books what they report, replaces those that die.

A worker that dies (a segfault in a decoder, the kernel's out-of-memory killer) or shows no sign of life for
``stage.patience`` seconds is replaced. The items on its board are suspects and are tried again in two halves,
each apart from everything else; a half that kills its worker is halved again, until one item is left that
kills its worker all alone: that one is marked CRASHED. Whatever else the worker had goes back on the agenda.
"""

import contextlib
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any

from .claims import Claims
from .errors import RunnerError, StoppedError, WorkerError
from .items import CRASHED, Key, Mark, Result, Stage
from .ledger import Ledger
from .nursery import Nursery
from .plan import Agenda, OpenShards, Task
from .stop import Stop
from .worker import EXIT_SECONDS, Row
from .workerprocess import WorkerProcess
from .writer import ChunkWriter

# How often the supervisor looks up when nothing is reported.
LOOK_SECONDS = 0.1
# So many workers may die in a row, without a result from any, before the run is given up.
DEATHS_IN_A_ROW = 20


class Supervisor:
    """Runs the tasks of one stage in worker processes."""

    def __init__(self, stage: Stage[Any], plan: Iterator[Task], ledger: Ledger, stop: Stop) -> None:
        self._stage = stage
        self._ledger = ledger
        self._stop = stop
        self._workers: list[WorkerProcess] = []
        self._deaths = 0
        self._dismissed = False
        self._looked = time.monotonic()
        # With slices the parent writes the payloads; a whole shard is written by the worker that has it.
        self._writer = ChunkWriter(stage.output if stage.slice_size else None, ledger.add)
        self._shards = OpenShards(self._writer)
        self._agenda = Agenda(self._sliced(plan) if stage.slice_size else plan)

    def run(self, size: int) -> None:
        """Work until the agenda is done, with up to ``size`` workers; StoppedError if asked to stop."""
        with Claims.create(size) as self._claims, Nursery(self._stage, self._claims) as self._nursery:
            self._work(size)

    def _work(self, size: int) -> None:
        try:
            while not self._complete():
                if self._stop.asked:
                    raise StoppedError("Stopped. Everything that was finished is kept.")
                self._staff(size)
                self._listen()
                self._kill_the_silent()
                self._writer.check()
                self._ledger.commit()
            self._dismiss("finish")
        except BaseException:
            with contextlib.suppress(RunnerError):  # the first error is the one to tell
                self._dismiss("stop")
            raise

    def _sliced(self, plan: Iterator[Task]) -> Iterator[Task]:
        size = self._stage.slice_size or 1
        for task in map(self._shards.begin, plan):
            for start in range(0, len(task.indices), size):
                yield Task(task.shard, task.indices[start : start + size])

    def _complete(self) -> bool:
        return self._agenda.empty and all(worker.idle for worker in self._workers)

    def _staff(self, size: int) -> None:
        """Give tasks to those who want some, and start workers while there are tasks left."""
        for worker in self._workers:
            if worker.wants and not self._agenda.empty:
                worker.give(self._agenda.take())
        while len(self._workers) < size and not self._agenda.empty:
            number = min(set(range(size)) - {worker.number for worker in self._workers})
            try:
                worker = WorkerProcess(self._nursery, self._stage, number)
            except OSError as error:
                raise WorkerError(
                    f"Cannot start worker process {len(self._workers) + 1}: {error.strerror}. Work with "
                    "fewer --workers, or raise the limit (ulimit -n, ulimit -u), then resume."
                ) from error
            self._workers.append(worker)
            worker.give(self._agenda.take())

    def _listen(self) -> None:
        ready = wait([worker.connection for worker in self._workers], LOOK_SECONDS)
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            try:
                while worker.connection.poll():
                    self._handle(worker, worker.connection.recv())
            except (EOFError, OSError):
                self._bury(worker)

    def _handle(self, worker: WorkerProcess, message: Any) -> None:
        match message:
            case ("want",):
                worker.wants = True
            case ("results", rows):
                self._book(worker, rows)
            case ("error", error):
                raise error

    def _book(self, worker: WorkerProcess, rows: list[Row]) -> None:
        self._deaths = 0
        results = [Result(Key(shard, index), Mark.unpack(mark), data) for shard, index, mark, data in rows]
        for result in results:
            worker.finish(result.key)
        self._accept(results)

    def _accept(self, results: list[Result]) -> None:
        if self._stage.slice_size:
            for result in results:
                self._shards.finish(result)
        else:
            self._ledger.add(results)

    def _bury(self, worker: WorkerProcess) -> None:
        """Account for a worker that has ended."""
        self._workers.remove(worker)
        self._claims.drop(worker.number)
        if self._dismissed:
            worker.close()  # as it was told: what it had in flight is pending, and nobody is to blame
            return
        suspects = worker.suspects()
        if worker.convicts(suspects):
            guilty = suspects.pop()
            worker.finish(guilty)
            self._accept([Result(guilty, Mark(CRASHED))])
        self._agenda.put_back(worker.leftovers(suspects))
        self._deaths += not worker.idle
        code = worker.close()
        if code > 0 or self._deaths > DEATHS_IN_A_ROW:
            raise WorkerError(
                f"Worker processes of the {self._stage.name} stage keep dying (exit code {code}). What is "
                "finished is kept; look at the messages above and at the free memory, then resume."
            )

    def _kill_the_silent(self) -> None:
        # Capped, because a machine that was asleep, or this process stopped for a while, is no silence.
        now = time.monotonic()
        passed = min(now - self._looked, 2 * LOOK_SECONDS)
        self._looked = now
        for worker in self._workers:
            if worker.silence(passed) > self._stage.patience:
                worker.kill()

    def _dismiss(self, message: str) -> None:
        """Let the workers end, book their last reports, and commit everything."""
        self._dismissed = True
        try:
            for worker in self._workers:
                worker.send(message)
            deadline = time.monotonic() + EXIT_SECONDS + 1.0
            while self._workers and time.monotonic() < deadline and not self._stop.urgent:
                self._listen()
        finally:
            for worker in self._workers:
                worker.kill()
                worker.close()
            self._workers.clear()
            self._writer.close()
            self._ledger.commit()
