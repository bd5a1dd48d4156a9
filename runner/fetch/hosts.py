"""Whose turn it is: how many exchanges a host gets at a time, and everything that waits for its turn.

Pure bookkeeping; time is passed in. A host starts as wide as everything together, so that a list of one
host runs at full speed. It is halved when it says that it is busy or when much of it times out, and grows
by about one per round of answers until it is wide again.
"""

import heapq
from collections import deque
from enum import Enum, auto
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

# Hosts in difficulties that are remembered while nothing is in flight to them.
MAX_REMEMBERED = 10_000

# A host is overloaded when this share of a round of exchanges timed out. Fewer is the fault of single URLs.
SLOW_SHARE = 0.25


class Signal(Enum):
    """What an exchange says about its host."""

    GOOD = auto()
    BUSY = auto()
    SLOW = auto()
    NONE = auto()


class _Host(Generic[T]):
    __slots__ = ("active", "good", "limit", "narrowed", "paused", "queue", "slow", "turn")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.active = 0
        self.queue: deque[T] = deque()
        self.turn = False  # stands in the ring
        self.paused = 0.0  # until then
        self.narrowed = 0.0  # when it was last halved
        self.good = 0  # answers and time-outs of the present round
        self.slow = 0

    def has_turn(self, now: float) -> bool:
        return bool(self.queue) and self.active < int(self.limit) and self.paused <= now

    def narrow(self, now: float) -> None:
        self.limit = max(1.0, self.limit / 2)
        self.narrowed = now
        self.good = self.slow = 0


class Hosts(Generic[T]):
    """Everything that is ready or waiting to be started, by host.

    ``width`` is the most exchanges there can be at all, ``cap`` (if not 0) the most per host.
    """

    def __init__(self, width: int, cap: int = 0) -> None:
        self._widest = float(min(cap, width) if cap else width)
        self._hosts: dict[str, _Host[T]] = {}
        self._remembered: dict[str, None] = {}  # idle ones in difficulties, oldest first
        self._ring: deque[_Host[T]] = deque()  # hosts whose turn it is, taken round and round
        self._later: list[tuple[float, int, str, T | None]] = []  # a heap; None: the host's pause is over
        self._ticket = count()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many are put by: ready, delayed, or at a host that is full or paused."""
        return self._waiting

    def put(self, work: T, name: str, now: float) -> None:
        """Queue work for a host."""
        self._waiting += 1
        self._queue(work, name, now)

    def put_first(self, work: T, name: str, now: float) -> None:
        """Queue work that is already under way (the next hop of a redirect) before everything else."""
        self._waiting += 1
        host = self._host(name)
        host.queue.appendleft(work)
        self._give_turn(host, now)

    def put_later(self, work: T, name: str, when: float) -> None:
        """Queue work at a time to come."""
        self._waiting += 1
        heapq.heappush(self._later, (when, next(self._ticket), name, work))

    def take(self, now: float) -> T | None:
        """The next work that may start, which then counts as in flight; None if there is none just now."""
        self._wake(now)
        while self._ring:
            host = self._ring.popleft()
            host.turn = False
            if host.has_turn(now):
                work = host.queue.popleft()
                host.active += 1
                self._waiting -= 1
                self._give_turn(host, now)
                return work
        return None

    def release(
        self, name: str, signal: Signal, began: float, now: float, pause: float | None = None
    ) -> None:
        """Work that ``take`` gave out ``began`` is no longer in flight. ``pause``: leave the host alone."""
        host = self._hosts[name]
        host.active -= 1
        self._learn(host, signal, began, now)
        if pause and now + pause > host.paused:
            host.paused = now + pause
            heapq.heappush(self._later, (host.paused, next(self._ticket), name, None))
        self._give_turn(host, now)
        if not host.active and not host.queue:
            self._put_away(name, host, now)

    def next_time(self) -> float | None:
        """When time alone will make the next work ready; None if only an answer can."""
        return self._later[0][0] if self._later else None

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, name, work = heapq.heappop(self._later)
            if work is not None:
                self._queue(work, name, now)
            elif name in self._hosts:
                self._give_turn(self._hosts[name], now)

    def _queue(self, work: T, name: str, now: float) -> None:
        host = self._host(name)
        host.queue.append(work)
        self._give_turn(host, now)

    def _host(self, name: str) -> _Host[T]:
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(self._widest)
        elif name in self._remembered:
            del self._remembered[name]
        return host

    def _give_turn(self, host: _Host[T], now: float) -> None:
        if not host.turn and host.has_turn(now):
            host.turn = True
            self._ring.append(host)

    def _learn(self, host: _Host[T], signal: Signal, began: float, now: float) -> None:
        if signal is Signal.NONE or began < host.narrowed:
            return  # it was sent before the host was last halved, and says nothing about what that did
        if signal is Signal.BUSY:
            host.narrow(now)
        elif signal is Signal.SLOW:
            host.slow += 1
        else:
            host.good += 1
            host.limit = min(self._widest, host.limit + 1 / host.limit)
        if host.good + host.slow >= int(host.limit):
            if host.slow > SLOW_SHARE * (host.good + host.slow):
                host.narrow(now)
            host.good = host.slow = 0

    def _put_away(self, name: str, host: _Host[T], now: float) -> None:
        if host.limit >= self._widest and host.paused <= now:
            del self._hosts[name]
            return
        self._remembered[name] = None
        if len(self._remembered) > MAX_REMEMBERED:
            oldest = next(iter(self._remembered))
            del self._remembered[oldest], self._hosts[oldest]
