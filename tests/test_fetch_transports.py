"""What every transport promises, run against each of them and the same hostile servers."""

import gzip
import os
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import brotli
import pytest
import webserver as web
from webserver import JPEG, Handler, Visit, WebServer, answer, in_turn, raw

from runner.fetch import FetchOptions, Transport, open_transport
from runner.fetch.options import TRANSPORTS
from runner.fetch.transport import Exchange, Request
from runner.zstd import zstd

# Seconds for what is expected to end in time, however busy the machine, and for what is expected not to.
PATIENCE = 60.0
TIMEOUT = 0.4
MAX_BYTES = 1_000_000

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(JPEG)
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SIZE = b"%x\r\n" % len(JPEG)

Opener = Callable[..., Transport]


def fetch(transport: Transport, *urls: str, timeout: float = PATIENCE) -> list[Exchange]:
    """All these URLs at once; the exchanges in their order."""
    return fetch_each(transport, [(url, timeout) for url in urls])


def fetch_each(transport: Transport, requests: Sequence[tuple[str, float]]) -> list[Exchange]:
    """All these (URL, seconds until its deadline) at once; the exchanges in their order."""
    now = time.monotonic()
    for number, (url, timeout) in enumerate(requests):
        transport.start(Request(url, now + timeout, number))
    exchanges: list[Exchange] = []
    while transport.in_flight:
        exchanges += transport.wait(1.0)
    assert len(exchanges) == len(requests)
    return sorted(exchanges, key=lambda exchange: int(exchange.request.tag))


def outcome(exchange: Exchange) -> tuple[int | None, str | None]:
    return exchange.status, exchange.error


def deadline(error: str | None, short: float = TIMEOUT) -> float:
    """Seconds for an exchange that is expected to end in this error."""
    return short if error == "timeout" else PATIENCE


def reset_in_the_middle(visit: Visit) -> None:
    visit.send(OK + b"Content-Length: 99999\r\n\r\n" + JPEG)
    visit.server.closing.wait(0.1)
    visit.reset()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "bare deflate": lambda body: zlib.compress(body, wbits=-15),
    "br": brotli.compress,
    "zstd": zstd.compress,
}
ENCODINGS = ("gzip", "deflate", "br", "zstd")
BOMB = bytes(30_000_000)


def encoded(body: bytes, *layers: str) -> Handler:
    for layer in layers:
        body = COMPRESS[layer](body)
    return answer(body, headers=["Content-Encoding: " + ", ".join(layers).replace("bare ", "")])


def changed(layer: str, change: Callable[[bytes], bytes]) -> Handler:
    """A body that was damaged after it was encoded."""
    return answer(change(COMPRESS[layer](JPEG)), headers=[f"Content-Encoding: {layer}"])


def wide_zstd() -> Handler:
    """A frame that obliges whoever decodes it to keep the last 128 MB."""
    stream = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    return answer(stream.compress(JPEG) + stream.flush(), headers=["Content-Encoding: zstd"])


def endless_404(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 404 Not Found\r\n\r\n")
    while not visit.server.closing.is_set():
        visit.send(bytes(65536))


STORED: dict[str, Handler] = {
    "length": answer(JPEG),
    "until the end": raw(OK + b"\r\n" + JPEG),
    "HTTP/1.0": raw(b"HTTP/1.0 200 OK\r\n\r\n" + JPEG),
    "chunked": raw(CHUNKED + SIZE + JPEG + b"\r\n0\r\n\r\n"),
    "chunked with a trailer": raw(CHUNKED + SIZE + JPEG + b"\r\n0\r\nX-A: b\r\n\r\n"),
    "chunked and a length": raw(
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + SIZE + JPEG + b"\r\n0\r\n\r\n"
    ),
    "longer than its length": raw(OK + LENGTH + b"\r\n" + JPEG + OK + b"\r\nanother"),
    "the same length twice": raw(OK + LENGTH + LENGTH + b"\r\n" + JPEG),
    "bare line feeds": raw(b"HTTP/1.1 200 OK\nContent-Length: %d\n\n" % len(JPEG) + JPEG),
    "interim answers": raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + LENGTH + b"\r\n" + JPEG),
    "early hints": raw(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + LENGTH + b"\r\n" + JPEG),
    "a space before the colon": raw(OK + LENGTH.replace(b":", b" :") + b"\r\n" + JPEG),
    **{layer: encoded(JPEG, layer) for layer in COMPRESS},
    "gzip twice": encoded(JPEG, "gzip", "gzip"),
    "gzip in brotli in zstandard": encoded(JPEG, "gzip", "br", "zstd"),
    "two headers of encodings": answer(
        gzip.compress(brotli.compress(JPEG)), headers=["Content-Encoding: br", "content-encoding: GZIP"]
    ),
    "identity": answer(JPEG, headers=["Content-Encoding: identity"]),
    "many cookies": answer(JPEG, headers=[f"Set-Cookie: c{number}=x" for number in range(90)]),
}

