"""The download stage: manifests/ -> batches/."""

import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .engine.feed import MOST_OPEN
from .engine.items import DONE, Item, Items, Key, Mark, Result
from .errors import UsageError
from .fetch import FetchOptions, Transport, load_transport, open_transport
from .fetch.hosts import Hosts, News, Signal
from .fetch.policy import Digest, Fail, Fetch, Follow, Policy, Retry, Store
from .fetch.quota import Quota
from .fetch.transport import Exchange
from .manifest import Row, manifest_file, read_rows
from .shelf import Leisure, Shelf
from .sources.digests import digest_of
from .sources.options import DigestColumn

# Fetches that may wait (for a retry, a Retry-After, or a host that is full) before what would have to wait
# too is put by, a shelf for each host; and hosts that may have one.
MAX_WAITING = 4096
MAX_SHELVES = 4096

# Files that a worker has open beside its connections: its own, those of name servers, and those of each shard
# that it works on.
_OTHER_FILES = 24
_FILES_OF_A_SHARD = 4

# Seconds between looks at the feed while it has nothing, and between signs of life.
_FEED_PAUSE = 0.05
_LIFE_SIGN = 1.0


def lent_connections(connections: int, workers: int, shards: int) -> int:
    """How many a worker may have: with fewer shards than workers also those of the workers that get none.

    Raises UsageError where so few open files are allowed that there can be none at all.
    """
    lent = connections * max(workers, 1) // max(min(workers, shards), 1)
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = allowed - _OTHER_FILES - _FILES_OF_A_SHARD * min(shards, MOST_OPEN)
    if room < 1:
        raise UsageError(f"At most {allowed} open files are allowed: raise `ulimit -n`.")
    return min(max(lent, connections), room)


class FetchDetail(NamedTuple):
    """The detail of a download mark.

    ``http_status``  of the last answer, None if there was none
    ``attempts``     0 when it was never asked for: no URL, or the host had been given up
    ``final_url``    where redirects led, None if there were none
    """

    http_status: int | None
    attempts: int
    content_type: str | None
    final_url: str | None


class Wanted(NamedTuple):
    """The data of an item: what to fetch, and the digest that it must have, if one is known."""

    url: str
    digest: Digest | None = None


@dataclass(frozen=True)
class DownloadStage:
    """Fetches the URL of each item; the payload is the body as served.

    ``hosts`` is the file in which all processes share the limits per host, if there are any; ``digests``
    the column with the digests that the bodies are compared with.
    """

    manifests: Path
    output: Path
    hosts: Path
    options: FetchOptions
    digests: DigestColumn | None = None
    name: str = field(default="download", init=False)
    slice_size: int | None = field(default=None, init=False)

    @property
    def patience(self) -> float:
        """Seconds. The stage gives a sign of life every second, so only a stuck process runs out of it."""
        return self.options.timeout * 2 + 30

    @property
    def warm_up(self) -> Callable[[], object]:
        return partial(_import_for, self.options.transport)

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[Wanted]]:
        rows = read_rows(manifest_file(self.manifests, shard), indices)
        for index, row in zip(indices, rows, strict=True):
            yield Item(Key(shard, index), Wanted(row.url, self._digest(row)))

    def _digest(self, row: Row) -> Digest | None:
        """The digest that an image must have; a row without one takes any."""
        if self.digests is None:
            return None
        digest = digest_of(row.columns, self.digests)
        return None if digest is None else Digest(self.digests.algorithm, digest)

    def process(self, items: Items[Wanted]) -> Iterator[Result | None]:
        with closing(open_transport(self.options)) as transport, self._quota() as quota:
            yield from _Downloads(self.options, transport, quota, items).run()

    def _quota(self) -> AbstractContextManager[Quota | None]:
        options = self.options
        if not options.per_host and not options.rate:
            return nullcontext()
        return closing(Quota(self.hosts, options.per_host, options.rate))


def _import_for(transport: str) -> None:
    """Import what downloads need: this module and the transport."""
    load_transport(transport)


