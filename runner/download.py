"""The download stage: manifests/ -> batches/."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .engine.items import DONE, Item, Key, Mark, Result
from .fetch import FetchOptions, Transport, open_transport
from .fetch.hosts import Hosts
from .fetch.policy import Digest, Fail, Fetch, Follow, Policy, Retry, Store
from .fetch.quota import Quota
from .fetch.transport import Exchange
from .manifest import Row, manifest_name, read_rows
from .sources.columns import name_in_job
from .sources.options import DigestColumn

# Fetches that may wait (for a retry, a Retry-After, or a host that is full) before no more are taken on.
MAX_WAITING = 4096

# Seconds between looks at the feed while it has nothing, and between signs of life.
_FEED_PAUSE = 0.05
_LIFE_SIGN = 1.0


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

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[Wanted]]:
        rows = read_rows(self.manifests / manifest_name(shard), indices)
        for index, row in zip(indices, rows, strict=True):
            yield Item(Key(shard, index), Wanted(row.url, self._digest(row)))

    def _digest(self, row: Row) -> Digest | None:
        """The digest that an image must have; a row without one takes any."""
        if self.digests is None:
            return None
        value = row.columns.get(name_in_job(self.digests.column))
        if value is None or value == "":
            return None
        return Digest(self.digests.algorithm, str(value).strip().lower())

    def process(self, items: Iterator[Item[Wanted] | None]) -> Iterator[Result | None]:
        with closing(open_transport(self.options)) as transport, self._quota() as quota:
            yield from _Downloads(self.options, transport, quota).run(items)

    def _quota(self) -> AbstractContextManager[Quota | None]:
        options = self.options
        if not options.per_host and not options.rate:
            return nullcontext()
        return closing(Quota(self.hosts, options.per_host, options.rate))


class _Downloads:
    """The items in the hands of one ``process``, in flight or waiting for their turn."""

    def __init__(self, options: FetchOptions, transport: Transport, quota: Quota | None) -> None:
        self._width = options.connections
        self._transport = transport
        self._policy = Policy(options, random.Random())
        self._hosts: Hosts[Fetch] = Hosts(options.connections, options.per_host, quota)
        self._results: list[Result] = []
        self._feed_ended = False
        self._feed_paused = False

    def run(self, items: Iterator[Item[Wanted] | None]) -> Iterator[Result | None]:
        """Nothing here waits for anything but the transport, so no URL can hold up another."""
        while True:
            self._fill(items)
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

    def _fill(self, items: Iterator[Item[Wanted] | None]) -> None:
        """Start whatever can be started."""
        self._feed_paused = False
        while self._transport.in_flight < self._width and len(self._results) < self._width:
            now = time.monotonic()
            if lost := self._hosts.lose():
                self._results.append(_result(*lost))
            elif fetch := self._hosts.take(now):
                self._transport.start(self._policy.request(fetch, now))
            elif not self._take_on(items, now):
                break

    def _take_on(self, items: Iterator[Item[Wanted] | None], now: float) -> bool:
        """Queue the next item, if there is one just now and room for it to wait."""
        if self._feed_ended or self._hosts.waiting >= MAX_WAITING:
            return False
        item = next(items, _END)
        if item is _END:
            self._feed_ended = True
        elif item is None:
            self._feed_paused = True
        else:
            fetch = self._policy.open(item.data.url, item.key, item.data.digest)
            if isinstance(fetch, Fail):
                self._results.append(
                    Result(item.key, Mark(fetch.reason, 0, FetchDetail(None, 0, None, None)))
                )
            else:
                self._hosts.put(fetch, fetch.target.host, now)
            return True
        return False

    def _patience(self) -> float:
        """Seconds that the transport may wait before something else may have to be done."""
        if self._results:
            return 0.0
        pause = _FEED_PAUSE if self._feed_paused else _LIFE_SIGN
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


def _result(fetch: Fetch, outcome: str, body: bytes | None = None) -> Result:
    detail = FetchDetail(fetch.status, fetch.attempts, fetch.content_type, fetch.final_url)
    return Result(fetch.tag, Mark(outcome, len(body or b""), detail), body)
