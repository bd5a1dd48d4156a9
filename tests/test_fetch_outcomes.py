"""What becomes of URLs, answers and redirects of every kind: the whole stage, over each transport."""

import io
import socket
import time
from email.utils import formatdate
from typing import Any

import pytest
import webserver as web
from PIL import Image
from test_download import Feed, stage
from webserver import JPEG, Handler, WebServer, answer, in_turn, redirect

from runner.download import FetchDetail
from runner.engine.items import DONE, Result
from runner.fetch.options import TRANSPORTS

pytestmark = pytest.mark.parametrize("transport", TRANSPORTS)


def finish(transport: str, *urls: str, **options: Any) -> list[Result]:
    """The results in the order of the URLs."""
    settings = {"timeout": 30.0, "user_agent": "runner/1", **options}
    results = [result for result in stage(transport, **settings).process(Feed(*urls)) if result is not None]
    assert [result.key.index for result in sorted(results, key=lambda result: result.key)] == [
        *range(len(urls))
    ]
    return sorted(results, key=lambda result: result.key)


def outcomes(transport: str, cases: dict[str, tuple[Handler, str]], **options: Any) -> dict[str, str]:
    """Of a path for each case."""
    names = {f"/{number}": name for number, name in enumerate(cases)}
    with WebServer({path: cases[name][0] for path, name in names.items()} | {"/ok": answer(JPEG)}) as server:
        results = finish(transport, *map(server.url, names), **options)
    return {name: result.mark.outcome for name, result in zip(cases, results, strict=True)}


def expected(cases: dict[str, tuple[Handler, str]]) -> dict[str, str]:
    return {name: outcome for name, (_, outcome) in cases.items()}


def tagged(*values: str) -> Handler:
    return answer(JPEG, headers=[f"X-Robots-Tag: {value}" for value in values])


DIRECTIVES: dict[str, tuple[Handler, str]] = {
    "noai": (tagged("noai"), "robots_tag"),
    "noimageai": (tagged("noimageai"), "robots_tag"),
    "noindex": (tagged("noindex"), "robots_tag"),
    "noimageindex": (tagged("noimageindex"), "robots_tag"),
    "none": (tagged("none"), "robots_tag"),
    "in capitals, last of many": (tagged("nofollow, max-snippet: 3, NoAI"), "robots_tag"),
    "in the second header": (tagged("nofollow", "noindex"), "robots_tag"),
    "to us": (tagged("runner: noai"), "robots_tag"),
    "to us in capitals": (tagged("Runner: noindex, nofollow"), "robots_tag"),
    "to everybody by a star": (tagged("*: noai"), "robots_tag"),
    "to another": (tagged("otherbot: noai, noindex"), DONE),
    "to another, then to us": (tagged("otherbot: noindex", "runner: noindex"), "robots_tag"),
    "to us, but harmless": (tagged("runner: nofollow", "otherbot: noai"), DONE),
    "harmless": (tagged("nofollow, unavailable_after: 25 Jun 2030 15:00:00 PST"), DONE),
    "with a body that is none": (answer(b"", headers=["X-Robots-Tag: noai"]), "robots_tag"),
}


def test_directives(transport: str) -> None:
    assert outcomes(transport, DIRECTIVES) == expected(DIRECTIVES)
    ignored = outcomes(transport, {"noai": DIRECTIVES["noai"]}, ignore_robots_tag=True)
    assert ignored == {"noai": DONE}


