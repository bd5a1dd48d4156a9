import pytest

from runner.fetch.urls import BadURLError, prepare, resolve


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a.example/x.jpg", "http://a.example/x.jpg"),
        ("  http://a.example/x.jpg \t", "http://a.example/x.jpg"),
        ("HTTPS://A.Example/X", "https://a.example/X"),
        ("http://a.example", "http://a.example/"),
        ("http://a.example?q=1", "http://a.example/?q=1"),
        ("http://a.example/x?", "http://a.example/x?"),
        ("http://a.example:80/", "http://a.example/"),
        ("http://a.example:/", "http://a.example/"),
        ("https://a.example:443/", "https://a.example/"),
        ("https://a.example:80/", "https://a.example:80/"),
        ("http://a.example/x#top", "http://a.example/x"),
        ("http://a.example/a b.jpg", "http://a.example/a%20b.jpg"),
        ("http://a.example/ä?ö=ü", "http://a.example/%C3%A4?%C3%B6=%C3%BC"),
        ("http://a.example/100%.jpg", "http://a.example/100%25.jpg"),
        ("http://a.example/%c3%a4%2Fb", "http://a.example/%C3%A4%2Fb"),
        ('http://a.example/"<>|\\^`{}[]', "http://a.example/%22%3C%3E%7C%5C%5E%60%7B%7D%5B%5D"),
        ("http://a.example/a/./b/../c", "http://a.example/a/c"),
        ("http://a.example/a/%2e%2E/b", "http://a.example/b"),
        ("http://a.example/../../x", "http://a.example/x"),
        ("http://a.example/a/..", "http://a.example/"),
        ("http://a.example/a/b/.", "http://a.example/a/b/"),
        ("http://a.example/a//b", "http://a.example/a//b"),
        ("http://a.example/x?u=http://b/../c", "http://a.example/x?u=http://b/../c"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
        ("http://例え.テスト/", "http://xn--r8jz45g.xn--zckzah/"),
        ("http://a_b.example/", "http://a_b.example/"),
        ("http://a.example./x", "http://a.example./x"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://017700000001/", "http://127.0.0.1/"),
        ("http://[::FFFF:7f00:1]/", "http://[::ffff:7f00:1]/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://a.example/\udcff", "http://a.example/%FF"),
        ("http://a.example/" + "x" * 8000, "http://a.example/" + "x" * 8000),
    ],
)
def test_a_url_goes_on_the_wire_as(text: str, url: str) -> None:
    assert prepare(text).url == url
    assert prepare(url).url == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cat",
        "a.example/x.jpg",
        "a.example:80/x",
        "localhost:8000/x",
        "//a.example/x",
        "http:",
        "http:/a.example/x",
        "http://",
        "http:///x",
        "http://a..example/",
        "http://.example/",
        "http://-a.example/",
        "http://a b/",
        "http://a%20b/",
        "http://a.example\\@b.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + ".".join(["a" * 60] * 5) + "/",
        "http://a.example:0/",
        "http://a.example:65536/",
        "http://a.example:99999999999/",
        "http://a.example:x/",
        "http://a.example:1:2/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[1.2.3.4]/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://a.example/\0",
        "http://a.example/x\r\nHost: b",
        "http://a.example/x\ny",
        "http://a.example/\x7f",
        "http://a.example/\ud800",
        "http://\N{ZERO WIDTH JOINER}/",
        "a caption: with a colon",
        "1234",
    ],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(BadURLError) as error:
        prepare(text)
    assert error.value.reason == "invalid_url"


@pytest.mark.parametrize(
    "text",
    [
        "ftp://a.example/x",
        "file:///etc/passwd",
        "data:image/png;base64,AA==",
        "javascript:alert(1)",
        "s3://b/k",
    ],
)
def test_other_schemes(text: str) -> None:
    with pytest.raises(BadURLError) as error:
        prepare(text)
    assert error.value.reason == "scheme"


def test_credentials_become_a_header_and_leave_the_url() -> None:
    target = prepare("http://us%20er:p%C3%A4ss@a.example:81/x")
    assert target.url == "http://a.example:81/x"
    assert target.host == "a.example:81"
    assert target.authorization == "Basic dXMgZXI6cMOkc3M="
    assert prepare("http://a.example/@x").authorization is None


def test_credentials_cannot_carry_a_header() -> None:
    authorization = prepare("http://u%0D%0AX-Evil:1@a.example/").authorization
    assert authorization is not None
    assert authorization.isprintable()


def test_a_host_that_is_an_address_is_known() -> None:
    assert prepare("http://0x7f000001:8080/").address == "127.0.0.1"
    assert prepare("http://[fd00::1]/").address == "fd00::1"
    assert prepare("http://a.example/").address is None


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/y", "http://a.example/y"),
        ("y", "http://a.example/d/y"),
        ("../y", "http://a.example/y"),
        ("?q", "http://a.example/d/x?q"),
        ("//b.example/y", "http://b.example/y"),
        ("https://b.example/y", "https://b.example/y"),
        (" /y ", "http://a.example/y"),
        ("/y#frag", "http://a.example/y"),
        ("/ä".encode().decode("latin-1"), "http://a.example/%C3%A4"),
        ("/\xff", "http://a.example/%FF"),
        ("http://bücher.example/".encode().decode("latin-1"), "http://xn--bcher-kva.example/"),
        ("/a b", "http://a.example/a%20b"),
    ],
)
def test_a_location_leads_to(location: str, url: str) -> None:
    assert resolve("http://a.example/d/x", location).url == url


@pytest.mark.parametrize("location", ["", "  ", "http://[::1", "http://a..b/", "/\0", "http://a b/"])
def test_unusable_locations(location: str) -> None:
    with pytest.raises(BadURLError) as error:
        resolve("http://a.example/", location)
    assert error.value.reason == "invalid_url"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a.example/", "data:,x", "javascript:1"])
def test_locations_of_other_schemes(location: str) -> None:
    with pytest.raises(BadURLError) as error:
        resolve("http://a.example/", location)
    assert error.value.reason == "scheme"
