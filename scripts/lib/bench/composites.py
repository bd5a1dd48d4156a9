"""As many different photographs as wanted, at the price of copying bytes."""

from collections.abc import Iterator
from functools import cached_property
from io import BytesIO

from PIL import Image
from tools.pictures import encode, make_all

from .photos import SIZE, Photos

# The decoder starts afresh behind this mark, the only one of its kind in the file.
RESTART = b"\xff\xd0"
HALF = SIZE[1] // 2 // 16  # rows of blocks, each of 16 x 16 pixels
COPIES = 10
DISTANCE = 5


class Composites(Photos):
    """Where ``Photos`` come round again, these are the upper half of one above the lower half of another.

    So their pHashes are those of different photographs. Every tenth is a copy of the fifth before it, told
    apart by a few bytes behind its end: there are duplicates to find.
    """

    def bodies(self, count: int) -> Iterator[bytes]:
        for number in range(count):
            if number % COPIES == COPIES - 1:
                yield self._body(number - DISTANCE) + number.to_bytes(4, "big")
            else:
                yield self._body(number)

    def _body(self, number: int) -> bytes:
        turn, first = divmod(number, self.count)
        second = (first + turn) % self.count
        return self._halves[first][0] + RESTART + self._halves[second][1]

    @cached_property
    def _halves(self) -> list[tuple[bytes, bytes]]:
        return [*make_all(halves, (self._file(number).read_bytes() for number in range(self.count)))]


def halves(photograph: bytes) -> tuple[bytes, bytes]:
    """The file up to the middle of the picture, and the rest; the same pixels in the end."""
    picture = Image.open(BytesIO(photograph))
    marked = encode(picture, quality="keep", restart_marker_rows=HALF)
    upper, _, lower = marked.rpartition(RESTART)
    return upper, lower
