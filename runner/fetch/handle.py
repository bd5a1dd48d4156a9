"""One libcurl handle: how it is set for a request, and what it makes of the answer.

Nothing here runs per chunk of a body beyond one short callback, and nothing is set per request that was
not different for the request before: that is where the speed comes from.
"""

import re
import socket
import time
from typing import Any

import certifi
import pycurl

from .addresses import refused
from .decoding import decoded
from .options import FetchOptions
from .transport import BODY_STATUSES, DRAIN, HEADERS, MAX_HEAD, MAX_HEAD_LINES, Exchange, Request

_WANTED = re.compile(rb"(%s)[ \t]*:([^\r\n]*)" % "|".join(HEADERS).encode(), re.IGNORECASE)
_INITIALS = frozenset("".join(name[0] + name[0].upper() for name in HEADERS).encode())
_BLANK = frozenset({b"\r\n", b"\n"})

_BUFFER = 512 * 1024  # bytes; what libcurl takes from a socket at a time, shared by all handles

_CLOSED = frozenset({pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR, pycurl.E_GOT_NOTHING})

_REASONS = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_RESOLVE_PROXY: "connect",
    pycurl.E_COULDNT_CONNECT: "connect",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_FILESIZE_EXCEEDED: "too_large",
    pycurl.E_PARTIAL_FILE: "truncated",
    pycurl.E_GOT_NOTHING: "truncated",
    pycurl.E_SEND_ERROR: "truncated",
    pycurl.E_BAD_CONTENT_ENCODING: "encoding",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
    pycurl.E_SSL_CIPHER: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_INVALIDCERTSTATUS: "tls",
    pycurl.E_SSL_CERTPROBLEM: "tls",
}


