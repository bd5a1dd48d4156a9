"""The default transport: libcurl's multi interface, one event loop on epoll, reused handles.

Nothing here runs per chunk of a body beyond one short callback, and nothing is set per request that was
not different for the request before: that is where the speed comes from.
"""

import os
import re
import select
import socket
import time
from contextlib import suppress
from functools import lru_cache
from typing import Any

import certifi
import pycurl

from .addresses import refused
from .decoding import decoded
from .options import FetchOptions
from .proxies import Proxies
from .resolver import Addresses, Lookups, Resolver
from .transport import BODY_STATUSES, DRAIN, HEADERS, MAX_HEAD, MAX_HEAD_LINES, Exchange, Request

_WANTED = re.compile(rb"(%s)[ \t]*:([^\r\n]*)" % "|".join(HEADERS).encode(), re.IGNORECASE)
_INITIALS = frozenset("".join(name[0] + name[0].upper() for name in HEADERS).encode())
_BLANK = frozenset({b"\r\n", b"\n"})

_BUFFER = 512 * 1024  # bytes; what libcurl takes from a socket at a time, shared by all handles

_TO_CURL = {
    select.EPOLLIN: pycurl.CSELECT_IN,
    select.EPOLLOUT: pycurl.CSELECT_OUT,
    select.EPOLLIN | select.EPOLLOUT: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
_TO_EPOLL = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
    pycurl.POLL_REMOVE: select.EPOLLIN,
}

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


class _Handle:
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


class CurlTransport:
    """``Transport`` over one CurlMulti. Not for use by several threads."""

    def __init__(self, options: FetchOptions) -> None:
        self._options = options
        self._proxies = Proxies(options.proxy)
        self._resolver = Resolver()
        self._lookups = Lookups(self._resolver)
        self._epoll = select.epoll()
        self._epoll.register(self._lookups, select.EPOLLIN)
        self._watched: dict[int, int] = {}  # events by descriptor
        self._resting: set[int] = set()  # descriptors of connections that no exchange uses
        self._timer: float | None = None
        self._idle: list[_Handle] = []
        self._busy: dict[Any, _Handle] = {}
        self._finished: list[Exchange] = []
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, options.connections)
        # Idle ones included: for a new connection an idle one is closed, so that descriptors never run out.
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, options.connections)

    @property
    def in_flight(self) -> int:
        return len(self._busy) + len(self._lookups) + len(self._finished)

    def start(self, request: Request) -> None:
        proxy = self._proxies.choose(request.url)
        name, port = (None, 0) if proxy else _name(*request.url.split("/", 3)[:3:2])
        if name is None:
            self._begin(request, proxy, [])
        elif addresses := self._resolver.known(name):
            self._begin(request, None, _pairs(name, port, addresses))
        else:
            deadline = min(request.deadline, time.monotonic() + self._options.connect_timeout)
            self._lookups.add(name, request, deadline)

    def _begin(self, request: Request, proxy: str | None, addresses: list[str]) -> None:
        handle = self._idle.pop() if self._idle else _Handle(self._options)
        handle.prepare(request, proxy, addresses)
        self._busy[handle.curl] = handle
        self._multi.add_handle(handle.curl)

    def wait(self, timeout: float) -> list[Exchange]:
        now = time.monotonic()
        end = now + timeout
        while True:
            self._run(now, end)
            now = time.monotonic()
            if self._finished or now >= end:
                break
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        for curl in self._busy:
            self._multi.remove_handle(curl)
        for handle in [*self._busy.values(), *self._idle]:
            handle.curl.close()
        self._busy.clear()
        self._idle.clear()
        self._multi.close()
        self._epoll.close()
        self._lookups.close()

    def _run(self, now: float, end: float) -> None:
        """Let libcurl do what can be done now, or else as soon as something happens."""
        wake = end if self._timer is None else min(end, self._timer)
        if self._lookups:
            wake = min(wake, self._lookups.next_deadline or wake)
        ready = [each for each in self._epoll.poll(max(0.0, wake - now)) if not self._spoil(each[0])]
        if self._timer is not None and self._timer <= time.monotonic():
            self._timer = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        for fd, events in ready:
            if fd == self._lookups.fileno():
                self._begin_found()
            else:
                # Errors and hang-ups are found by reading, so that what came before them is not lost.
                self._multi.socket_action(fd, _TO_CURL.get(events, pycurl.CSELECT_IN | pycurl.CSELECT_OUT))
        if self._lookups:
            late = self._lookups.expired(time.monotonic())
            self._finished += [Exchange(request, None, [], b"", "timeout") for request in late]
        self._collect()

    def _begin_found(self) -> None:
        """Go on with the requests whose names have been looked up."""
        for request, addresses in self._lookups.found():
            if addresses:
                name, port = _name(*request.url.split("/", 3)[:3:2])
                self._begin(request, None, _pairs(str(name), port, addresses))
            else:
                self._finished.append(Exchange(request, None, [], b"", "dns"))

    def _collect(self) -> None:
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            for curl in good:
                self._finish(curl, 0, "")
            for curl, code, message in bad:
                self._finish(curl, code, message)

    def _finish(self, curl: Any, code: int, message: str) -> None:
        handle = self._busy.pop(curl)
        self._multi.remove_handle(curl)
        if handle.found_closed(code):
            handle.renew()
            self._busy[curl] = handle
            self._multi.add_handle(curl)
            return
        self._finished.append(handle.finish(code, message))
        self._idle.append(handle)

    def _watch(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        """libcurl says which events of a socket it waits for.

        A socket that it does not need for now is watched on, see ``_spoil``, until it is closed: the kernel
        forgets it then by itself.
        """
        events = _TO_EPOLL[what]
        known = self._watched.get(fd) if fd not in self._resting else None
        if events != known:
            self._register(fd, events)
        if what == pycurl.POLL_REMOVE:
            self._resting.add(fd)
        else:
            self._resting.discard(fd)

    def _register(self, fd: int, events: int) -> None:
        if fd in self._watched:
            with suppress(FileNotFoundError):  # closed meanwhile: this is another socket of that number
                self._epoll.modify(fd, events)
                self._watched[fd] = events
                return
        self._watched[fd] = events
        self._epoll.register(fd, events)

    def _spoil(self, fd: int) -> bool:
        """Make a connection useless if something arrived on it while no answer was due.

        It is the server's goodbye, or more than it was asked for, which must not be taken for the answer to
        the next request; libcurl looks for such things only once a second. True if it was so.
        """
        if fd not in self._resting:
            return False
        self._resting.remove(fd)
        del self._watched[fd]
        ours, theirs = socket.socketpair()
        with ours:
            theirs.close()
            os.dup2(ours.fileno(), fd)
        return True

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


@lru_cache(maxsize=4096)
def _name(scheme: str, place: str) -> tuple[str | None, int]:
    """The name to look up, None if the host is written as an address, and its port."""
    name, _, port = place.partition(":")
    if place.startswith("[") or name.replace(".", "").isdigit():
        return None, 0
    return name, int(port or (443 if scheme == "https:" else 80))


@lru_cache(maxsize=4096)
def _pairs(name: str, port: int, addresses: Addresses) -> list[str]:
    """The addresses of a name for libcurl, to be forgotten like others ("+")."""
    each = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    return [f"+{name}:{port}:{each}"]


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
