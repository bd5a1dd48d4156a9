"""A web server on loopback whose answers are scripted byte by byte, for everything servers should not do.

    with WebServer({"/cat.jpg": answer(JPEG), "/slow": drip_body}) as server:
        server.url("/cat.jpg"), server.hits("/cat.jpg"), server.connections

A handler is a function of the ``Visit``. When it returns, the connection is kept open for the next request;
``Visit.close()`` and ``Visit.reset()`` end it. Waiting ends when the server is closed, so no test hangs.
"""

import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

CERTIFICATE = Path(__file__).parent / "data" / "localhost.pem"  # for localhost and 127.0.0.1, with its key

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8  # an image as far as sniffing goes

Handler = Callable[["Visit"], None]


class _ConnectionEnded(Exception):
    """A handler has ended the connection."""


class Visit:
    """One request, and the means to answer it."""

    def __init__(self, server: "WebServer", connection: socket.socket, head: bytes, number: int) -> None:
        self.server = server
        self.number = number  # of the request on its connection, from 1
        self.head = head
        self.path = head.split(b" ", 2)[1].decode("latin-1")
        self._connection = connection

    def send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            raise _ConnectionEnded from None

    def answer(self, body: bytes = b"", status: str = "200 OK", headers: Iterable[str] = ()) -> None:
        """A whole answer, framed by its Content-Length."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def hang(self) -> None:
        """Nothing more, until the client goes away or the server is closed."""
        while not self.server.closing.wait(0.05):
            self._check_peer()
        raise _ConnectionEnded

    def drip(self, data: bytes, every: float = 0.05) -> None:
        """The data over and over, one byte at a time."""
        while True:
            for byte in data:
                self.send(bytes([byte]))
                if self.server.closing.wait(every):
                    raise _ConnectionEnded

    def close(self) -> None:
        raise _ConnectionEnded

    def shut_down(self) -> None:
        """Tell the client that nothing more will come."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _ConnectionEnded

    def _check_peer(self) -> None:
        if isinstance(self._connection, ssl.SSLSocket):
            return
        try:
            gone = self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            raise _ConnectionEnded


class WebServer:
    """Routes by path; ``*`` is the route of everything else, 404 without it."""

    def __init__(self, routes: dict[str, Handler], host: str = "127.0.0.1", tls: bool = False) -> None:
        self.routes = routes
        self.closing = threading.Event()
        self.connections = 0
        self.heads: list[bytes] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._tls = _tls_context() if tls else None
        self._host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=4096)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "WebServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def url(self, path: str = "/", host: str | None = None) -> str:
        scheme = "https" if self._tls else "http"
        name = host or (f"[{self._host}]" if ":" in self._host else self._host)
        return f"{scheme}://{name}:{self.port}{path}"

    def hits(self, path: str) -> int:
        """How often a path has been asked for."""
        return self.counts()[path]

    def counts(self) -> Counter[str]:
        with self._lock:
            return Counter(head.split(b" ", 2)[1].decode("latin-1") for head in self.heads)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._open.discard(raw)
                    self._open.add(connection)
            number = 0
            while head := _read_head(connection):
                number += 1
                visit = Visit(self, connection, head, number)
                with self._lock:
                    self.heads.append(head)
                self._route(visit.path)(visit)
        except (OSError, _ConnectionEnded):
            pass
        finally:
            with self._lock:
                self._open -= {raw, connection}
                connection.close()

    def _route(self, path: str) -> Handler:
        return self.routes.get(path) or self.routes.get("*") or answer(status="404 Not Found")


def answer(body: bytes = b"", status: str = "200 OK", headers: Iterable[str] = ()) -> Handler:
    """A handler for one whole answer."""
    lines = tuple(headers)
    return lambda visit: visit.answer(body, status, lines)


def redirect(location: str, status: str = "302 Found") -> Handler:
    return answer(b"moved", status, [f"Location: {location}"])


def raw(*parts: bytes) -> Handler:
    """These bytes, as they are, and then the end of the connection."""

    def handler(visit: Visit) -> None:
        for part in parts:
            visit.send(part)
        visit.close()

    return handler


def in_turn(*handlers: Handler) -> Handler:
    """Another handler for each request, the last one for all that follow."""
    remaining = list(handlers)
    lock = threading.Lock()

    def handler(visit: Visit) -> None:
        with lock:
            chosen = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        chosen(visit)

    return handler


class Crowd:
    """A handler that takes a moment (seconds) over each image; ``most`` is how many came at once."""

    def __init__(self, moment: float) -> None:
        self.most = 0
        self._moment = moment
        self._present = 0
        self._lock = threading.Lock()

    def __call__(self, visit: Visit) -> None:
        with self._lock:
            self._present += 1
            self.most = max(self.most, self._present)
        visit.server.closing.wait(self._moment)
        with self._lock:
            self._present -= 1
        visit.answer(JPEG)


def hang(visit: Visit) -> None:
    """Never answers."""
    visit.hang()


def hang_after_head(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + JPEG)
    visit.hang()


def drip_head(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\n")
    visit.drip(b"X-Drip: a\r\n")


def drip_body(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + JPEG)
    visit.drip(b"x")


def drip_chunks(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    visit.drip(b"1\r\nx\r\n")


def drip_chunk_header(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5; x=")
    visit.drip(b"a")


def drip_continue(visit: Visit) -> None:
    visit.drip(b"HTTP/1.1 100 Continue\r\n\r\n", every=0.01)


def endless_continue(visit: Visit) -> None:
    while not visit.server.closing.is_set():
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def endless_body(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\n\r\n" + JPEG)
    while not visit.server.closing.is_set():
        visit.send(bytes(65536))


def _read_head(connection: socket.socket) -> bytes:
    """A request up to its blank line; empty when the client has closed the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = connection.recv(65536)
        if not data:
            return b""
        head += data
    return head


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
