"""Lines of bytes, none of which takes more memory than it may."""

from collections.abc import Iterator
from typing import BinaryIO

_BLOCK = 1 << 16  # bytes
# What "surrogateescape" makes of bytes that are not UTF-8.
PERCENT = {0xDC00 + byte: f"%{byte:02X}" for byte in range(0x80, 0x100)}


class CutLine(bytes):
    """The start of a line that is longer than lines may be; ``length`` is how long it is."""

    length: int


def read_lines(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """Yield each line without its end; of one of more than ``limit`` bytes the start, as a ``CutLine``."""
    rest = b""
    while block := stream.read(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line if len(line) <= limit else _cut(line, limit, len(line))
        if len(rest) > limit:
            length, after = _skip_line(stream)
            yield _cut(rest, limit, len(rest) + length)
            rest = after
    if rest:
        yield rest if len(rest) <= limit else _cut(rest, limit, len(rest))


def _skip_line(stream: BinaryIO) -> tuple[int, bytes]:
    """Read to the end of the line: how many bytes it still had, and what came after it."""
    length = 0
    while block := stream.read(_BLOCK):
        end = block.find(b"\n")
        if end >= 0:
            return length + end, block[end + 1 :]
        length += len(block)
    return length, b""


def _cut(line: bytes, limit: int, length: int) -> CutLine:
    cut = CutLine(line[:limit])
    cut.length = length
    return cut