def picture(form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(file, form)
    return file.getvalue()


def served(body: bytes, content_type: str) -> Handler:
    return answer(body, headers=[f"Content-Type: {content_type}"])


CONTENT: dict[str, tuple[Handler, str]] = {
    "HTML as image/jpeg": (served(b"<!doctype html><html>", "image/jpeg"), "not_image"),
    "JPEG as text/html": (served(picture("JPEG"), "text/html"), DONE),
    "JPEG as nothing": (answer(picture("JPEG")), DONE),
    "SVG": (served(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"), "not_image"),
    "nothing": (served(b"", "image/jpeg"), "empty"),
    "one byte": (served(b"\xff", "image/jpeg"), "not_image"),
    **{form: (answer(picture(form)), DONE) for form in ("PNG", "GIF", "WEBP", "BMP", "TIFF")},
    **{form: (answer(picture(form)), "not_image") for form in ("ICO", "PPM", "TGA", "PCX", "EPS", "PDF")},
}


def test_content(transport: str) -> None:
    assert outcomes(transport, CONTENT) == expected(CONTENT)


PERMANENT = ("204 No Content", "206 Partial Content", "304 Not Modified", "403 Forbidden", "404 Not Found")
PERMANENT += ("410 Gone", "451 Unavailable For Legal Reasons")


def test_permanent_statuses_are_asked_for_once(transport: str) -> None:
    cases: dict[str, tuple[Handler, str]] = {
        status: (answer(b"" if status[0] != "4" else b"no", status), f"http_{status[:3]}")
        for status in PERMANENT
    }
    with WebServer({f"/{status[:3]}": handler for status, (handler, _) in cases.items()}) as server:
        results = finish(transport, *(server.url(f"/{status[:3]}") for status in PERMANENT), retries=2)
        assert set(server.counts().values()) == {1}
    assert [result.mark.outcome for result in results] == [outcome for _, outcome in cases.values()]


def test_retry_after_in_both_forms(transport: str) -> None:
    """A date, here one that has passed: at once. A number of seconds: half a second, capped by max_wait."""

    def busy(status: str, value: str) -> Handler:
        return in_turn(answer(b"", status, [f"Retry-After: {value}"]), answer(JPEG))

    past = formatdate(time.time() - 60, usegmt=True)
    far = formatdate(time.time() + 9999, usegmt=True)
    values = [("429 Slow", past), ("503 Slow", past), ("429 Slow", "9999"), ("503 Slow", far)]
    for status, value in values:
        with WebServer({"*": busy(status, value)}) as server:
            (result,) = finish(transport, server.url("/"), retries=1, max_wait=0.3)
        assert (result.mark.outcome, FetchDetail(*result.mark.detail).attempts) == (DONE, 2)


REDIRECTS: dict[str, tuple[Handler, str]] = {
    "relative": (redirect("ok"), DONE),
    "absolute path": (redirect("/ok"), DONE),
    "permanent": (redirect("/ok", "308 Permanent Redirect"), DONE),
    "see other": (redirect("/ok", "303 See Other"), DONE),
    "non-ASCII": (redirect("/caf\xe9"), "http_404"),
    "a fragment": (redirect("/ok#top"), DONE),
    "without a Location": (answer(b"", "302 Found"), "http_302"),
    "nowhere": (redirect(""), "redirects"),
    "a broken address": (redirect("http://[::1"), "redirects"),
    "an empty label": (redirect("http://a..b/"), "redirects"),
    "a long label": (redirect("http://" + "a" * 64 + ".example/"), "redirects"),
    "a bad port": (redirect("http://a.example:99999/"), "redirects"),
    "to a file": (redirect("file:///etc/passwd"), "scheme"),
    "to data": (redirect("data:image/jpeg;base64,/9j/"), "scheme"),
    "to a script": (redirect("javascript:alert(1)"), "scheme"),
    "to FTP": (redirect("ftp://a.example/x"), "scheme"),
    "to gopher": (redirect("gopher://a.example/x"), "scheme"),
}


def test_redirects(transport: str) -> None:
    assert outcomes(transport, REDIRECTS) == expected(REDIRECTS)


def test_chains_and_loops(transport: str) -> None:
    with WebServer(
        {
            **{f"/{hop}": redirect(f"/{hop - 1}") for hop in range(1, 12)},
            "/0": answer(JPEG),
            "/a": redirect("/b"),
            "/b": redirect("/a"),
            "/self": redirect("/self"),
        }
    ) as server:
        results = finish(transport, *map(server.url, ("/10", "/11", "/a", "/self")))
    assert [result.mark.outcome for result in results] == [DONE, "redirects", "redirects", "redirects"]
    assert results[0].mark.detail == FetchDetail(200, 1, None, server.url("/0"))


def test_between_http_and_https(transport: str) -> None:
    with WebServer({"/image": answer(JPEG)}, tls=True) as safe, WebServer({"/image": answer(JPEG)}) as plain:
        safe.routes["/down"] = redirect(plain.url("/image"))
        plain.routes["/up"] = redirect(safe.url("/image"))
        results = finish(transport, safe.url("/down"), plain.url("/up"), ca_bundle=str(web.CERTIFICATE))
    assert [result.mark.detail for result in results] == [
        FetchDetail(200, 1, None, plain.url("/image")),
        FetchDetail(200, 1, None, safe.url("/image")),
    ]


def test_urls_on_the_wire(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a URL is written, one sane request line goes out, or nothing at all."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda name, *rest, **more: look_up("127.0.0.1", *rest, **more)
    )
    with WebServer({"*": answer(JPEG)}) as server:
        port = server.port
        asked = {
            f"http://bücher.example:{port}/ä b": ("/%C3%A4%20b", f"xn--bcher-kva.example:{port}"),
            f"http://2130706433:{port}/1": ("/1", f"127.0.0.1:{port}"),
            f"http://0x7f.1:{port}/2": ("/2", f"127.0.0.1:{port}"),
            f"http://a.example:{port}/x/./y/../100%#top": ("/x/100%25", f"a.example:{port}"),
            f"http://u:p@a.example:{port}/%2e%2e/3": ("/3", f"a.example:{port}"),
            f"http://a.example:{port}/" + "x" * 8000: ("/" + "x" * 8000, f"a.example:{port}"),
            f"http://a.example:{port}/?q=%0d%0aX: 1": ("/?q=%0D%0AX:%201", f"a.example:{port}"),
        }
        refused = [f"http://a.example:{port}/\0", f"http://a.example:{port}/ HTTP/1.1\r\nX: 1", "http://a b/"]
        results = finish(transport, *asked, *refused, connections=1)
    assert [result.mark.outcome for result in results] == [DONE] * len(asked) + ["invalid_url"] * 3
    heads = [head.decode().split("\r\n") for head in server.heads]
    assert sorted((head[0], _host(head)) for head in heads) == sorted(
        (f"GET {path} HTTP/1.1", host) for path, host in asked.values()
    )
    assert sum("Authorization: Basic dTpw" in head for head in heads) == 1


def _host(head: list[str]) -> str:
    return next(line.removeprefix("Host: ") for line in head if line.startswith("Host: "))


def test_an_address_in_a_mapped_spelling(transport: str) -> None:
    with WebServer({"*": answer(JPEG)}) as server:
        (result,) = finish(transport, server.url("/", host="[::ffff:127.0.0.1]"))
    assert result.mark.outcome == DONE