class Handle:
    """One Curl handle, used for one exchange after another."""

    def __init__(self, options: FetchOptions) -> None:
        self.curl = pycurl.Curl()
        self.request: Request
        self.head: list[bytes] = []
        self.chunks: list[bytes] = []
        self.size = 0
        self.limit = -1  # of the body; known when the status is
        self.status: int | None = None
        self.overflow = False
        self.refused = self.opened = False
        self.renewed = False
        self.proxy: str | None = None
        self.addresses: list[str] = []  # of the host, as RESOLVE takes them
        self._max_bytes = options.max_bytes
        self._timeout_ms = 0
        self._headers = [f"{name}: {value}" for name, value in options.header_pairs()]
        self._configure(options)

    def _configure(self, options: FetchOptions) -> None:
        setopt = self.curl.setopt
        setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        setopt(pycurl.FOLLOWLOCATION, 0)
        setopt(pycurl.PATH_AS_IS, 1)
        setopt(pycurl.NOSIGNAL, 1)
        setopt(pycurl.NOPROGRESS, 1)
        setopt(pycurl.BUFFERSIZE, _BUFFER)
        setopt(pycurl.MAXFILESIZE_LARGE, options.max_bytes)  # a larger Content-Length ends it at once
        setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(options.connect_timeout * 1000)))
        setopt(pycurl.HTTPHEADER, self._headers)
        setopt(pycurl.PROXY, "")  # the environment is ours to read
        setopt(pycurl.NOPROXY, "")
        setopt(pycurl.CAINFO, options.ca_bundle or certifi.where())
        if options.insecure:
            setopt(pycurl.SSL_VERIFYPEER, 0)
            setopt(pycurl.SSL_VERIFYHOST, 0)
        # Each request brings its addresses along. What libcurl remembers of them it looks through every time.
        setopt(pycurl.DNS_CACHE_TIMEOUT, 2)
        setopt(pycurl.HEADERFUNCTION, self.head.append)
        setopt(pycurl.WRITEFUNCTION, self._write)
        if not options.allow_private:
            setopt(pycurl.OPENSOCKETFUNCTION, self._open)

    def prepare(self, request: Request, proxy: str | None, addresses: list[str]) -> None:
        self.request = request
        self.head.clear()
        self.chunks = []
        self.size = 0
        self.limit = -1
        self.status = None
        self.overflow = self.refused = self.opened = False
        curl = self.curl
        curl.setopt(pycurl.URL, request.url)
        timeout_ms = max(1, int((request.deadline - time.monotonic()) * 1000))
        if timeout_ms != self._timeout_ms:
            curl.setopt(pycurl.TIMEOUT_MS, timeout_ms)
            self._timeout_ms = timeout_ms
        if proxy != self.proxy:
            curl.setopt(pycurl.PROXY, proxy or "")
            self.proxy = proxy
        self.addresses = addresses
        if addresses:
            curl.setopt(pycurl.RESOLVE, addresses)
        if request.authorization:
            curl.setopt(pycurl.HTTPHEADER, [*self._headers, f"Authorization: {request.authorization}"])

    def found_closed(self, code: int) -> bool:
        """Whether the exchange failed only because an idle connection was closed under it.

        libcurl itself asks again on another connection, but it gives up when that is so five times in a row.
        """
        return code in _CLOSED and not self.head and self.curl.getinfo(pycurl.NUM_CONNECTS) == 0

    def renew(self) -> None:
        """Ask again, on a connection of its own."""
        self.curl.setopt(pycurl.FRESH_CONNECT, 1)
        self.renewed = True
        self.prepare(self.request, self.proxy, self.addresses)

    def finish(self, code: int, message: str) -> Exchange:
        """The exchange, once libcurl is through with it (``code`` 0: without an error)."""
        request, chunks = self.request, self.chunks
        self.chunks = []
        if self.renewed:
            self.curl.setopt(pycurl.FRESH_CONNECT, 0)
            self.renewed = False
        if request.authorization:
            self.curl.setopt(pycurl.HTTPHEADER, self._headers)
        # Beside the fields there are the status line and the blank line.
        if len(self.head) > MAX_HEAD_LINES + 2 or sum(map(len, self.head)) > MAX_HEAD:
            return Exchange(request, None, [], b"", "protocol")
        status = _status(self.head) if self.status is None else self.status
        if status is None:
            return Exchange(request, None, [], b"", self._reason(code, message))
        wanted = status in BODY_STATUSES
        error = self._reason(code, message) if code and wanted else None
        body = b"".join(chunks) if wanted and not error else b""
        connecting = self.curl.getinfo(pycurl.CONNECT_TIME)
        exchange = Exchange(request, status, _headers(self.head), body, error, connecting)
        return decoded(exchange, self._max_bytes)

    def _write(self, data: bytes) -> int | None:
        self.size += len(data)
        if self.size > self.limit and not self._has_room():
            return 0  # libcurl gives up
        self.chunks.append(data)
        return None

    def _has_room(self) -> bool:
        if self.limit < 0:  # the body begins
            self.status = _status(self.head)
            self.limit = self._max_bytes if self.status in BODY_STATUSES else DRAIN
        self.overflow = self.size > self.limit
        return not self.overflow

    def _open(self, _purpose: int, address: Any) -> Any:
        """Called before each connection. Behind a proxy the address is the proxy's."""
        if self.proxy is None and refused(str(address.addr[0])):
            self.refused = True
            return pycurl.SOCKET_BAD
        self.opened = True
        return socket.socket(address.family, address.socktype, address.protocol)

    def _reason(self, code: int, message: str) -> str:
        if not code:  # libcurl takes a head that was cut short for a whole one
            return "truncated" if self.head and self.head[-1].strip() else "protocol"
        if self.overflow:
            return "too_large"
        if self.refused and not self.opened:
            return "blocked_address"
        if (
            code == pycurl.E_RECV_ERROR
        ):  # one code for a connection that broke and for chunks that make no sense
            return "protocol" if "chunk" in message else "truncated"
        return _REASONS.get(code, "protocol")


def _status(lines: list[bytes]) -> int | None:
    """The status of the last head among the lines (interim answers have heads too), if it is complete."""
    complete = False
    for line in reversed(lines):
        if line in _BLANK:
            complete = True
        elif line.startswith(b"HTTP/"):
            words = line.split(None, 2)
            final = complete and line.startswith(b"HTTP/1.") and len(words) > 1 and words[1].isdigit()
            status = int(words[1]) if final else 0
            return status if status == 101 or status >= 200 else None
    return None


def _headers(lines: list[bytes]) -> list[tuple[str, str]]:
    """The headers that matter, of the last head."""
    found: list[tuple[str, str]] = []
    for line in lines:
        if line[0] in _INITIALS:
            match = _WANTED.match(line)
            if match:
                found.append((match[1].decode("ascii").lower(), match[2].decode("latin-1").strip()))
        elif line.startswith(b"HTTP/"):
            found.clear()
    return found
