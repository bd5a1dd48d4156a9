"""The photographs that the benchmarks serve: about 75 KB each, 640 px wide, generated once and kept."""

import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tools.filled import fill
from tools.pictures import encode, make_all, photograph

COUNT = 3000
SIZE = (640, 480)
QUALITY = 85


@dataclass(frozen=True)
class Photos:
    """A folder of photographs, ``0000.jpg`` and so on; where more are asked for, they come round again.

    Then a few bytes behind the end of the image tell them apart: no two files are equal.
    """

    folder: Path
    count: int

    @classmethod
    def ensure(cls, folder: Path, wanted: int = COUNT) -> Self:
        """As many as are wanted, at most ``COUNT``; those that are missing below ``folder`` are made now.

        All of them take a minute or two.
        """
        photos = cls(folder / f"photos-{SIZE[0]}x{SIZE[1]}-q{QUALITY}", min(wanted, COUNT))
        missing = [number for number in range(photos.count) if not photos._file(number).exists()]
        if missing:
            print(f"Making {len(missing):,} photographs in {photos.folder} (once) ...", flush=True)
            photos.folder.mkdir(parents=True, exist_ok=True)
        for number, body in zip(missing, make_all(_make, missing), strict=True):
            unfinished = photos.folder / "unfinished"
            unfinished.write_bytes(body)
            unfinished.rename(photos._file(number))
        return photos

    def size(self, count: int) -> float:
        """Mean bytes of the first so many."""
        return statistics.mean(self._file(number).stat().st_size for number in range(min(count, self.count)))

    def urls(self, site: str, count: int) -> Iterator[str]:
        """So many distinct URLs: the photographs in turn, told apart by a query."""
        return (f"{site}/{self._file(number).name}?{number}" for number in range(count))

    def write_list(self, file: Path, site: str, count: int) -> Path:
        file.write_text("".join(f"{url}\n" for url in self.urls(site, count)))
        return file

    def bodies(self, count: int) -> Iterator[bytes]:
        for number in range(count):
            body = self._file(number).read_bytes()
            yield body if number < self.count else body + number.to_bytes(4, "big")

    def copy_to(self, folder: Path, count: int) -> Path:
        """A new folder with so many files."""
        folder.mkdir(parents=True)
        for number, body in enumerate(self.bodies(count)):
            (folder / f"{number:06d}.jpg").write_bytes(body)
        return folder

    def fill_job(self, folder: Path, count: int) -> Path:
        """A job that has downloaded so many of them."""
        shutil.rmtree(folder, ignore_errors=True)
        urls = self.write_list(folder.with_suffix(".txt"), "http://localhost", count)
        fill(folder, urls, self.bodies(count))
        return folder

    def _file(self, number: int) -> Path:
        return self.folder / f"{number % self.count:04d}.jpg"


def _make(number: int) -> bytes:
    return encode(photograph(number, SIZE), quality=QUALITY)
