"""A small image server on loopback, in a process of its own: it misbehaves where told and counts requests."""

import asyncio
import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

Manner = Literal["plain", "hang", "drip", "cut", "flaky"]

PHRASES = {
    200: "OK",
    302: "Found",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True)
class Page:
    """What is answered to one path.

    ``manner``: ``hang`` never answers, ``drip`` sends a byte now and then for ever, ``cut`` promises the
    whole body and hangs up half-way, ``flaky`` answers the first request with 503, the others with the page.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "image/jpeg"
    location: str | None = None
    manner: Manner = "plain"


@dataclass(frozen=True)
class Record:
    """What the server has seen: requests for each path, and when it last finished a plain answer."""

    requests: Counter[str]
    last_answer: float  # seconds on time.monotonic, which all processes of a machine share

    @property
    def total(self) -> int:
        return self.requests.total()

    @property
    def repeated(self) -> int:
        """Requests for what had been asked for before."""
        return self.total - len(self.requests)


class Site:
    """The running server, seen from the process that started it."""

    def __init__(self, port: int, connection: Connection) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._connection = connection

    def record(self) -> Record:
        self._connection.send("record")
        record: Record = self._connection.recv()
        return record


@contextmanager
def serve(pages: Mapping[str, Page], rate: float | None = None) -> Iterator[Site]:
    """Serve pages (path -> page; everything else is a 404) on a free port of 127.0.0.1.

    ``rate``: plain answers a second, all connections together.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(pages, rate, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield Site(ours.recv(), ours)
    finally:
        ours.close()
        process.join(5)
        process.kill()


def _run(pages: Mapping[str, Page], rate: float | None, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pipe tells when to end
    with suppress(KeyboardInterrupt):
        asyncio.run(_Server(pages, rate).run(connection))


class _Server:
    def __init__(self, pages: Mapping[str, Page], rate: float | None) -> None:
        self._pages = pages
        self._gap = 1 / rate if rate else 0.0
        self._next_turn = 0.0
        self._requests: Counter[str] = Counter()
        self._last_answer = 0.0

    async def run(self, connection: Connection) -> None:
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, backlog=4096)
        connection.send(server.sockets[0].getsockname()[1])
        closed = asyncio.Event()

        def answer_owner() -> None:
            try:
                connection.recv()
                connection.send(Record(self._requests, self._last_answer))
            except (EOFError, OSError):  # the owner has gone
                closed.set()
                asyncio.get_running_loop().remove_reader(connection.fileno())

        asyncio.get_running_loop().add_reader(connection.fileno(), answer_owner)
        await closed.wait()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The client has hung up, or the server is told to end.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._answer(await reader.readuntil(b"\r\n\r\n"), writer):
                pass
        writer.transport.abort()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection can take another."""
        target = request.split(b" ", 2)[1].decode("latin-1")
        self._requests[target] += 1
        page = self._pages.get(target.partition("?")[0], Page(status=404, content_type="text/plain"))
        if page.manner == "flaky" and self._requests[target] == 1:
            page = Page(status=503, content_type="text/plain")
        match page.manner:
            case "hang":
                await asyncio.sleep(3600)
            case "drip":
                writer.write(_head(page, len(page.body)))
                for byte in page.body:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.5)
            case "cut":
                writer.write(_head(page, len(page.body)) + page.body[: len(page.body) // 2])
                await writer.drain()
                writer.close()
                await writer.wait_closed()
            case _:
                await self._turn()
                writer.write(_head(page, len(page.body)) + page.body)
                await writer.drain()
                self._last_answer = time.monotonic()
                return True
        return False

    async def _turn(self) -> None:
        """Wait for the next moment at which the rate allows an answer."""
        if self._gap:
            now = time.monotonic()
            self._next_turn = max(now, self._next_turn + self._gap)
            await asyncio.sleep(self._next_turn - now)


def _head(page: Page, length: int) -> bytes:
    lines = [
        f"HTTP/1.1 {page.status} {PHRASES[page.status]}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {length}",
    ]
    if page.location:
        lines.append(f"Location: {page.location}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
