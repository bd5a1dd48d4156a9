"""Names to addresses, on threads of our own.

libcurl has 20 threads for this and waits for all of them when it is closed: ten names whose servers do not
answer would keep every other name from being found, and a program from ending.
"""

import heapq
import queue
import socket
import threading
import time
from contextlib import suppress
from itertools import count

from .transport import Request

REMEMBERED = 60.0  # seconds that an answer is good for
MAX_REMEMBERED = 4096  # names

Addresses = tuple[str, ...]


class Resolver:
    """Looks names up and remembers the answers for a while. For use by several threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Addresses]] = {}

    def known(self, name: str) -> Addresses | None:
        """The addresses of a name that was looked up lately."""
        expires, addresses = self._known.get(name, (0.0, ()))
        return addresses if expires > time.monotonic() else None

    def look_up(self, name: str) -> Addresses:
        """The addresses of a name, in the order to be tried; none if there is no such name. May take long."""
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()  # not remembered: the next one to ask may have more luck
        addresses = tuple(str(info[4][0]) for info in found)
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[name] = (time.monotonic() + REMEMBERED, addresses)
        return addresses


class _Waiting:
    """A request that waits for the addresses of its host."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.over = False


class Lookups:
    """Requests whose names are being looked up. ``fileno`` is readable when some have been, for event loops.

    Each name has a thread while it is looked up, which nothing but the resolver's own limits can end, so a
    request leaves at its deadline without it. Threads that are through take the next name.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._waiting: dict[str, list[_Waiting]] = {}
        self._deadlines: list[tuple[float, int, _Waiting]] = []
        self._ticket = count()
        self._names: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._threads = 0
        self._found: queue.SimpleQueue[tuple[str, Addresses]] = queue.SimpleQueue()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def fileno(self) -> int:
        return self._reader.fileno()

    @property
    def next_deadline(self) -> float | None:
        return self._deadlines[0][0] if self._deadlines else None

    def add(self, name: str, request: Request, deadline: float) -> None:
        waiting = _Waiting(request)
        self._number += 1
        heapq.heappush(self._deadlines, (deadline, next(self._ticket), waiting))
        if name in self._waiting:
            self._waiting[name].append(waiting)
        else:
            self._waiting[name] = [waiting]
            self._names.put(name)
            if len(self._waiting) > self._threads:
                self._threads += 1
                threading.Thread(target=self._work, name="resolver", daemon=True).start()

    def found(self) -> list[tuple[Request, Addresses]]:
        """Requests whose names have been looked up, and what was found."""
        with suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass
        ready: list[tuple[Request, Addresses]] = []
        with suppress(queue.Empty):
            while True:
                name, addresses = self._found.get_nowait()
                ready += [(each.request, addresses) for each in self._waiting.pop(name) if self._leave(each)]
        return ready

    def expired(self, now: float) -> list[Request]:
        """Requests that have waited until their deadline."""
        late = []
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].over):
            waiting = heapq.heappop(self._deadlines)[2]
            if self._leave(waiting):
                late.append(waiting.request)
        return late

    def close(self) -> None:
        for _ in range(self._threads):
            self._names.put(None)
        self._reader.close()
        self._writer.close()

    def _leave(self, waiting: _Waiting) -> bool:
        """Count a request out, once."""
        if waiting.over:
            return False
        waiting.over = True
        self._number -= 1
        return True

    def _work(self) -> None:
        """The life of a thread."""
        while (name := self._names.get()) is not None:
            self._found.put((name, self._resolver.look_up(name)))
            with suppress(OSError):  # closed meanwhile, or full and so readable anyway
                self._writer.send(b"\0")
