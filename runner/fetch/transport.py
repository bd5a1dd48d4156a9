"""What the policy and a transport say to each other. One exchange is one hop: a request and its answer."""

from typing import Any, NamedTuple, Protocol

# Statuses whose body is wanted. Of any other answer the body is read, so that the connection can be used
# again, but not kept, and at most DRAIN bytes of it.
BODY_STATUSES = frozenset({200, 203})
DRAIN = 64 * 1024

# The response headers that anything is decided by.
HEADERS = frozenset({"content-encoding", "content-type", "location", "retry-after", "x-robots-tag"})

# The longest head of an answer, in bytes (interim answers included) and in lines.
MAX_HEAD = 64 * 1024
MAX_HEAD_LINES = 100


class Request(NamedTuple):
    """A GET for an ASCII URL, to be over by ``deadline`` (of ``time.monotonic()``).

    ``tag`` is the caller's own and comes back untouched; ``authorization`` is a header value.
    """

    url: str
    deadline: float
    tag: Any = None
    authorization: str | None = None


class Exchange(NamedTuple):
    """What became of a request.

    ``status``   None when no head of an answer arrived
    ``headers``  the ``HEADERS`` among the answer's: (lower-case name, value decoded as Latin-1)
    ``body``     decoded and whole; empty unless the status is in ``BODY_STATUSES``
    ``error``    None, or why the answer is not complete: blocked_address, dns, connect, tls, timeout,
                 too_large, truncated, protocol, encoding
    ``connecting`` seconds that a new connection took, 0 for one that was there
    """

    request: Request
    status: int | None
    headers: list[tuple[str, str]]
    body: bytes
    error: str | None
    connecting: float = 0.0

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Transport(Protocol):
    """Moves bytes: many exchanges at a time, each ended by its deadline and the byte cap at the latest.

    It follows no redirect, keeps no cookie, repeats nothing (except on a fresh connection, at once, when
    the server closed an idle one under the request), and talks to no refused address.
    """

    @property
    def in_flight(self) -> int:
        """Exchanges started and not yet returned by ``wait``."""
        ...

    def start(self, request: Request) -> None:
        """Begin an exchange; never blocks."""
        ...

    def wait(self, timeout: float) -> list[Exchange]:
        """Exchanges that have finished: at least one, unless ``timeout`` seconds pass first."""
        ...

    def close(self) -> None:
        """Drop everything in flight, promptly."""
        ...
