"""The default transport: libcurl's multi interface, one event loop on epoll, reused handles."""

import os
import select
import socket
import time
from contextlib import suppress
from functools import lru_cache
from typing import Any

import pycurl

from .handle import Handle
from .options import FetchOptions
from .proxies import Proxies
from .resolver import Addresses, Lookups, Resolver
from .transport import Exchange, Request

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
        self._idle: list[Handle] = []
        self._busy: dict[Any, Handle] = {}
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
        handle = self._idle.pop() if self._idle else Handle(self._options)
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
