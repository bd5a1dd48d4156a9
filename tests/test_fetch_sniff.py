import io

import pytest
from PIL import Image

from runner.fetch.robots import refuses
from runner.fetch.sniff import sniff


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_what_pillow_writes(name: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, name)
    assert sniff(file.getvalue()) == name


@pytest.mark.parametrize("name", ["PPM", "TGA", "ICO", "PCX", "EPS", "PDF", "JPEG2000", "SGI"])
def test_what_pillow_opens_but_we_do_not_take(name: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, name)
    assert sniff(file.getvalue()) is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"MM\0*" + bytes(8), "TIFF"),
        (b"II+\0" + bytes(8), "TIFF"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiafMA1B", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", None),
        (b"\xff\xff\xff\xffftypisom\0\0\0\0isommp42", None),
        (b"", None),
        (b"\xff\xd8", None),
        (b"<!DOCTYPE html><html>", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"BMW is a car maker, and this is a text", None),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b" \xff\xd8\xff", None),
    ],
)
def test_by_the_first_bytes(body: bytes, name: str | None) -> None:
    assert sniff(body) == name


@pytest.mark.parametrize(
    "value",
    [
        "noai",
        "noimageai",
        "noindex",
        "noimageindex",
        "none",
        "NoAI",
        "nofollow, noai",
        "noai,noimageai",
        "runner: noai",
        "Runner: nofollow, noindex",
        "otherbot: nofollow, runner: noindex",
        "*: noindex",
        "max-snippet: 20, noai",
    ],
)
def test_refused_by_the_tag(value: str) -> None:
    assert refuses(["all", value], "runner")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "all",
        "nofollow, noarchive",
        "otherbot: noai",
        "otherbot: noindex, noai",
        "runner: nofollow, otherbot: noindex",
        "unavailable_after: 25 Jun 2030 15:00:00 PST",
        "noaiplease",
    ],
)
def test_not_refused_by_the_tag(value: str) -> None:
    assert not refuses([value], "runner")
