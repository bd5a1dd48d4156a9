"""The photographs that the benchmarks serve: about 75 KB each, 640 px wide, generated once and kept."""

import shutil
from pathlib import Path

from tools.pictures import encode, make_all, photograph

COUNT = 3000
SIZE = (640, 480)
QUALITY = 85


def ensure_photos(folder: Path) -> Path:
    """The folder of photographs, made now if it is not there; a minute or two."""
    photos = folder / f"photos-{COUNT}-{SIZE[0]}x{SIZE[1]}-q{QUALITY}"
    if photos.is_dir():
        return photos
    print(f"Making {COUNT:,} photographs in {photos} (once) ...", flush=True)
    unfinished = photos.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for number, body in enumerate(make_all(_make, range(COUNT))):
        (unfinished / file_name(number)).write_bytes(body)
    return unfinished.rename(photos)


def write_list(file: Path, site: str, count: int) -> Path:
    """A list of so many distinct URLs: the photographs in turn, told apart by a query."""
    file.write_text("".join(f"{site}/{file_name(k % COUNT)}?{k}\n" for k in range(count)))
    return file


def served_bytes(photos: Path, count: int) -> int:
    """The bytes of the images that a list of so many URLs gets."""
    sizes = [(photos / file_name(number)).stat().st_size for number in range(COUNT)]
    return sum(sizes[k % COUNT] for k in range(count))


def file_name(number: int) -> str:
    return f"{number:04d}.jpg"


def _make(number: int) -> bytes:
    return encode(photograph(number, SIZE), quality=QUALITY)
