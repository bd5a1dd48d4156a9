"""What to do with a URL, given what happened to it so far: store, follow, retry or fail.

No sockets, no clock: time is passed in, chance comes from a ``random.Random``. Everything that is decided
about an answer is decided here, so both transports have the same outcomes.
"""

import hashlib
import re
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from . import urls
from .addresses import refused
from .hosts import News, Signal
from .options import FetchOptions
from .robots import refuses
from .sniff import sniff
from .transport import BODY_STATUSES, Exchange, Request
from .urls import BadURLError, Target

MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BUSY = frozenset({429, 503})

# Failures that may pass: asked again as often as the retries allow ...
TRANSIENT = frozenset(
    {"timeout", "connect", "truncated"} | {f"http_{code}" for code in (408, 429, 500, 502, 503, 504)}
)
# ... and those that rarely do: asked once more. Whatever is in neither is final.
DOUBTFUL = frozenset({"dns", "protocol"})

# Without an answer these are signs that nobody is there.
SILENCE = frozenset({"dns", "connect", "tls", "truncated"})

# Seconds. TCP sends its first packet again after one: a connection that took so long had it dropped, most
# likely because more connections wait at the host than it has room for.
CROWDED = 0.9

BACKOFF = 0.5  # seconds before the first retry; doubled each time, give or take half
MAX_CONTENT_TYPE = 200  # characters of a Content-Type that are remembered


class Digest(NamedTuple):
    """What hashlib's algorithm of this name must make of an image, in lower-case hexadecimal digits."""

    algorithm: str
    hexadecimal: str

    def fits(self, body: bytes) -> bool:
        return hashlib.new(self.algorithm, body, usedforsecurity=False).hexdigest() == self.hexadecimal


@dataclass(slots=True)
class Fetch:
    """One URL on its way.

    ``tag``      the caller's own
    ``source``   the target it began with, ``target`` where redirects have led
    ``budget``   seconds left of the present attempt
    ``digest``   of the only image that will do, if it is known
    ``began``    when the exchange in flight was started
    """

    tag: Any
    source: Target
    target: Target
    budget: float
    digest: Digest | None = None
    began: float = 0.0
    attempts: int = 0
    hops: list[str] = field(default_factory=list)
    status: int | None = None
    content_type: str | None = None

    @property
    def final_url(self) -> str | None:
        """Where redirects led, if there were any."""
        return self.target.url if self.hops else None


class Store(NamedTuple):
    """The body is an image: keep it."""

    body: bytes


class Follow(NamedTuple):
    """Ask ``fetch.target``, which is a new one, within the same attempt."""


class Retry(NamedTuple):
    """Ask again ``after`` seconds."""

    after: float


class Fail(NamedTuple):
    """Give up, for one of the documented reasons."""

    reason: str


Decision = Store | Follow | Retry | Fail


