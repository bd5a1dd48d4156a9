"""Small pictures, each another, and lists of them."""

from collections.abc import Iterable
from pathlib import Path

from tools.pictures import encode, make_all, photograph
from tools.server import Page

SIZE = (160, 120)  # just large enough for `runner export`


def make_pages(count: int) -> dict[str, Page]:
    """So many pages by path, each a picture of a few KB."""
    print(f"Making {count:,} pictures ...", flush=True)
    return {f"/{number:05d}.jpg": Page(body) for number, body in enumerate(make_all(_make, range(count)))}


def write_list(file: Path, site: str, paths: Iterable[str]) -> Path:
    file.write_text("".join(f"{site}{path}\n" for path in paths))
    return file


def _make(number: int) -> bytes:
    return encode(photograph(number, SIZE))
