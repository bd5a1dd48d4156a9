"""Text lists: one line is one URL, as it stands."""

from collections.abc import Iterator
from typing import BinaryIO

from ..errors import ListError
from ..manifest import Row
from .lines import PERCENT, CutLine, read_lines
from .options import ListOptions
from .records import fault, is_usual, make_row

MAX_LINE = 64 * 1024  # bytes; no server takes a URL of that length
_BOM = "\ufeff"


def read(stream: BinaryIO, name: str, options: ListOptions) -> Iterator[Row | None]:
    """Yield a row for each line, None for a blank one.

    A line is stripped of surrounding white space (a CR, too) and a byte order mark. Bytes that are not
    UTF-8 are percent-encoded: what a server with Latin-1 paths expects, and nothing is lost.

    Of a line of more than ``MAX_LINE`` bytes only the start is kept, behind a note in square brackets that
    no reader can take for a URL: ``[line of 1000000 bytes] http://...``. It becomes an invalid item.
    """
    if senseless := options.naming_columns():
        raise ListError(
            f"{name} is a text list, which has no columns: "
            f"leave out {' and '.join(senseless)}, or say what it is with --input-format"
        )
    for number, line in enumerate(read_lines(stream, MAX_LINE), start=1):
        try:
            url = line.decode().strip()
        except UnicodeDecodeError:
            url = ""
        yield Row(url, {}) if is_usual(url) else _closer(line, name, number)


def _closer(line: bytes, name: str, number: int) -> Row | None:
    """The row of a line that needs a closer look."""
    url = line.decode("utf-8", "surrogateescape").strip()
    if not url.isascii():
        url = url.translate(PERCENT)
        if url.startswith(_BOM):
            url = url.lstrip(_BOM).strip()
    if isinstance(line, CutLine):
        error = f"more than {MAX_LINE} bytes"
        return Row(f"[line of {line.length} bytes] {url}", fault(name, number, error))
    return make_row(url, {}, name, number) if url else None