class Policy:
    """The decisions, for one set of options."""

    def __init__(self, options: FetchOptions, random: Random) -> None:
        self._options = options
        self._random = random
        self._agent = options.agent_token

    def open(self, url: str, tag: Any = None, digest: Digest | None = None) -> Fetch | Fail:
        """Take up a URL from a list."""
        try:
            target = urls.prepare(url)
        except BadURLError as error:
            return Fail(error.reason)
        if self._forbids(target):
            return Fail("blocked_address")
        return Fetch(tag, target, target, self._options.timeout, digest)

    def request(self, fetch: Fetch, now: float) -> Request:
        """The next request of a fetch, to be started at once."""
        if not fetch.hops:
            fetch.attempts += 1
        fetch.began = now
        return Request(fetch.target.url, now + fetch.budget, fetch, fetch.target.authorization)

    def judge(self, fetch: Fetch, exchange: Exchange, now: float, wall: float) -> Decision:
        """What to do next. ``now`` is monotonic time; ``wall`` is the time of day, as ``time.time()``."""
        fetch.budget -= now - fetch.began
        fetch.status = exchange.status
        fetch.content_type = (exchange.header("content-type") or "")[:MAX_CONTENT_TYPE] or None
        if exchange.status is None:
            return self._fail(fetch, exchange.error or "protocol")
        if exchange.status in BODY_STATUSES:
            return self._judge_body(fetch, exchange)
        location = exchange.header("location")
        if exchange.status in REDIRECTS and location is not None:
            return self._follow(fetch, location)
        return self._fail(fetch, f"http_{exchange.status}", self._pause(exchange, wall))

    def news(self, exchange: Exchange, wall: float) -> News:
        """What an exchange says about its host."""
        if exchange.status in BUSY:
            return News(Signal.BUSY, f"http_{exchange.status}", self._pause(exchange, wall) or 0.0)
        if exchange.error == "timeout":
            return News(Signal.SLOW, "timeout")
        if exchange.status is None and exchange.error in SILENCE:
            return News(Signal.SILENT, exchange.error)
        if exchange.connecting >= CROWDED:
            return News(Signal.CROWDED)
        return News(Signal.NONE if exchange.status is None else Signal.GOOD)

    def _pause(self, exchange: Exchange, wall: float) -> float | None:
        """Seconds that a busy host asks us to stay away, capped; None when it does not ask."""
        value = exchange.header("retry-after") if exchange.status in BUSY else None
        seconds = None if value is None else _retry_after(value, wall)
        return None if seconds is None else min(max(seconds, 0.0), self._options.max_wait)

    def _judge_body(self, fetch: Fetch, exchange: Exchange) -> Decision:
        tags = (value for name, value in exchange.headers if name == "x-robots-tag")
        if not self._options.ignore_robots_tag and refuses(tags, self._agent):
            return Fail("robots_tag")
        if exchange.error:
            return self._fail(fetch, exchange.error)
        if not exchange.body:
            return Fail("empty")
        if not sniff(exchange.body):
            return Fail("not_image")
        if fetch.digest is not None and not fetch.digest.fits(exchange.body):
            return Fail("hash_mismatch")
        return Store(exchange.body)

    def _follow(self, fetch: Fetch, location: str) -> Decision:
        try:
            target = urls.resolve(fetch.target.url, location)
        except BadURLError as error:
            return Fail("scheme" if error.reason == "scheme" else "redirects")
        fetch.hops.append(fetch.target.url)
        if len(fetch.hops) > MAX_REDIRECTS or target.url in fetch.hops:
            return Fail("redirects")
        fetch.target = target
        if self._forbids(target):
            return Fail("blocked_address")
        return Follow() if fetch.budget > 0 else self._fail(fetch, "timeout")

    def _fail(self, fetch: Fetch, reason: str, pause: float | None = None) -> Decision:
        """Retry if the reason may pass and attempts are left."""
        retries = self._options.retries if reason in TRANSIENT else 0
        if reason in DOUBTFUL:
            retries = min(self._options.retries, 1)
        if fetch.attempts > retries:
            return Fail(reason)
        fetch.target = fetch.source
        fetch.hops.clear()
        fetch.budget = self._options.timeout
        return Retry(self._backoff(fetch.attempts) if pause is None else pause)

    def _backoff(self, attempts: int) -> float:
        wait = BACKOFF * 2 ** (attempts - 1) * self._random.uniform(0.5, 1.5)
        return float(min(wait, self._options.max_wait))

    def _forbids(self, target: Target) -> bool:
        return target.address is not None and not self._options.allow_private and refused(target.address)


def _retry_after(value: str, wall: float) -> float | None:
    """Seconds from now of either form of Retry-After; None if it is neither."""
    text = value.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text[:20])
    from email.utils import parsedate_to_datetime  # slow to load, and few servers send a date

    try:
        return parsedate_to_datetime(text).timestamp() - wall
    except (ValueError, OverflowError, OSError):
        return None
