"""A worker process: runs a stage on the tasks that its parent sends, and reports what is finished.

Messages to the worker:    a list of tasks | "stop" | "finish"
Messages to the parent:    ("want",) | ("results", rows) | ("error", exception); a row is
                           (shard, index, packed mark, payload or None)

A worker whose parent is gone commits what it has and exits by itself.
"""

import contextlib
import os
import pickle
import queue
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from .board import Board
from .claims import Claims
from .errors import OUT_OF_MEMORY, RunnerError, StageError, WorkerError
from .feed import Feed, work
from .items import Result, Stage
from .plan import Task
from .stop import GRACE_SECONDS, Stop
from .writer import ChunkWriter

Row = tuple[int, int, bytes, bytes | None]
# A stage that does not come back from its work after a request to stop is left behind after this long.
EXIT_SECONDS = GRACE_SECONDS + 1.0


class Mailbox:
    """The connection to the parent; several threads send through it. Also the worker's ``Tasks``."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._asked = False
        self.ended = False

    def send(self, *message: object) -> None:
        # A parent that is gone needs no report; the listener notices it too and ends the process.
        with self._lock, contextlib.suppress(OSError):
            self._connection.send(message)

    def receive(self) -> Any:
        return self._connection.recv()

    def get(self) -> Task | None:
        self.prefetch()
        try:
            task = self._queue.get_nowait()
        except queue.Empty:
            return None
        if task is None:
            self.ended = True
        return task

    def prefetch(self) -> None:
        if not self._asked and self._queue.empty():
            self._asked = True
            self.send("want")

    def put(self, tasks: list[Task]) -> None:
        for task in tasks:
            self._queue.put(task)
        self._asked = False

    def end(self) -> None:
        self._queue.put(None)


class Worker:
    """The stage, its feed and its writer in one process."""

    def __init__(self, stage: Stage[Any], mailbox: Mailbox, board: Board, claims: Claims) -> None:
        self._stage = stage
        self._mailbox = mailbox
        self._board = board
        self._stop = Stop()
        self._done = threading.Event()
        # With slices, the parent writes the payloads: they travel with the results.
        self._ship_payloads = stage.slice_size is not None
        self._writer = ChunkWriter(None if self._ship_payloads else stage.output, self._report, claims)

    def run(self) -> None:
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        try:
            self._work()
        except RunnerError as error:
            self._mailbox.send("error", error)
        except MemoryError:
            self._mailbox.send("error", WorkerError(f"{OUT_OF_MEMORY} What is finished is kept."))
        except Exception as error:
            message = f"The {self._stage.name} stage failed with a program error: {error!r}"
            self._mailbox.send("error", StageError(message, traceback.format_exc()))
        self._done.set()

    def _work(self) -> None:
        feed = Feed(self._stage, self._mailbox, self._writer, self._board, self._stop)
        try:
            for _ in work(self._stage, feed):
                pass
        finally:
            self._writer.close()  # whatever happens, what is finished is committed and reported first

    def _report(self, results: Sequence[Result]) -> None:
        ship = self._ship_payloads
        rows: list[Row] = [(*r.key, r.mark.pack(), r.payload if ship else None) for r in results]
        self._mailbox.send("results", rows)

    def _listen(self) -> None:
        while True:
            try:
                message = self._mailbox.receive()
            except (EOFError, OSError):
                self._abandon()
            if message == "finish":
                self._mailbox.end()
            elif message == "stop":
                self._stop.ask()
                if not self._done.wait(EXIT_SECONDS):
                    self._abandon()
            else:
                self._mailbox.put(message)

    def _abandon(self) -> None:
        """Commit what is finished and go, whatever the stage is doing."""
        self._stop.ask()
        self._stop.ask()
        with contextlib.suppress(RunnerError):
            self._writer.close()
        os._exit(0)


def run(number: int, connection: int, board: int, claims: int) -> None:
    """Be worker ``number`` on these descriptors, until there is nothing left to do."""
    shown = Board(os.fdopen(board, "r+b"))
    shown.beat()
    parent: Connection[Any, Any] = Connection(connection)
    try:
        stage: Stage[Any] = pickle.loads(parent.recv_bytes())
    except EOFError:
        return  # the parent has gone, or does not know of this worker
    Worker(stage, Mailbox(parent), shown, Claims(claims, number)).run()
