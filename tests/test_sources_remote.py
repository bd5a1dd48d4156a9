"""Lists that are elsewhere: fsspec's file system in memory, and a web server."""

import gzip
import io
import sys
from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from webserver import Visit, WebServer, answer

from runner.errors import ListError
from runner.sources.options import ListOptions
from runner.sources.reading import rows


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def urls(*lists: str, **options: Any) -> list[str]:
    return [row.url for row in rows(lists, ListOptions(**options)) if row]


def refusal(name: str) -> str:
    with pytest.raises(ListError) as caught:
        urls(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def parquet(*found: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"url": list(found)}), sink)
    return sink.getvalue()


def test_a_file_a_folder_and_a_pattern(memory: Any) -> None:
    memory.pipe("/lists/b.txt", b"http://a/2\n")
    memory.pipe("/lists/a.csv.gz", gzip.compress(b"url,x\nhttp://a/1,y\n"))
    memory.pipe("/lists/c.parquet", parquet("http://a/3"))
    memory.pipe("/lists/.hidden", b"no")
    memory.pipe("/lists/deeper/d.txt", b"http://a/4\n")
    assert urls("memory://lists/b.txt") == ["http://a/2"]
    assert urls("memory://lists") == ["http://a/1", "http://a/2", "http://a/3"]
    assert urls("memory://lists/*.txt") == ["http://a/2"]
    assert urls("memory://lists/**/*.txt") == ["http://a/2", "http://a/4"]


def test_what_is_not_there(memory: Any) -> None:
    assert refusal("memory://lists/no.txt") == "there is no list memory://lists/no.txt: check the name"
    assert "memory://lists/*.txt has no files" in refusal("memory://lists/*.txt")
    assert "cannot read the list nonsense://a" in refusal("nonsense://a/b.txt")


@pytest.mark.parametrize("missing", ["fsspec", "fsspec.core", "aiohttp"])
def test_a_missing_extra_is_one_sentence(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert refusal("http://127.0.0.1:9/list.txt") == (
        "reading http://127.0.0.1:9/list.txt needs more packages: pip install 'runner-images[remote]'"
    )


def test_a_file_system_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert "pip install 'runner-images[remote]'" in refusal("s3://bucket/list.txt")


def in_ranges(data: bytes) -> Any:
    """A server that gives any part of the data."""

    def handle(visit: Visit) -> None:
        head = visit.head.lower()
        start, end = 0, len(data)
        if b"\r\nrange: bytes=" in head:
            asked = head.split(b"range: bytes=", 1)[1].split(b"\r\n", 1)[0].split(b"-")
            start, end = int(asked[0]), min(int(asked[1]) + 1, len(data))
        headers = ["Accept-Ranges: bytes", f"Content-Range: bytes {start}-{end - 1}/{len(data)}"]
        status = "206 Partial Content" if b"range:" in head else "200 OK"
        if head.startswith(b"head"):
            visit.send(
                f"HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            )
        else:
            visit.answer(data[start:end], status, headers)

    return handle


def whole(data: bytes) -> Any:
    """A server that knows only the whole, and does not say how long it is."""

    def handle(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        if not visit.head.startswith(b"HEAD"):
            visit.send(data)
        visit.close()

    return handle


@pytest.mark.parametrize("serve", [in_ranges, whole])
def test_from_a_web_server(serve: Any) -> None:
    many = [f"http://a.example/{number}.jpg" for number in range(1000)]
    routes = {
        "/list.txt?signature=secret": serve("\n".join(many).encode()),
        "/list.csv.gz": serve(gzip.compress(b"url,x\nhttp://a/1,y\n")),
        "/list.parquet": serve(parquet(*many)),
        "/empty.txt": serve(b""),
    }
    with WebServer(routes) as server:
        assert urls(server.url("/list.txt?signature=secret")) == many
        assert urls(server.url("/list.csv.gz")) == ["http://a/1"]
        assert urls(server.url("/list.parquet")) == many
        assert urls(server.url("/empty.txt")) == []


def test_a_web_server_that_has_no_such_list() -> None:
    with WebServer({"/secret.txt?signature=abc": answer(b"", "403 Forbidden")}) as server:
        assert "there is no list" in refusal(server.url("/list.txt"))
        message = refusal(server.url("/secret.txt?signature=abc"))
        assert f"cannot read the list {server.url('/secret.txt')}: HTTP status 403; check" in message
    assert "cannot read the list http://127.0.0.1:9/list.txt: " in refusal("http://127.0.0.1:9/list.txt")


def test_a_connection_that_breaks_is_no_end_of_the_list() -> None:
    def break_off(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhttp://a/1\n")
        visit.close()

    with WebServer({"/list.txt": break_off}) as server:
        assert f"cannot read the list {server.url('/list.txt')}: " in refusal(server.url("/list.txt"))


def test_what_gives_access_is_not_kept() -> None:
    routes = {"/list.csv?key=secret": in_ranges(b"url\nno url\n")}
    with WebServer(routes) as server:
        address = server.url("/list.csv?key=secret")
        (row,) = rows([address])
    assert row is not None
    assert row.columns["list"] == address.partition("?")[0]
