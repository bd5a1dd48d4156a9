"""Text lists: one line is one URL, as it stands."""

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from ..errors import ListError
from ..manifest import Row

MAX_LINE = 64 * 1024  # bytes; no server takes a URL of that length
_BOM = "\ufeff"
# What "surrogateescape" makes of bytes that are not UTF-8.
_PERCENT = {0xDC00 + byte: f"%{byte:02X}" for byte in range(0x80, 0x100)}
_FOREIGN = {  # first bytes of what is often given by mistake -> what it is, and what to do
    b"\x1f\x8b": "gzip data: name it .txt.gz, or unpack it with `zcat`",
    b"\x28\xb5\x2f\xfd": "zstandard data: unpack it with `zstdcat`",
    b"PK\x03\x04": "a zip archive: unpack it with `unzip`",
    b"PAR1": "a parquet file: write its URL column to a text file",
    b"\xff\xfe": "UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8`",
}


def read(stream: BinaryIO, name: str) -> Iterator[Row | None]:
    """Yield a row for each line, None for a blank one.

    A line is stripped of surrounding white space (a CR, too) and a byte order mark. Bytes that are not
    UTF-8 are percent-encoded: what a server with Latin-1 paths expects, and nothing is lost.

    Of a line of more than ``MAX_LINE`` bytes only the start is kept, behind a note in square brackets that
    no reader can take for a URL: ``[line of 1000000 bytes] http://...``. It becomes an invalid item.
    """
    for number, line in enumerate(_bounded_lines(stream)):
        if number == 0:
            _refuse_foreign(line, name)
        url = line.decode("utf-8", "surrogateescape").strip()
        if not url.isascii():
            url = url.translate(_PERCENT)
        if url.startswith(_BOM):
            url = url.lstrip(_BOM).strip()
        yield Row(url, {}) if url else None


def _bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    read_more = partial(stream.readline, MAX_LINE + 1)
    for line in iter(read_more, b""):
        if len(line) <= MAX_LINE or line.endswith(b"\n"):
            yield line
            continue
        length = len(line)
        for more in iter(read_more, b""):
            length += len(more.rstrip(b"\n"))
            if more.endswith(b"\n"):
                break
        yield b"[line of %d bytes] %b" % (length, line[:MAX_LINE])


def _refuse_foreign(line: bytes, name: str) -> None:
    for magic, what in _FOREIGN.items():
        if line.startswith(magic):
            raise ListError(f"{name} is {what}")
