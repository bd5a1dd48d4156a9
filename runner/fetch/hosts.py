"""Whose turn it is: how many exchanges a host gets at a time, and everything that waits for its turn.

Pure bookkeeping; time is passed in. A host starts with a few exchanges, and gets two more with every answer,
so three times as many after each round: a list of one host soon runs at full speed, and a small server is
not run over. It is halved when it says that it is busy, when connections to it wait in a crowd, or when much
of it times out; from then on it grows by about one per round of answers.

A host of which nothing comes at all is given a pause, then a few exchanges at a time, and then up: what waits
for it, or comes for it in the next minutes, is ``lost`` without being asked for.
"""

import heapq
import math
from collections import deque
from enum import Enum, auto
from itertools import count
from typing import Generic, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

# Hosts in difficulties that are remembered while nothing is in flight to them.
MAX_REMEMBERED = 10_000

# Exchanges that a host gets before it has answered, and how many more with every answer.
FIRST = 16
GROWTH = 2

# A host works its way up to PLENTY, and beyond that to what its quickest answer needs to keep a process busy,
# which can take in FASTEST exchanges per second: more would wait in line and only cost memory.
PLENTY = 64
FASTEST = 5000

# A host is overloaded when this share of a round of exchanges timed out. Fewer is the fault of single URLs;
# all of them is no overload but silence.
SLOW_SHARE = 0.25

# A round is barren when so many exchanges in a row brought no answer (after the first such round: so many
# probes), or when a host that gets one at a time still says that it is busy. After each comes a pause,
# doubled every time; after so many rounds without one good answer in between, the host is given up.
SILENT_ROUND = 16
PROBES = 3
SILENT_ROUNDS = 3
BUSY_ROUNDS = 8
PAUSE = 2.0  # seconds, after the first barren round

# Seconds until a host that was given up is tried once more.
GIVEN_UP = 300.0


class Signal(Enum):
    """What an exchange says about its host."""

    GOOD = auto()  # it answers
    BUSY = auto()  # it answers that it is busy
    CROWDED = auto()  # it answers, but connections to it have to wait
    SLOW = auto()  # nothing came, or not all of it, before the deadline
    SILENT = auto()  # nothing came: no such name, no connection, no answer
    NONE = auto()


class News(NamedTuple):
    """What an exchange says about its host, and why.

    ``reason``  of the failure, if it was one
    ``pause``   seconds that the host asks to be left alone
    """

    signal: Signal
    reason: str = ""
    pause: float = 0.0


class Gate(Protocol):
    """Limits per host that others share, see ``quota``."""

    def enter(self, host: str, now: float) -> float | None: ...

    def leave(self, host: str) -> None: ...


class _Host(Generic[T]):
    __slots__ = (
        "active",
        "barren",
        "given_up",
        "good",
        "limit",
        "name",
        "narrowed",
        "paused",
        "queue",
        "quickest",
        "ramp",
        "reason",
        "silent",
        "slow",
        "turn",
        "wide",
    )

    def __init__(self, name: str, limit: float, first: float) -> None:
        self.name = name
        self.limit = limit
        self.ramp = first  # what it has worked its way up to; unlimited once it was narrowed
        self.wide = limit  # what it goes back to when it is no longer silent
        self.active = 0
        self.queue: deque[T] = deque()
        self.quickest = math.inf  # seconds of an exchange with a good answer
        self.turn = False  # stands in the ring
        self.paused = 0.0  # until then
        self.narrowed = 0.0  # when its limit was last lowered
        self.good = 0  # answers and time-outs of the present round
        self.slow = 0
        self.silent = 0  # exchanges in a row without an answer
        self.barren = 0  # rounds in a row without a good answer
        self.given_up = 0.0  # until then,
        self.reason = ""  # for this reason

    @property
    def round(self) -> int:
        """Exchanges without an answer that make a barren round."""
        return PROBES if self.barren else SILENT_ROUND

    def full(self, room: int) -> bool:
        # One that has never answered gets no more than it takes to see that it does not.
        silent = self.quickest == math.inf and self.active + self.silent >= self.round
        return silent or self.active >= room

    def narrow(self, limit: float, now: float) -> None:
        self.limit = max(1.0, limit)
        self.ramp = math.inf
        self.narrowed = now
        self.good = self.slow = 0

    def answered(self, widest: float, seconds: float) -> None:
        """Take note of a good answer."""
        self.quickest = min(self.quickest, seconds)
        if self.barren and self.limit < self.wide / 2:  # it was silent, not overloaded
            self.limit = self.wide / 2
        else:
            self.limit = min(widest, self.limit + 1 / self.limit)
        enough = max(PLENTY, self.quickest * FASTEST)
        if self.ramp < enough:
            self.ramp = min(enough, self.ramp + GROWTH)
        self.good += 1
        self.silent = self.barren = 0


