"""A quick server with one manner for every path, in a process of its own."""

import asyncio
import multiprocessing
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

CERTIFICATE = Path(__file__).resolve().parents[3] / "tests" / "data" / "localhost.pem"

BODY = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(75_000)


@dataclass(frozen=True)
class Manner:
    """How every request is answered.

    ``delay``       seconds before the answer
    ``endless``     the body never ends
    ``tls``         with a certificate for 127.0.0.1, and no sessions resumed
    ``keep_alive``  more than one request per connection
    """

    delay: float = 0.0
    endless: bool = False
    tls: bool = False
    keep_alive: bool = True


@contextmanager
def serve(manner: Manner) -> Iterator[str]:
    """Serve on a free port of loopback; gives the URL before the paths."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(manner, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield f"{'https' if manner.tls else 'http'}://127.0.0.1:{ours.recv()}"
    finally:
        ours.close()
        process.join(5)
        process.kill()


def _run(manner: Manner, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pipe tells when to end
    asyncio.run(_serve(manner, connection))


async def _serve(manner: Manner, connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Conversation(manner), "127.0.0.1", 0, backlog=4096, ssl=_context() if manner.tls else None
    )
    connection.send(server.sockets[0].getsockname()[1])
    closed = asyncio.Event()
    loop.add_reader(connection.fileno(), closed.set)
    await closed.wait()
    loop.stop()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.num_tickets = 0
    return context


class _Conversation(asyncio.Protocol):
    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._request = b""
        self._paused = False
        length = b"" if manner.endless else b"Content-Length: %d\r\n" % len(BODY)
        last = b"Connection: close\r\n" if not manner.keep_alive else b""
        self._answer = b"HTTP/1.1 200 OK\r\n" + length + last + b"\r\n" + BODY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._request += data
        if self._request.endswith(b"\r\n\r\n"):
            self._request = b""
            asyncio.get_running_loop().call_later(self._manner.delay, self._send)

    def _send(self) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(self._answer)
        if self._manner.endless:
            self._send_more()
        elif not self._manner.keep_alive:
            self._transport.close()

    def _send_more(self) -> None:
        if self._transport.is_closing():
            return
        if not self._paused:
            self._transport.write(BODY)
        asyncio.get_running_loop().call_later(0.01, self._send_more)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