FAILED: dict[str, tuple[Handler, int | None, str]] = {
    "hangs": (web.hang, None, "timeout"),
    "hangs after the head": (web.hang_after_head, 200, "timeout"),
    "drips the head": (web.drip_head, None, "timeout"),
    "drips the body": (web.drip_body, 200, "timeout"),
    "drips chunks": (web.drip_chunks, 200, "timeout"),
    "drips a chunk header": (web.drip_chunk_header, 200, "timeout"),
    "is too large in chunks": (
        raw(CHUNKED + b"f4241\r\n" + bytes(MAX_BYTES + 1) + b"\r\n0\r\n\r\n"),
        200,
        "too_large",
    ),
    "drips interim answers": (web.drip_continue, None, "timeout"),
    "floods interim answers": (web.endless_continue, None, "protocol"),
    "never ends": (web.endless_body, 200, "too_large"),
    "is too large": (answer(bytes(MAX_BYTES + 1)), 200, "too_large"),
    "says it is too large": (raw(OK + b"Content-Length: 1000001\r\n\r\n"), 200, "too_large"),
    "says it is huge": (raw(OK + b"Content-Length: 99999999999999999999\r\n\r\n"), None, "too_large"),
    **{f"a {layer} bomb": (encoded(BOMB, layer), 200, "too_large") for layer in COMPRESS},
    "a gzip bomb in gzip": (encoded(BOMB, "gzip", "gzip"), 200, "too_large"),
    "a brotli bomb in gzip": (encoded(BOMB, "br", "gzip"), 200, "too_large"),
    "shorter than its length": (raw(OK + b"Content-Length: 99999\r\n\r\n" + JPEG), 200, "truncated"),
    "a chunk cut short": (raw(CHUNKED + b"fff\r\n" + JPEG), 200, "truncated"),
    "no last chunk": (raw(CHUNKED + SIZE + JPEG + b"\r\n"), 200, "truncated"),
    "a chunk size that is none": (raw(CHUNKED + b"zz\r\n" + JPEG), 200, "protocol"),
    "a negative chunk size": (raw(CHUNKED + b"-5\r\n" + JPEG + b"\r\n0\r\n\r\n"), 200, "protocol"),
    "a chunk longer than its size": (raw(CHUNKED + b"5\r\n" + JPEG + b"\r\n0\r\n\r\n"), 200, "protocol"),
    "reset in the middle": (reset_in_the_middle, 200, "truncated"),
    "closed without an answer": (Visit.close, None, "truncated"),
    "reset without an answer": (Visit.reset, None, "truncated"),
    "closed within the head": (raw(OK + b"Content-Le"), None, "truncated"),
    "garbage": (raw(b"\x00\x01\x02 garbage\r\n\r\n"), None, "protocol"),
    "HTTP/0.9": (raw(JPEG), None, "protocol"),
    "HTTP/2 uninvited": (raw(b"HTTP/2 200\r\n\r\n" + JPEG), None, "protocol"),
    "a status that is none": (raw(b"HTTP/1.1 abc OK\r\n\r\n"), None, "protocol"),
    "contradictory lengths": (raw(OK + LENGTH + b"Content-Length: 5\r\n\r\n" + JPEG), None, "protocol"),
    "contradictory lengths in a list": (raw(OK + b"Content-Length: 5, 7\r\n\r\n" + JPEG), None, "protocol"),
    "a negative length": (raw(OK + b"Content-Length: -5\r\n\r\n" + JPEG), None, "protocol"),
    "a length that is none": (raw(OK + b"Content-Length: abc\r\n\r\n" + JPEG), None, "protocol"),
    "a header without a colon": (raw(OK + b"nonsense\r\n" + LENGTH + b"\r\n" + JPEG), None, "protocol"),
    "NUL in a header": (raw(OK + b"X: a\0b\r\n" + LENGTH + b"\r\n" + JPEG), None, "protocol"),
    "a bare CR in a header": (raw(OK + b"X: a\rLocation: b\r\n" + LENGTH + b"\r\n" + JPEG), None, "protocol"),
    "a megabyte of header": (raw(OK + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n" + JPEG), None, "protocol"),
    "many long headers": (answer(JPEG, headers=["X: " + "a" * 2000] * 50), None, "protocol"),
    "ten thousand headers": (answer(JPEG, headers=["X: a"] * 10_000), None, "protocol"),
    "cookies by the thousand": (answer(JPEG, headers=["Set-Cookie: a=b"] * 1000), None, "protocol"),
    **{f"half a {layer}": (changed(layer, lambda body: body[:-20]), 200, "encoding") for layer in ENCODINGS},
    **{
        f"{layer} with a rest": (changed(layer, lambda body: body + b"rest"), 200, "encoding")
        for layer in ENCODINGS
    },
    **{
        f"{layer} that is none": (changed(layer, lambda _: b"nonsense" * 99), 200, "encoding")
        for layer in ENCODINGS
    },
    "half a gzip in gzip": (
        answer(
            gzip.compress(gzip.compress(JPEG)[:-20]),
            headers=["Content-Encoding: gzip", "Content-Encoding: gzip"],
        ),
        200,
        "encoding",
    ),
    "too many encodings": (encoded(JPEG, *["gzip"] * 6), 200, "encoding"),
    "zstandard that takes much memory": (wide_zstd(), 200, "encoding"),
    "an unknown encoding": (answer(JPEG, headers=["Content-Encoding: rot13"]), 200, "encoding"),
    "an unknown transfer encoding": (
        raw(OK + b"Transfer-Encoding: rot13\r\n\r\n" + JPEG),
        None,
        "encoding",
    ),
}

STATUSES: dict[str, tuple[Handler, int]] = {
    "not found": (answer(b"no", "404 Not Found"), 404),
    "not found at length": (answer(bytes(3_000_000), "404 Not Found"), 404),
    "not found without end": (endless_404, 404),
    "no content": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), 204),
    "partial content": (answer(JPEG, "206 Partial Content"), 206),
    "not modified": (raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), 304),
    "switching protocols": (raw(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), 101),
    "out of range": (answer(JPEG, "999 Denied"), 999),
}


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    """All handlers of the tables, each under its name with underscores; and a good one."""
    named = {**STORED, **{name: case[0] for name, case in FAILED.items()}}
    named |= {name: case[0] for name, case in STATUSES.items()}
    routes = {path(name): handler for name, handler in named.items()}
    with WebServer({**routes, "/ok": answer(JPEG)}) as running:
        yield running


