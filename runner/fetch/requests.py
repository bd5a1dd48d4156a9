"""The other transport: one ``requests`` session, a thread per exchange in flight.

What requests leaves open is closed here and in ``guarded``. Its timeouts are per socket operation, so
``wait`` shuts the socket of an exchange down when its deadline has passed, whatever the thread is reading
just then. Session.send is not used: even with redirects off it reads the whole body of a redirect and
stumbles over Locations that make no sense.
"""

import heapq
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http import client
from itertools import count
from typing import Any

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from .decoding import decoded
from .guarded import FailedError, GuardedAdapter, current
from .options import FetchOptions
from .proxies import Proxies
from .resolver import Resolver
from .transport import BODY_STATUSES, DRAIN, HEADERS, Exchange, Request

_CHUNK = 64 * 1024  # bytes asked for at a time; a read returns with whatever is there


class _Work:
    """An exchange and what its thread and ``wait`` must both know of it."""

    def __init__(self, request: Request, proxy: str | None) -> None:
        self.request = request
        self.proxy = proxy
        self.over = False  # reported as timed out; whatever the thread still finds is dropped
        self.reused = self.answered = False
        self.status: int | None = None
        self.connecting = 0.0
        self.headers: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def hold(self, sock: socket.socket) -> None:
        """Remember the socket in use, to be shut down at the deadline."""
        with self._lock:
            if self.over:
                raise FailedError("timeout")
            self._socket = sock

    def give_up(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                _shut_down(self._socket)

    def release(self) -> None:
        """The thread is through with the socket; from now on it may serve another exchange."""
        with self._lock:
            self._socket = None

    def exchange(self, body: bytes = b"", error: str | None = None) -> Exchange:
        if self.status is not None and self.status not in BODY_STATUSES:
            error = None
        return Exchange(self.request, self.status, self.headers, body, error, self.connecting)


class RequestsTransport:
    """``Transport`` over a requests session and threads."""

    def __init__(self, options: FetchOptions) -> None:
        self._options = options
        self._proxies = Proxies(options.proxy)
        self._headers = CaseInsensitiveDict(options.header_pairs())
        self._session = _session(options)
        self._resolver = Resolver()
        if options.insecure:  # that is what was asked for
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._jobs: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[_Work, Exchange]] = queue.SimpleQueue()
        self._deadlines: list[tuple[float, int, _Work]] = []
        self._ticket = count()
        self._running: set[_Work] = set()
        self._threads = 0
        self._occupied = 0  # threads with work, including what has been reported as timed out

    @property
    def in_flight(self) -> int:
        return len(self._running)

    def start(self, request: Request) -> None:
        work = _Work(request, self._proxies.choose(request.url))
        self._running.add(work)
        heapq.heappush(self._deadlines, (request.deadline, next(self._ticket), work))
        self._occupied += 1
        if self._occupied > self._threads:
            self._threads += 1
            # A daemon, because nothing can interrupt a name lookup and no exit should wait for one.
            threading.Thread(target=self._work, name="fetch", daemon=True).start()
        self._jobs.put(work)

    def wait(self, timeout: float) -> list[Exchange]:
        end = time.monotonic() + timeout
        finished: list[Exchange] = []
        while not finished:
            now = time.monotonic()
            finished = self._expire(now)
            wake = min(end, self._deadlines[0][0]) if self._deadlines else end
            finished += self._gather(0.0 if finished else max(0.0, wake - now))
            if now >= end:
                break
        return finished

    def close(self) -> None:
        for work in self._running:
            work.give_up()
        self._running.clear()
        for _ in range(self._threads):
            self._jobs.put(None)
        self._session.close()

    def _expire(self, now: float) -> list[Exchange]:
        """End what is past its deadline, without waiting for its thread."""
        finished = []
        while self._deadlines and (
            self._deadlines[0][2] not in self._running or self._deadlines[0][0] <= now
        ):
            work = heapq.heappop(self._deadlines)[2]
            if work in self._running:
                self._running.remove(work)
                work.give_up()
                finished.append(work.exchange(error="timeout"))
        return finished

    def _gather(self, patience: float) -> list[Exchange]:
        """What the threads have finished, waiting for the first."""
        finished = []
        try:
            while True:
                work, exchange = self._done.get(timeout=patience) if patience else self._done.get_nowait()
                patience = 0.0
                self._occupied -= 1
                if work in self._running:
                    self._running.remove(work)
                    finished.append(exchange)
        except queue.Empty:
            return finished

    def _work(self) -> None:
        """The life of a thread."""
        current.allow_private = self._options.allow_private
        current.connect_timeout = self._options.connect_timeout
        current.resolver = self._resolver
        while (work := self._jobs.get()) is not None:
            current.work = work
            try:
                exchange = decoded(work.exchange(self._fetch(work)), self._options.max_bytes)
            except Exception as error:  # whatever a hostile answer makes the libraries raise
                exchange = work.exchange(error=_reason(error))
            work.release()
            self._done.put((work, exchange))

    def _fetch(self, work: _Work) -> bytes:
        while True:
            try:
                response = self._send(work)
                break
            except Exception:
                # The server closed an idle connection just when it was used again: not the URL's fault.
                if work.answered or work.over or not work.reused:
                    raise
        try:
            return self._read(work, response)
        finally:
            response.close()

    def _send(self, work: _Work) -> Any:
        request = requests.PreparedRequest()
        request.method = "GET"
        request.url = work.request.url
        request.headers = self._headers.copy()
        if work.request.authorization:
            request.headers["Authorization"] = work.request.authorization
        left = max(0.001, work.request.deadline - time.monotonic())
        proxies = {"http": work.proxy, "https": work.proxy} if work.proxy else {}
        adapter = self._session.get_adapter(work.request.url)
        return adapter.send(request, stream=True, timeout=left, verify=True, proxies=proxies).raw

    def _read(self, work: _Work, response: Any) -> bytes:
        work.status = response.status
        pairs = ((name.lower(), value) for name, value in response.headers.iteritems())
        work.headers = [(name, value.strip()) for name, value in pairs if name in HEADERS]
        wanted = work.status in BODY_STATUSES
        limit = self._options.max_bytes if wanted else DRAIN
        if wanted and (response.length_remaining or 0) > limit:  # by its own account
            raise FailedError("too_large")
        chunks = []
        size = 0
        while chunk := response.read1(_CHUNK, decode_content=False):
            size += len(chunk)
            if size > limit:
                raise FailedError("too_large")
            chunks.append(chunk)
        return b"".join(chunks) if wanted else b""


def _session(options: FetchOptions) -> requests.Session:
    session = requests.Session()
    adapter = GuardedAdapter(options)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # not connected any more
        sock.shutdown(socket.SHUT_RDWR)


# What the libraries raise, the most telling first.
_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError, urllib3.exceptions.TimeoutError), "timeout"),
    ((client.IncompleteRead, urllib3.exceptions.IncompleteRead), "truncated"),
    ((OSError,), "truncated"),
)


def _reason(error: BaseException) -> str:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, FailedError):
            return cause.reason
    # RequestException is an OSError, which here would say that a connection broke.
    bare = [cause for cause in causes if not isinstance(cause, requests.RequestException)]
    for types, reason in _REASONS:
        if any(isinstance(cause, types) for cause in bare):
            return reason
    return "protocol"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and everything it was made from; requests and urllib3 wrap in several ways."""
    pending, seen = [error], set()
    while pending:
        cause = pending.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        around = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        pending += [each for each in around if isinstance(each, BaseException)]
