"""Connections for the requests transport: checked addresses, strict heads, sockets that can be shut down."""

import re
import socket
import ssl
import threading
import time
from http import client
from typing import Any, Protocol

import certifi
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from .addresses import refused
from .options import FetchOptions
from .resolver import Resolver
from .transport import MAX_HEAD, Request

_MAX_DIGITS = 18  # of a Content-Length that is a number of bytes
_SPACED_COLON = re.compile(rb"^([^\s:]+)[ \t]+:")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}[ \t]*(;.*)?\r?\n?", re.DOTALL)
_MAX_LINE = 64 * 1024


class FailedError(Exception):
    """An exchange cannot go on, for a reason in the words of ``Exchange.error``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Work(Protocol):
    """What a connection has to know and to tell of the exchange that it serves."""

    request: Request
    status: int | None
    reused: bool
    answered: bool
    connecting: float

    def hold(self, sock: socket.socket) -> None:
        """Remember the socket in use, to be shut down at the deadline."""
        ...


class _Current(threading.local):
    """The work of this thread: urllib3 offers no way to hand it to a connection."""

    work: Work
    resolver: Resolver
    allow_private: bool
    connect_timeout: float


current = _Current()


class _Head:
    """The lines of a head, as http.client reads them, but with a limit to all of them and only sane ones."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_HEAD
        self.close = file.close

    def readline(self, _limit: int) -> bytes:
        line: bytes = self._file.readline(self._left + 1)
        self._left -= len(line)
        inside = line.rstrip(b"\r\n")
        if not line:
            raise FailedError("truncated")
        if self._left < 0 or b"\0" in inside or b"\r" in inside:
            raise FailedError("protocol")
        return _SPACED_COLON.sub(rb"\1:", line)


class _Response(client.HTTPResponse):
    """An answer that is read as strictly as libcurl reads it."""

    def begin(self) -> None:
        file = self.fp
        self.fp: Any = _Head(file)
        super().begin()
        self.fp = file
        _check_framing(self.headers)
        current.work.status = self.status

    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the real answer, after any interim ones."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            current.work.answered = True
            if status >= 200 or status == 101:
                return version, status, reason
            client.parse_headers(self.fp)

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(_MAX_LINE)
        if not line:
            raise FailedError("truncated")
        if not _CHUNK_SIZE.fullmatch(line):
            raise FailedError("protocol")
        return int(line.partition(b";")[0], 16)


class _Guarded:
    """What both kinds of connections do differently from urllib3's.

    ``_handle`` is a second descriptor of the socket, for shutting it down: the first one is closed and
    replaced under way when TLS begins.
    """

    _handle: socket.socket | None = None
    _requests = 0
    response_class: Any = _Response

    def _new_conn(self: Any) -> socket.socket:
        sock = _connect(self._dns_host, self.port, check=self.proxy is None and not current.allow_private)
        self._drop_handle()
        self._handle = sock.dup()
        current.work.hold(self._handle)
        return sock

    def request(self: Any, *args: Any, **kwargs: Any) -> None:
        if self._handle is not None:
            current.work.hold(self._handle)
        current.work.reused = self._requests > 0
        self._requests += 1
        super().request(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        self._requests = 0
        self._drop_handle()

    def _drop_handle(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class _HTTPConnection(_Guarded, HTTPConnection):
    pass


class _HTTPSConnection(_Guarded, HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except TimeoutError:
            raise FailedError("timeout") from None
        except ssl.SSLError:
            raise FailedError("tls") from None
        except OSError:
            raise FailedError("tls" if self.proxy is None else "connect") from None


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class GuardedAdapter(HTTPAdapter):
    """An adapter whose pools make guarded connections and share one TLS context."""

    def __init__(self, options: FetchOptions) -> None:
        self._tls = {
            "ssl_context": _tls_context(options),
            "cert_reqs": "CERT_NONE" if options.insecure else "CERT_REQUIRED",
        }
        super().__init__(options.connections, options.connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _guard(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return _guard(super().proxy_manager_for(proxy, **kwargs))

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, self._tls

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context has the authorities already; naming a file makes urllib3 parse it per connection."""


def _tls_context(options: FetchOptions) -> ssl.SSLContext:
    context = create_urllib3_context()
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(options.ca_bundle or certifi.where())
    return context


def _guard(manager: Any) -> Any:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager


def _connect(host: str, port: int, check: bool) -> socket.socket:
    """A connection to the first address that takes one, each given its share of the time that is left."""
    end = min(time.monotonic() + current.connect_timeout, current.work.request.deadline)
    name = host.strip("[]")
    addresses = current.resolver.known(name) or current.resolver.look_up(name)
    if not addresses:
        raise FailedError("dns")
    allowed = [address for address in addresses if not (check and refused(address))]
    reason = "connect" if allowed else "blocked_address"
    for tried, address in enumerate(allowed):
        left = end - time.monotonic()
        if left <= 0:
            raise FailedError("timeout")
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            sock.settimeout(left / (len(allowed) - tried))
            began = time.monotonic()
            sock.connect((address, port))
            current.work.connecting = time.monotonic() - began
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            reason = "timeout" if isinstance(error, TimeoutError) else "connect"
    raise FailedError(reason)


def _check_framing(headers: Any) -> None:
    """Refuse a head that does not say where the body ends, so that no body is taken for another's."""
    if headers.defects:
        raise FailedError("protocol")
    transfer = headers.get("transfer-encoding")
    if transfer is not None:
        if transfer.strip().lower() != "chunked":
            raise FailedError("encoding")
        return
    lengths = {value.strip() for value in headers.get_all("content-length", ["0"])}
    if len(lengths) != 1 or not (length := lengths.pop()).isdecimal():
        raise FailedError("protocol")
    if len(length) > _MAX_DIGITS:
        raise FailedError("too_large")
