"""Lines of bytes, none of which takes more memory than it may."""

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO


class CutLine(bytes):
    """The start of a line that is longer than lines may be; ``length`` is how long it is."""

    length: int


def read_lines(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """Yield each line with its end; of one of more than ``limit`` bytes the start, as a ``CutLine``."""
    read_more = partial(stream.readline, limit + 1)
    for line in iter(read_more, b""):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line
            continue
        length = len(line)
        for more in iter(read_more, b""):
            length += len(more.rstrip(b"\n"))
            if more.endswith(b"\n"):
                break
        cut = CutLine(line[:limit])
        cut.length = length
        yield cut
