"""The limit to come close to with many connections: a bare libcurl loop on epoll, in one process.

``python reference_loop.py LIST '{"connections": 1000, "ca_bundle": null}'`` prints what it took, as JSON.
"""

import json
import select
import sys
import time
from contextlib import suppress
from pathlib import Path

import pycurl
from clock import Clock
from one_worker import allow_all_descriptors

TO_EPOLL = {pycurl.POLL_IN: 1, pycurl.POLL_OUT: 4, pycurl.POLL_INOUT: 5}
TO_CURL = {1: pycurl.CSELECT_IN, 4: pycurl.CSELECT_OUT}


class Loop:
    """Fetches URLs to memory; an error ends it."""

    def __init__(self, urls: list[str], connections: int, ca_bundle: str | None) -> None:
        self._waiting = iter(urls)
        self._ca_bundle = ca_bundle
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        self._timer: float | None = None
        self._chunks: dict[pycurl.Curl, list[bytes]] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        for _ in range(connections):
            self._send(self._handle())

    def run(self) -> None:
        while self._chunks:
            now = time.monotonic()
            if self._timer is not None and self._timer <= now:
                self._timer = None
                self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            wait = 1.0 if self._timer is None else max(0.0, self._timer - time.monotonic())
            for fd, events in self._epoll.poll(wait):
                self._multi.socket_action(fd, TO_CURL.get(events, 3))
            self._collect()

    def _handle(self) -> pycurl.Curl:
        handle = pycurl.Curl()
        handle.setopt(pycurl.BUFFERSIZE, 128 << 10)
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        if self._ca_bundle:
            handle.setopt(pycurl.CAINFO, self._ca_bundle)
        return handle

    def _send(self, handle: pycurl.Curl) -> None:
        url = next(self._waiting, None)
        if url is not None:
            chunks = self._chunks[handle] = []
            handle.setopt(pycurl.URL, url)
            handle.setopt(pycurl.WRITEFUNCTION, chunks.append)
            self._multi.add_handle(handle)

    def _collect(self) -> None:
        _, finished, failed = self._multi.info_read()
        if failed:
            raise SystemExit(f"the reference could not fetch an image: {failed[0][2]}")
        for handle in finished:
            b"".join(self._chunks.pop(handle))
            self._multi.remove_handle(handle)
            self._send(handle)

    def _watch(self, what: int, fd: int, *_: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._watched.discard(fd)
            with suppress(OSError):
                self._epoll.unregister(fd)
        elif fd in self._watched:
            self._epoll.modify(fd, TO_EPOLL[what])
        else:
            self._watched.add(fd)
            self._epoll.register(fd, TO_EPOLL[what])

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def main(urls: Path, connections: int, ca_bundle: str | None = None) -> None:
    allow_all_descriptors()
    lines = urls.read_text().split()
    clock = Clock()
    Loop(lines, connections, ca_bundle).run()
    clock.tell()


if __name__ == "__main__":
    main(Path(sys.argv[1]), **json.loads(sys.argv[2]))