class Hosts(Generic[T]):
    """Everything that is ready or waiting to be started, by host.

    ``width`` is the most exchanges there can be at all, ``cap`` (if not 0) the most per host; ``gate`` has a
    say as well.
    """

    def __init__(self, width: int, cap: int = 0, gate: Gate | None = None) -> None:
        self._widest = float(min(cap, width) if cap else width)
        self._first = float(max(1, min(FIRST, (width + 1) // 2)))
        self._gate = gate
        self._hosts: dict[str, _Host[T]] = {}
        self._remembered: dict[str, None] = {}  # idle ones in difficulties, oldest first
        self._ring: deque[_Host[T]] = deque()  # hosts whose turn it is, taken round and round
        self._later: list[tuple[float, int, str, T | None]] = []  # a heap; None: the host's pause is over
        self._lost: deque[tuple[T, str]] = deque()
        self._ticket = count()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many are put by: ready, delayed, lost, or at a host that is full or paused."""
        return self._waiting

    def put(self, work: T, name: str, now: float) -> None:
        """Queue work for a host."""
        self._waiting += 1
        self._queue(work, name, now)

    def put_first(self, work: T, name: str, now: float) -> None:
        """Queue work that is already under way (the next hop of a redirect) before everything else."""
        self._waiting += 1
        self._queue(work, name, now, first=True)

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
            if self._may_start(host, now) and self._enter(host, now):
                work = host.queue.popleft()
                host.active += 1
                self._waiting -= 1
                self._give_turn(host, now)
                return work
        return None

    def would_wait(self, name: str, now: float) -> bool:
        """Whether work for a host that is put now could not start, nor be lost, at once."""
        host = self._hosts.get(name)
        if host is None or host.given_up > now:
            return False
        return bool(host.queue) or host.full(self._room(host)) or host.paused > now

    def lose(self) -> tuple[T, str] | None:
        """The next work that will not be started because its host was given up, and the reason."""
        if not self._lost:
            return None
        self._waiting -= 1
        return self._lost.popleft()

    def release(self, name: str, news: News, began: float, now: float) -> None:
        """Work that ``take`` gave out ``began`` is no longer in flight."""
        host = self._hosts[name]
        host.active -= 1
        if self._gate:
            self._gate.leave(name)
        self._learn(host, news, began, now)
        if news.pause:
            self._pause(host, now + news.pause)
        self._give_turn(host, now)
        if not host.active and not host.queue:
            self._put_away(host, now)

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

    def _queue(self, work: T, name: str, now: float, first: bool = False) -> None:
        host = self._host(name)
        if host.given_up > now:
            self._lost.append((work, host.reason))
            self._put_away(host, now)
            return
        if first:
            host.queue.appendleft(work)
        else:
            host.queue.append(work)
        self._give_turn(host, now)

    def _host(self, name: str) -> _Host[T]:
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(name, self._widest, self._first)
        elif name in self._remembered:
            del self._remembered[name]
        return host

    def _room(self, host: _Host[T]) -> int:
        """Exchanges that a host may have at a time."""
        return int(min(host.limit, host.ramp))

    def _may_start(self, host: _Host[T], now: float) -> bool:
        return bool(host.queue) and not host.full(self._room(host)) and host.paused <= now

    def _give_turn(self, host: _Host[T], now: float) -> None:
        if not host.turn and self._may_start(host, now):
            host.turn = True
            self._ring.append(host)

    def _enter(self, host: _Host[T], now: float) -> bool:
        again = self._gate.enter(host.name, now) if self._gate else None
        if again is not None:
            self._pause(host, again)
        return again is None

    def _pause(self, host: _Host[T], until: float) -> None:
        if until > host.paused:
            host.paused = until
            heapq.heappush(self._later, (until, next(self._ticket), host.name, None))

    def _learn(self, host: _Host[T], news: News, began: float, now: float) -> None:
        if news.signal is Signal.NONE or began < host.narrowed:
            return  # it was sent before the limit was last lowered, and says nothing about what that did
        if news.signal is Signal.GOOD:
            host.answered(self._widest, now - began)
        elif news.signal is Signal.BUSY:
            self._slow_down(host, news.reason, now)
        elif news.signal is Signal.CROWDED:
            host.narrow(self._room(host) / 2, now)
            host.silent = host.barren = 0
        else:
            host.slow += news.signal is Signal.SLOW
            host.silent += 1
            if host.silent >= host.round:
                self._doubt(host, news.reason, now)
        if host.good + host.slow >= self._room(host):
            if host.good and host.slow > SLOW_SHARE * (host.good + host.slow):
                host.narrow(self._room(host) / 2, now)
            host.good = host.slow = 0

    def _slow_down(self, host: _Host[T], reason: str, now: float) -> None:
        """It says that it is busy."""
        if self._room(host) == 1:
            self._end_barren_round(host, BUSY_ROUNDS, reason, now)
        host.narrow(self._room(host) / 2, now)
        host.wide = host.limit
        host.silent = 0

    def _doubt(self, host: _Host[T], reason: str, now: float) -> None:
        """It has been silent for a round."""
        if not host.barren:
            host.wide = host.limit
        self._end_barren_round(host, SILENT_ROUNDS, reason, now)
        host.narrow(min(PROBES, host.limit), now)
        host.silent = 0

    def _end_barren_round(self, host: _Host[T], rounds: int, reason: str, now: float) -> None:
        host.barren += 1
        if host.barren < rounds:
            self._pause(host, now + PAUSE * 2 ** (host.barren - 1))
            return
        host.given_up, host.reason = now + GIVEN_UP, reason
        host.barren = rounds - 1  # one more such round, later, and it is given up again
        self._lost.extend((work, reason) for work in host.queue)
        host.queue.clear()

    def _put_away(self, host: _Host[T], now: float) -> None:
        """Forget a host with nothing in hand, unless something is the matter with it."""
        if host.active or host.queue:
            return
        troubled = host.limit < self._widest or host.silent or host.barren
        if not troubled and host.paused <= now:
            del self._hosts[host.name]
            return
        self._remembered[host.name] = None
        if len(self._remembered) > MAX_REMEMBERED:
            oldest = next(iter(self._remembered))
            del self._remembered[oldest], self._hosts[oldest]
