import random

import pytest

from runner.urls import normal_form


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG/Cat.JPG", "http://example.org/Cat.JPG"),
        ("https://example.org/a#top", "https://example.org/a"),
        ("https://example.org#top", "https://example.org"),
        ("https://example.org?q=A#top", "https://example.org?q=A"),
        ("http://example.org:80/a", "http://example.org/a"),
        ("https://example.org:443", "https://example.org"),
        ("HTTPS://example.org:443?q", "https://example.org?q"),
        ("http://example.org:/a", "http://example.org/a"),
        ("http://User:Pass@Example.org:80/", "http://User:Pass@example.org/"),
        ("http://a@b@Example.org/", "http://a@b@example.org/"),
        ("http://[2001:DB8::1]:80/a", "http://[2001:db8::1]/a"),
        ("http://[2001:DB8::1]:81/a", "http://[2001:db8::1]:81/a"),
        ("http://BÜCHER.example/Ä", "http://bücher.example/Ä"),
        ("FTP://Example.org:80/A#x", "ftp://example.org:80/A"),
    ],
)
def test_rewritten(url: str, expected: str) -> None:
    assert normal_form(url) == expected
    assert normal_form(expected) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "http://example.org/",
        "http://example.org/A%2fb?x=Y&z",
        "http://example.org/two words,\tand more",
        "http://example.org:443/a",
        "https://example.org:80/a",
        "http://example.org:8080/a",
        "http://example.org:800/a",
        "http://example.org:080/a",
        "http://example.org/a:80/b",
        "http://example.org/http://Example.ORG:80/",
    ],
)
def test_a_normal_url_is_unchanged(url: str) -> None:
    assert normal_form(url) == url


@pytest.mark.parametrize(
    "line",
    [
        "",
        "#",
        "# A comment",
        "Just Words",
        "Example.ORG/a#b",
        "HTTP:/Example.org/a#b",
        "//Example.org/a#b",
        "http://",
        "HTTP:///A#b",
        "http://Two Words/a#b",
        "HTTP://[::1/a#b",
        "HTTP://A:80:80/a#b",
        "HTTP://A:Port/a#b",
        "HTTP://A\\b/c#d",
        "1http://Example.org/",
        "data:image/png;base64,AAA#b",
    ],
)
def test_what_is_no_url_with_a_host_is_unchanged(line: str) -> None:
    assert normal_form(line) == line


def test_any_text_has_a_normal_form_that_stays() -> None:
    draw = random.Random(7)
    pieces = [
        "http",
        "HTTPS",
        "://",
        ":",
        "/",
        "?",
        "#",
        "@",
        "[",
        "]",
        "80",
        "443",
        "Host",
        ".",
        "%41",
        "\\",
    ]
    pieces += [" ", "\t", "\n", "\x00", "İ", "\u017f", "\ud800", "\ufeff", "x" * 50, "9" * 5000]
    for _ in range(20_000):
        text = "".join(draw.choices(pieces, k=draw.randrange(12)))
        once = normal_form(text)
        assert normal_form(once) == once


def test_hostile_lengths_take_no_time() -> None:
    for piece in ("@", ":", "[", "a:", "a@", "http://", "a."):
        assert normal_form("HTTP://" + piece * 50_000 + "\\")