class _Downloads:
    """The items in the hands of one ``process``, in flight or waiting for their turn."""

    def __init__(
        self, options: FetchOptions, transport: Transport, quota: Quota | None, items: Items[Wanted]
    ) -> None:
        self._width = options.connections
        self._transport = transport
        self._items = items
        self._policy = Policy(options, random.Random())
        # The shelf of a host queues there behind the fetches, as if it were one more.
        self._hosts: Hosts[Fetch | Shelf] = Hosts(options.connections, options.per_host, quota)
        self._shelves: dict[str, Shelf] = {}
        self._leisure = Leisure()
        self._results: list[Result] = []
        self._feed_ended = False
        self._feed_paused = False

    def run(self) -> Iterator[Result | None]:
        """Nothing here waits for anything but the transport, so no URL can hold up another."""
        while True:
            self._fill()
            if self._idle:
                return
            for exchange in self._transport.wait(self._patience()):
                self._settle(exchange)
            if not self._results:
                yield None
            while self._results:
                yield self._results.pop()

    @property
    def _idle(self) -> bool:
        unfinished = self._transport.in_flight or self._hosts.waiting or self._results
        return self._feed_ended and not unfinished

    def _fill(self) -> None:
        """Start whatever can be started."""
        self._feed_paused = False
        if self._crowded:
            self._leisure.earn()
        more = True
        while more and self._transport.in_flight < self._width and len(self._results) < self._width:
            now = time.monotonic()
            if lost := self._hosts.lose():
                more = self._lose(*lost, now)
            elif work := self._hosts.take(now):
                more = self._begin(work, now)
            else:
                more = self._take_on(now)

    def _begin(self, work: Fetch | Shelf, now: float) -> bool:
        """Do what it is the turn of; False if that has to wait."""
        if isinstance(work, Fetch):
            self._transport.start(self._policy.request(work, now))
            return True
        unshelved = self._unshelve(work, now)
        self._hosts.release(work.host, _NO_NEWS, now, now)
        return unshelved

    def _lose(self, work: Fetch | Shelf, reason: str, now: float) -> bool:
        """Do without what its host was given up for; False if that has to wait."""
        if isinstance(work, Shelf):
            return self._unshelve(work, now)  # and so lose each of its items
        self._results.append(_result(work, reason))
        return True

    def _take_on(self, now: float) -> bool:
        """Take up the next item, if there is one just now and room for it to wait, or time to put it by."""
        crowded = self._crowded
        if self._feed_ended or (crowded and not self._may_look_ahead()):
            return False
        item = next(self._items, _END)
        if item is _END:
            self._feed_ended = True
        elif item is None:
            self._feed_paused = True
        else:
            self._queue(item, now, may_wait=not crowded)
            return True
        return False

    @property
    def _crowded(self) -> bool:
        return self._hosts.waiting >= MAX_WAITING

    def _may_look_ahead(self) -> bool:
        return len(self._shelves) < MAX_SHELVES and self._leisure.spend()

    def _queue(self, item: Item[Wanted], now: float, *, may_wait: bool = True) -> None:
        fetch = self._policy.open(item.data.url, item.key, item.data.digest)
        if isinstance(fetch, Fail):
            self._results.append(Result(item.key, Mark(fetch.reason, 0, FetchDetail(None, 0, None, None))))
        elif may_wait or not self._hosts.would_wait(fetch.target.host, now):
            self._hosts.put(fetch, fetch.target.host, now)
        else:
            self._shelve(item.key, fetch.target.host, now)

    def _shelve(self, key: Key, host: str, now: float) -> None:
        """Put an item by, so that what comes after it need not wait for its host."""
        shelf = self._shelves.get(host)
        if shelf is None:
            shelf = self._shelves[host] = Shelf(host)
            self._hosts.put(shelf, host, now)
        shelf.add(key)
        self._items.put_by(key)

    def _unshelve(self, shelf: Shelf, now: float) -> bool:
        """Queue the first items of a shelf, and the rest of it again; False if there is no room for any."""
        items = self._items.take_back(*shelf.first())
        shelf.drop(len(items))
        for item in items:
            self._queue(item, now)
        if shelf and not self._feed_ended:
            self._hosts.put(shelf, shelf.host, now)
        else:
            del self._shelves[shelf.host]
        self._feed_paused = not items
        return bool(items)

    def _patience(self) -> float:
        """Seconds that the transport may wait before something else may have to be done."""
        if self._results:
            return 0.0
        pause = _FEED_PAUSE if self._feed_paused or self._crowded else _LIFE_SIGN
        due = self._hosts.next_time() if self._transport.in_flight < self._width else None
        return pause if due is None else max(0.0, min(pause, due - time.monotonic()))

    def _settle(self, exchange: Exchange) -> None:
        """Do what the policy says about an exchange that has finished."""
        now, wall = time.monotonic(), time.time()
        fetch: Fetch = exchange.request.tag
        host = fetch.target.host
        decision = self._policy.judge(fetch, exchange, now, wall)
        self._hosts.release(host, self._policy.news(exchange, wall), fetch.began, now)
        match decision:
            case Store(body):
                self._results.append(_result(fetch, DONE, body))
            case Follow():
                self._hosts.put_first(fetch, fetch.target.host, now)
            case Retry(after):
                self._hosts.put_later(fetch, fetch.target.host, now + after)
            case Fail(reason):
                self._results.append(_result(fetch, reason))


_END: Item[Wanted] = Item(Key(0, 0), Wanted(""))
_NO_NEWS = News(Signal.NONE)


def _result(fetch: Fetch, outcome: str, body: bytes | None = None) -> Result:
    detail = FetchDetail(fetch.status, fetch.attempts, fetch.content_type, fetch.final_url)
    return Result(fetch.tag, Mark(outcome, len(body or b""), detail), body)
