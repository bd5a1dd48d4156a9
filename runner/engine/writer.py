"""Commits results chunk by chunk on a thread beside the work.

The order of writes, for every chunk: payloads and their marks go into the shard files and are synced; only
then are the results delivered, to be marked in the checkpoint.
"""

import os
import queue
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from .claims import Claims
from .files import sync_folder
from .items import Mark, Result
from .shardfile import ShardFile, shard_file, stored_size
from .soundness import check

# A chunk is committed at so many results, or so many bytes, or when its first result is so old. Twice as
# large costs a sixth more processor time: the bytes are out of the caches when they are written.
CHUNK_ITEMS = 128
CHUNK_BYTES = 8 << 20
CHUNK_SECONDS = 0.5
# Results are gathered so often, not one by one: each time the writer wakes, the stage waits for its turn.
GATHER_SECONDS = 0.02
# So many bytes may wait for the disk before the feed is held back.
BACKLOG_BYTES = 2 * CHUNK_BYTES
# Nothing is taken on when a disk would have less room than this (or than this part of it, if it is small)
# after all that is under way: the checkpoint and the overhead of the files need some too.
RESERVE_BYTES = 64 << 20
RESERVE_PART = 8
# What a payload is taken for before there was one.
USUAL_BYTES = 1 << 16

FLUSH = object()

Deliver = Callable[[Sequence[Result]], None]


class ChunkWriter:
    """Takes results one by one, commits them in chunks, and delivers what is safe on disk.

    ``output`` is the folder of shard files; with None there is nothing to store and chunks are only
    delivered. ``deliver`` is called on the writer's thread. An error there or of the disk is raised by the
    next call of ``check`` or by ``close``. ``claims`` are those of the workers that write to the same disk.
    """

    def __init__(self, output: Path | None, deliver: Deliver, claims: Claims | None = None) -> None:
        self._output = output
        self._disk: Path | None = None  # known once a file was opened there
        self._claims = claims
        self._deliver = deliver
        # Results, shards to seal, FLUSH, and at the end None.
        self._queue: queue.SimpleQueue[Result | int | object | None] = queue.SimpleQueue()
        self._files: dict[int, tuple[ShardFile, int]] = {}
        self._files_lock = threading.Lock()
        self._backlog = 0
        self._payloads = 1
        self._bytes = USUAL_BYTES
        self._backlog_lock = threading.Lock()
        self._error: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="chunk-writer", daemon=True)
        self._thread.start()

    def open(self, shard: int) -> dict[int, Mark]:
        """Get ready for results of a shard; what is stored of it already comes back as index -> mark."""
        if self._output is None:
            return {}
        with self._files_lock:
            file, uses = self._files.get(shard, (None, 0))
            if file is None:
                file = self._open_file(shard)
            self._files[shard] = (file, uses + 1)
        return file.marks()

    def _open_file(self, shard: int) -> ShardFile:
        assert self._output is not None
        path = shard_file(self._output, shard)
        if path.exists():
            check(path)  # a run that goes on where another ended: nobody writes it
        elif not self._output.exists():
            self._output.mkdir(exist_ok=True)
            sync_folder(self._output.parent)
        self._disk = self._output
        return ShardFile(path)

    def seal(self, shard: int) -> None:
        """Close the shard's file once everything added so far is committed (one call for each ``open``)."""
        if self._output is not None:
            self._queue.put(shard)

    def add(self, result: Result) -> None:
        if result.payload is not None:
            size = stored_size(result.payload)
            with self._backlog_lock:
                self._backlog += size
            self._payloads += 1
            self._bytes += size
        self._queue.put(result)

    def flush(self) -> None:
        """Commit what was added so far as soon as possible: nothing follows for a while."""
        self._queue.put(FLUSH)

    @property
    def behind(self) -> bool:
        """True while the disk is slower than the work."""
        return self._backlog > BACKLOG_BYTES

    def has_room(self, in_flight: int) -> bool:
        """Whether the disk has room for one payload more than what all workers have under way."""
        if self._claims is not None:
            self._claims.claim(self._backlog + in_flight * self._usual)
        return self._free() >= self._claimed()

    @property
    def full(self) -> bool:
        """With nothing under way in any worker, the disk has no room for one payload more."""
        return self._backlog == 0 and self._free() < 0 and not self._claimed()

    def _claimed(self) -> int:
        return self._claims.total() if self._claims else 0

    def _free(self) -> int:
        """Bytes left on the disk beside the reserve and one payload."""
        if self._disk is None:
            return sys.maxsize
        disk = os.statvfs(self._disk)
        reserve = min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // RESERVE_PART)
        return disk.f_bavail * disk.f_frsize - reserve - self._usual

    @property
    def _usual(self) -> int:
        """Bytes that a payload takes on the disk, on average."""
        return self._bytes // self._payloads

    def check(self) -> None:
        """Raise what went wrong on the writer's thread."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Commit and deliver everything that was added, close all files."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self.check()

    def _run(self) -> None:
        try:
            while self._commit_one_chunk():
                pass
        except BaseException as error:
            self._error = error
        finally:
            self._close_files()

    def _commit_one_chunk(self) -> bool:
        """Gather a chunk and commit it; False once the writer was closed."""
        chunk: list[Result] = []
        seals: list[int] = []
        go_on = self._gather(chunk, seals)
        self._store(chunk)
        if chunk:
            self._deliver(chunk)
        with self._backlog_lock:
            self._backlog -= sum(stored_size(r.payload) for r in chunk if r.payload is not None)
        for shard in seals:
            self._release(shard)
        return go_on

    def _gather(self, chunk: list[Result], seals: list[int]) -> bool:
        size = 0
        deadline: float | None = None
        while len(chunk) < CHUNK_ITEMS and size < CHUNK_BYTES:
            try:
                entry = self._queue.get(
                    timeout=None if deadline is None else max(0.0, deadline - time.monotonic())
                )
            except queue.Empty:
                return True
            if entry is None:
                return False
            if entry is FLUSH:
                return True
            if isinstance(entry, int):
                seals.append(entry)
            elif isinstance(entry, Result):
                chunk.append(entry)
                size += len(entry.payload or b"")
            deadline = deadline or time.monotonic() + CHUNK_SECONDS
            if self._queue.empty() and not self._closed:
                time.sleep(GATHER_SECONDS)
        return True

    def _store(self, chunk: list[Result]) -> None:
        if self._output is None:
            return
        by_shard: dict[int, list[Result]] = defaultdict(list)
        for result in chunk:
            if result.payload is not None:
                by_shard[result.key.shard].append(result)
        for shard, results in by_shard.items():
            self._files[shard][0].append(results)

    def _release(self, shard: int) -> None:
        with self._files_lock:
            file, uses = self._files.pop(shard)
            if uses > 1:
                self._files[shard] = (file, uses - 1)
            else:
                file.close()

    def _close_files(self) -> None:
        with self._files_lock:
            for file, _ in self._files.values():
                file.close()
            self._files.clear()
