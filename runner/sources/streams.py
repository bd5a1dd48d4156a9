"""The bytes of a list: opened, unpacked, and looked at before they are taken for what their name says."""

import gzip
import io
import re
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..errors import ListError
from ..fetch.sniff import sniff
from ..manifest import writing_to
from ..zstd import zstd
from .places import PACKINGS, Source
from .remote import RemoteFile

MAX_SPOOL = 16 << 30  # bytes
_READ_AHEAD = 1 << 20  # bytes
_HEAD = 512
_BOM = b"\xef\xbb\xbf"

_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstandard"}
_FOREIGN = {  # first bytes of what is often given by mistake -> what it is, and what to do
    b"PK\x03\x04": "a zip archive or a spreadsheet: unpack it, or save it as .csv",
    b"PAR1": "a parquet file: name it .parquet",
    b"\xff\xfe": "UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8`",
    b"ARROW1": "an arrow file: write it as .parquet",
    b"BZh": "bzip2 data: unpack it with `bunzip2`",
    b"\xfd7zXZ": "xz data: unpack it with `unxz`",
    b"%PDF": "a PDF document: give a list of URLs",
    b"SQLite format 3": "an SQLite database: write its URLs to a text file",
}
_is_web_page = re.compile(rb"\s*<(!doctype\s+html|html|head|body|\?xml)", re.IGNORECASE).match


@contextmanager
def opened(source: Source, scratch: Path | None) -> Iterator[BinaryIO]:
    """The bytes of a list, unpacked, without a byte order mark; of a parquet file seekable.

    What has to be seekable and is not is written to ``scratch`` first (None: a temporary folder). Raises
    ListError if the file cannot be read, is damaged, or obviously something else than its name says.
    """
    try:
        with _raw(source) as raw:
            stream = _unpacked(source, raw)
            if source.format != "parquet":
                yield _checked(source, stream)
            elif stream is raw and raw.seekable():
                yield raw
            else:
                with _spooled(source, stream, scratch) as file:
                    yield file
    except gzip.BadGzipFile as error:
        raise ListError(
            f"{source.name} is damaged, or goes on after the end of its gzip data: get the file again"
        ) from error
    except zstd.ZstdError as error:
        raise ListError(f"{source.name} is not zstandard data, or damaged ({error})") from error
    except (EOFError, zlib.error) as error:
        raise ListError(f"{source.name} is cut off or damaged: get the file again") from error
    except OSError as error:
        raise ListError(
            f"cannot read the list {source.name}: {error.strerror or error}; "
            "check its name and that you may read it"
        ) from error


def _raw(source: Source) -> AbstractContextManager[BinaryIO]:
    if isinstance(source.place, RemoteFile):
        return source.place.open()
    if source.place is not None:
        return source.place.open("rb", buffering=_READ_AHEAD)
    if sys.stdin is None:  # closed by the shell: `<&-`
        raise ListError("standard input is closed: pipe a URL list into it, or give a file")
    return nullcontext(sys.stdin.buffer)


def _unpacked(source: Source, raw: BinaryIO) -> BinaryIO:
    packing = source.packing
    if source.place is None or packing:
        head, raw = _peek(raw)
        found = _packing(head)
        if source.place is not None:
            _check_packing(source, head, found)
        packing = packing or found
    if packing == "gzip":
        return _buffered(_Gunzip(fileobj=raw))
    if packing == "zstandard":
        return _buffered(_Unzstd(raw))
    return raw


def _check_packing(source: Source, head: bytes, found: str | None) -> None:
    """Raise ListError if a file is not packed as its name says."""
    if found and found != source.packing:
        raise ListError(
            f"{source.name} is {found} data and not {source.packing}, as its name says: "
            f"name it {_extension(found)}"
        )
    if head and not found and source.packing == "gzip":  # zstandard may begin otherwise, too
        raise ListError(
            f"{source.name} is not gzip data: rename it without .gz if it is not packed, "
            "or else get the file again"
        )


def _extension(packing: str) -> str:
    return next(extension for extension, kind in PACKINGS.items() if kind == packing)


def _checked(source: Source, stream: BinaryIO) -> BinaryIO:
    """The same stream behind a byte order mark, if what follows may be a list."""
    head, stream = _peek(stream)
    what = foreign(head)
    if what:
        raise ListError(f"{source.name} is {what}")
    if head.startswith(_BOM):
        stream.read(len(_BOM))
    return stream


def foreign(head: bytes) -> str | None:
    """What first bytes belong to, if it is no text list, and what to do with it."""
    if packing := _packing(head):
        return f"{packing} data: add {_extension(packing)} to its name, or unpack it"
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it with `tar`"
    if _is_web_page(head):
        return "a web page: what was to be saved was not the list itself"
    if kind := sniff(head):
        return f"an image ({kind}): give a list of URLs"
    return None


def _packing(head: bytes) -> str | None:
    return next((packing for magic, packing in _PACKED.items() if head.startswith(magic)), None)


def _peek(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """The first bytes of a stream, and the stream with them."""
    if stream.seekable():
        start = stream.tell()  # of standard input something may have been read by others
        head = stream.read(_HEAD)
        stream.seek(start)
        return head, stream
    head = stream.read(_HEAD)
    return head, _buffered(_Again(head, stream))


def _buffered(raw: Any) -> BinaryIO:
    return io.BufferedReader(cast(io.RawIOBase, raw), _READ_AHEAD)


class _Again(io.RawIOBase):
    """A stream, and before it what was taken from it."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head or self._stream.read(len(buffer))
        taken, self._head = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


class _Gunzip(gzip.GzipFile):
    """What gzip data stands for; going back means to unpack it again, and of a pipe that fails."""

    def seekable(self) -> bool:
        return False


class _Unzstd(zstd.ZstdFile):
    """The same of zstandard data."""

    def seekable(self) -> bool:
        return False


@contextmanager
def _spooled(source: Source, stream: BinaryIO, scratch: Path | None) -> Iterator[BinaryIO]:
    """The whole stream as a file without a name."""
    if scratch is not None:
        scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryFile(dir=scratch) as file:
        while data := stream.read(_READ_AHEAD):
            if file.tell() > MAX_SPOOL:
                raise ListError(f"{source.name} unpacks to more than {MAX_SPOOL >> 30} GiB: unpack it first")
            with writing_to(scratch or Path(tempfile.gettempdir())):
                file.write(data)
        with writing_to(scratch or Path(tempfile.gettempdir())):
            file.seek(0)
        yield cast(BinaryIO, file)