def path(name: str) -> str:
    return "/" + name.replace(" ", "_")


@pytest.fixture(params=TRANSPORTS)
def opener(request: pytest.FixtureRequest) -> Iterator[Opener]:
    opened: list[Transport] = []

    def open_with(**options: Any) -> Transport:
        settings = {"allow_private": True, "max_bytes": MAX_BYTES, **options}
        transport = open_transport(FetchOptions(transport=request.param, **settings))
        opened.append(transport)
        return transport

    yield open_with
    for transport in opened:
        transport.close()


class TestTransport:
    @pytest.fixture
    def transport(self, opener: Opener) -> Transport:
        return opener()

    @pytest.mark.parametrize("name", STORED)
    def test_whole_bodies(self, transport: Transport, server: WebServer, name: str) -> None:
        bad, good = fetch(transport, server.url(path(name))), fetch(transport, server.url("/ok"))
        assert [outcome(exchange) for exchange in bad + good] == [(200, None)] * 2
        assert [exchange.body for exchange in bad + good] == [JPEG] * 2

    @pytest.mark.parametrize("name", FAILED)
    def test_failures(self, transport: Transport, server: WebServer, name: str) -> None:
        _, status, error = FAILED[name]
        bad = fetch(transport, server.url(path(name)), timeout=deadline(error))
        good = fetch(transport, server.url("/ok"))
        assert outcome(bad[0]) == (status, error)
        assert bad[0].body == b""
        assert good[0].body == JPEG  # nothing of the bad one is left in the way

    @pytest.mark.parametrize("name", STATUSES)
    def test_statuses(self, transport: Transport, server: WebServer, name: str) -> None:
        bad, good = fetch(transport, server.url(path(name))), fetch(transport, server.url("/ok"))
        assert (outcome(bad[0]), bad[0].body) == ((STATUSES[name][1], None), b"")
        assert good[0].body == JPEG

    def test_everything_at_once(self, transport: Transport, server: WebServer) -> None:
        names = [*STORED, *FAILED, *STATUSES]
        expected = [(200, None)] * len(STORED) + [case[1:] for case in FAILED.values()]
        expected += [(case[1], None) for case in STATUSES.values()]
        exchanges = fetch_each(
            transport,
            [
                # What drips is to have sent something by then, so it gets longer than alone.
                (server.url(path(name)), deadline(error, 3.0))
                for name, (_, error) in zip(names, expected, strict=True)
            ],
        )
        assert {n: outcome(e) for n, e in zip(names, exchanges, strict=True)} == dict(
            zip(names, expected, strict=True)
        )

    def test_nobody_listens(self, transport: Transport) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert outcome(*fetch(transport, f"http://127.0.0.1:{port}/")) == (None, "connect")

    def test_a_name_that_is_none(self, transport: Transport) -> None:
        assert outcome(*fetch(transport, "http://nobody.invalid/")) == (None, "dns")

    def test_names_that_are_never_answered(
        self, opener: Opener, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many, they keep no other name from being found, and closing does not wait for them."""
        ended = threading.Event()
        look_up = socket.getaddrinfo

        def getaddrinfo(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.startswith("hanging"):
                ended.wait(60)
            return look_up("127.0.0.1" if name == "good.example" else name, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        transport = opener()
        hanging = [f"http://hanging{number}.example/" for number in range(40)]
        good = (server.url("/ok", host="good.example"), PATIENCE)
        *late, last = fetch_each(transport, [*((url, TIMEOUT) for url in hanging), good])
        assert last.body == JPEG
        assert {outcome(exchange) for exchange in late} == {(None, "timeout")}
        transport.start(Request(hanging[0], time.monotonic() + 600))
        transport.close()
        assert not ended.is_set()
        ended.set()

    def test_a_name_is_looked_up_once_for_many(
        self, opener: Opener, server: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        look_up = socket.getaddrinfo

        def getaddrinfo(name: str, *args: Any, **kwargs: Any) -> Any:
            asked.append(name)
            return look_up("127.0.0.1", *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        transport = opener()
        for _ in range(3):
            assert fetch(transport, server.url("/ok", host="good.example"))[0].body == JPEG
        assert asked.count("good.example") == 1  # threads of other tests may still ask for other names

    def test_a_connection_that_is_never_made(self, opener: Opener) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            full = [socket.socket() for _ in range(4)]
            for each in full:
                each.setblocking(False)
                each.connect_ex(listener.getsockname())
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            transport = opener(connect_timeout=0.2)
            assert outcome(*fetch(transport, url, timeout=30.0)) == (None, "timeout")
            assert outcome(*fetch(opener(), url, timeout=TIMEOUT)) == (None, "timeout")
            for each in full:
                each.close()

    def test_a_tls_handshake_that_hangs(self, transport: Transport) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
            assert outcome(*fetch(transport, url, timeout=TIMEOUT)) == (None, "timeout")

    def test_only_the_headers_that_matter(self, transport: Transport) -> None:
        headers = ["Content-Type: image/jpeg", "X-Robots-Tag: noai", "x-robots-tag:a: b ", "X-Other: 1"]
        with WebServer({"/": answer(JPEG, headers=headers)}) as server:
            (exchange,) = fetch(transport, server.url("/"))
        assert exchange.headers == [
            ("content-type", "image/jpeg"),
            ("x-robots-tag", "noai"),
            ("x-robots-tag", "a: b"),
        ]
        assert exchange.header("x-robots-tag") == "noai"
        assert exchange.header("location") is None

    @pytest.mark.parametrize(
        "location", ["/a b", "/\xe9\xff", "http://[::1", "http://" + "a" * 64 + ".b/", "/x" * 9000]
    )
    def test_a_redirect_is_only_told(self, transport: Transport, location: str) -> None:
        with WebServer({"/": web.redirect(location)}) as server:
            (exchange,) = fetch(transport, server.url("/"))
        assert (exchange.status, exchange.error, exchange.header("location")) == (302, None, location)
        assert len(server.heads) == 1

    def test_what_is_sent(self, opener: Opener) -> None:
        transport = opener(user_agent="cat/1 (+x)", headers=("X-Key: 1", "X-Key-2: 2"))
        with WebServer({"*": answer(JPEG)}) as server:
            fetch(transport, server.url("/%C3%A4%2F%5B/(b)?c=%20;d='e'&f"))
        lines = server.heads[0].decode().split("\r\n")
        assert lines[0] == "GET /%C3%A4%2F%5B/(b)?c=%20;d='e'&f HTTP/1.1"
        sent = {line.lower() for line in lines[1:] if line} - {"connection: keep-alive"}
        assert sent == {
            f"host: 127.0.0.1:{server.port}",
            "user-agent: cat/1 (+x)",
            "accept: image/*,*/*;q=0.5",
            "accept-encoding: identity",
            "x-key: 1",
            "x-key-2: 2",
        }

    def test_nothing_is_carried_over(self, transport: Transport) -> None:
        with WebServer({"*": answer(JPEG, headers=["Set-Cookie: a=b; Path=/"])}) as server:
            transport.start(Request(server.url("/1"), time.monotonic() + 5, authorization="Basic dTpw"))
            while transport.in_flight:
                transport.wait(1.0)
            fetch(transport, server.url("/2"))
        assert b"Authorization: Basic dTpw\r\n" in server.heads[0]
        assert b"Authorization" not in server.heads[1]
        assert b"ookie" not in server.heads[1]
        assert server.connections == 1

    def test_connections_are_kept(self, transport: Transport) -> None:
        with WebServer({"*": answer(JPEG), "/gone": answer(b"no", "404 Not Found")}) as server:
            for number in range(10):
                fetch(transport, server.url("/gone" if number % 2 else f"/{number}"))
        assert server.connections == 1

    def test_an_idle_connection_that_was_closed_is_replaced(self, transport: Transport) -> None:
        """Closed under the second request, before it is answered: not the fault of that URL."""

        def second_request_finds_it_closed(visit: Visit) -> None:
            if visit.server.connections == 1 and len(visit.server.heads) > 1:
                visit.close()
            visit.answer(JPEG)

        with WebServer({"*": second_request_finds_it_closed}) as server:
            exchanges = fetch(transport, server.url("/1")) + fetch(transport, server.url("/2"))
        assert [outcome(exchange) for exchange in exchanges] == [(200, None)] * 2
        assert (server.connections, len(server.heads)) == (2, 3)

    def test_many_idle_connections_that_are_closed_when_they_are_used_again(
        self, transport: Transport
    ) -> None:
        """Each of them costs a question that nobody answers; the URL that had to ask is not to blame."""
        everybody = threading.Barrier(8)

        def once_per_connection(visit: Visit) -> None:
            if visit.server.connections >= 8 and visit.path != "/first":
                if visit.number > 1:
                    visit.close()
            else:
                everybody.wait()
            visit.answer(JPEG)

        with WebServer({"*": once_per_connection}) as server:
            exchanges = fetch(transport, *[server.url("/first")] * 8)
            exchanges += fetch(transport, server.url("/second"))
        assert [outcome(exchange) for exchange in exchanges] == [(200, None)] * 9

    def test_nothing_is_repeated_otherwise(self, transport: Transport) -> None:
        with WebServer({"*": in_turn(Visit.close, answer(JPEG))}) as server:
            assert outcome(*fetch(transport, server.url("/"))) == (None, "truncated")
        assert len(server.heads) == 1

    def test_two_answers_to_one_request(self, transport: Transport) -> None:
        """No body ever arrives under the URL of another."""

        def twice(visit: Visit) -> None:
            first = JPEG + visit.path.encode()
            visit.send(OK + b"Content-Length: %d\r\n\r\n" % len(first) + first + OK + LENGTH + b"\r\n" + JPEG)

        with WebServer({"*": twice}) as server:
            for number in range(20):
                (exchange,) = fetch(transport, server.url(f"/{number}"))
                assert exchange.body == JPEG + f"/{number}".encode()

    def test_a_second_answer_that_comes_while_the_connection_is_idle(self, transport: Transport) -> None:
        """It is found before the next request is sent, which then gets a connection of its own."""
        sent = threading.Event()

        def late(visit: Visit) -> None:
            body = JPEG + visit.path.encode()
            visit.answer(body)
            visit.server.closing.wait(0.05)  # so that it is not read with the first
            visit.answer(JPEG + b"late")
            sent.set()

        with WebServer({"*": late}) as server:
            for number in range(3):
                (exchange,) = fetch(transport, server.url(f"/{number}"))
                assert exchange.body == JPEG + f"/{number}".encode()
                assert sent.wait(PATIENCE)
                sent.clear()
        assert server.connections == 3

    def test_a_connection_that_was_closed_while_idle(self, transport: Transport) -> None:
        closed = threading.Event()

        def answer_and_close(visit: Visit) -> None:
            visit.answer(JPEG)
            visit.shut_down()
            closed.set()
            visit.close()

        with WebServer({"*": answer_and_close}) as server:
            for number in range(3):
                assert outcome(*fetch(transport, server.url(f"/{number}"))) == (200, None)
                assert closed.wait(PATIENCE)
                closed.clear()
        assert (server.connections, len(server.heads)) == (3, 3)

    def test_refused_addresses_are_not_contacted(self, opener: Opener) -> None:
        transport = opener(allow_private=False)
        with WebServer({"*": answer(JPEG)}) as server, WebServer({"*": answer(JPEG)}, host="::1") as server6:
            urls = [
                server.url("/", host=host)
                for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]")
            ]
            exchanges = fetch(transport, *urls, server6.url("/"))
            assert {outcome(exchange) for exchange in exchanges} == {(None, "blocked_address")}
            assert server.connections == server6.connections == 0

    def test_ipv6(self, transport: Transport) -> None:
        with WebServer({"*": answer(JPEG)}, host="::1") as server:
            assert fetch(transport, server.url("/"))[0].body == JPEG

    def test_an_address_that_nobody_listens_at_is_followed_by_the_next(
        self, opener: Opener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = [(0, 0, 0, "", (address, 0)) for address in ("::1", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with WebServer({"*": answer(JPEG)}) as server:
            assert fetch(opener(), server.url("/", host="both.example"))[0].body == JPEG

    def test_the_authorities_are_read_once(self, opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        """By requests; libcurl keeps them in its multi handle."""
        read = 0
        load = ssl.SSLContext.load_verify_locations

        def counted(context: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
            nonlocal read
            read += 1
            load(context, *args, **kwargs)

        monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
        transport = opener(ca_bundle=str(web.CERTIFICATE))
        with WebServer({"*": raw(OK + LENGTH + b"\r\n" + JPEG)}, tls=True) as server:
            for _ in range(3):
                assert fetch(transport, server.url("/"))[0].body == JPEG
            assert server.connections == 3
        assert read <= 1

    def test_tls(self, opener: Opener) -> None:
        trusting = opener(ca_bundle=str(web.CERTIFICATE))
        with WebServer({"*": answer(JPEG)}, tls=True) as server:
            for host in ("127.0.0.1", "localhost"):
                assert fetch(trusting, server.url("/", host=host))[0].body == JPEG
            assert fetch(opener(insecure=True), server.url("/"))[0].body == JPEG
            connections = server.connections
            assert outcome(*fetch(opener(), server.url("/"))) == (None, "tls")
            assert server.connections == connections + 1
        with WebServer({"*": raw(OK + LENGTH + b"\r\n" + JPEG[:9])}, tls=True) as server:
            assert outcome(*fetch(trusting, server.url("/"))) == (200, "truncated")
            wrong_name = server.url("/", host="ip6-localhost.localhost")
            assert outcome(*fetch(trusting, wrong_name)) in [(None, "tls"), (None, "dns")]

    def test_no_tls_where_some_was_expected(self, transport: Transport) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            transport.start(Request(f"https://127.0.0.1:{listener.getsockname()[1]}/", time.monotonic() + 5))
            transport.wait(0.0)
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert outcome(*transport.wait(5.0)) == (None, "tls")
            connection.close()

    def test_a_proxy_gets_everything(self, opener: Opener) -> None:
        """Names are the proxy's to resolve, and it may stand at an address that URLs may not."""
        with WebServer({"*": answer(JPEG)}) as proxy:
            transport = opener(proxy=proxy.url(""), allow_private=False)
            assert fetch(transport, "http://nobody.invalid/x?y")[0].body == JPEG
        assert proxy.heads[0].startswith(b"GET http://nobody.invalid/x?y HTTP/1.1\r\n")

    def test_a_proxy_of_the_environment(self, opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        with WebServer({"*": answer(JPEG)}) as proxy, WebServer({"*": answer(JPEG)}) as server:
            monkeypatch.setenv("http_proxy", proxy.url(""))
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            fetch(opener(), "http://nobody.invalid/", server.url("/"))
        assert (len(proxy.heads), len(server.heads)) == (1, 1)

    def test_wait_comes_back_with_nothing(self, transport: Transport, server: WebServer) -> None:
        assert transport.wait(0.0) == []
        transport.start(Request(server.url("/hangs"), time.monotonic() + 60))
        assert transport.wait(0.05) == []
        assert transport.in_flight == 1

    def test_closing_drops_what_is_in_flight(self, opener: Opener) -> None:
        with WebServer({"*": web.hang}) as server:
            transport = opener()
            for _ in range(5):
                transport.start(Request(server.url("/"), time.monotonic() + 600))
            transport.wait(0.2)
            transport.close()
            assert transport.in_flight == 0

    def test_more_connections_than_select_can_watch(self, opener: Opener) -> None:
        """Descriptors beyond 1,023 work; so do deadlines when all of them hang."""
        low = [os.open("/dev/null", os.O_RDONLY) for _ in range(1050)]
        try:
            with WebServer({"*": answer(JPEG), "/hang": web.hang}) as server:
                transport = opener(connections=100)
                hanging = [(server.url("/hang"), TIMEOUT)] * 10
                exchanges = fetch_each(transport, hanging + [(server.url("/"), PATIENCE)] * 90)
            assert [outcome(exchange)[1] for exchange in exchanges] == ["timeout"] * 10 + [None] * 90
        finally:
            for descriptor in low:
                os.close(descriptor)
