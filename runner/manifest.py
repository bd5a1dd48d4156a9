"""Manifests: which URLs a shard consists of, one immutable text file per shard.

``manifests/00017.jsonl`` begins with a head, padded with spaces to a fixed width; then come the rows::

    {"shard": 17, "rows": 10000, "repeats": 3, "blank": 1, "crc32": 123456789}
    {"url": "https://example.org/cat.jpg"}

The number of a row, counted from 0 behind the head, is the index of its item. ``repeats`` and ``blank``
count what the stretch of the list that went into this shard had besides, so that over all the heads
lines = rows + repeats + blank. ``crc32`` is that of all the bytes behind the head.
"""

import json
import os
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .engine.files import disk_errors, sync_folder
from .engine.items import Key
from .errors import JobError, ListError

_HEAD_WIDTH = 128  # bytes, the line end among them
# Lines are checked for repeats in blocks: bounded by number and by characters, as lines may be long.
_BLOCK_ROWS = 10_000
_BLOCK_CHARS = 8 << 20
_CHECK_BYTES = 1 << 20
_encode = json.JSONEncoder().encode
_quote: Callable[[str], str] = json.encoder.encode_basestring_ascii  # what it does to a text, faster
_BARE = b'{"url": "'
_QUOTES_OF_A_BARE_URL = 4


class Row(NamedTuple):
    """A line of a URL list: the URL and the columns carried along (JSON values, none named ``url``)."""

    url: str
    columns: dict[str, Any]


class Head(NamedTuple):
    """The first line of a manifest."""

    shard: int
    rows: int
    repeats: int
    blank: int
    crc32: int


class Repeat(NamedTuple):
    """A row whose URL is that of an item: the item's key, the line among all lines, the row's columns."""

    key: Key
    line: int
    columns: dict[str, Any]


class Summary(NamedTuple):
    """What became of the lines of a list: each is an item, a repeat or blank."""

    items: int
    repeats: int
    blank: int
    shards: int

    @property
    def lines(self) -> int:
        return self.items + self.repeats + self.blank


def manifest_file(folder: Path, shard: int) -> Path:
    """Path of a shard's manifest."""
    return folder / f"{shard:05d}.jsonl"


# -- reading --


def read_head(path: Path) -> Head:
    """Return the head. Raises JobError if the file is missing or damaged."""
    with _readable(path) as file:
        return _parse_head(file.readline(_HEAD_WIDTH))


def read_rows(path: Path, indices: Sequence[int] | None = None) -> Iterator[Row]:
    """Yield the rows in order; of ``indices`` (ascending) only these, the others are skipped unparsed.

    Raises JobError if the file is missing or damaged, before the first row.
    """
    with _readable(path) as file:
        head = _parse_head(file.readline(_HEAD_WIDTH))
        _check_rows(file, head)
        wanted = iter(range(head.rows) if indices is None else indices)
        following = next(wanted, None)
        count = 0
        for index, line in enumerate(file):
            count += 1
            if index == following:
                yield _parse_row(line)
                following = next(wanted, None)
        if count != head.rows:
            raise ValueError(f"{count} rows where the head tells {head.rows}")
        if following is not None:
            raise IndexError(
                f"row {following} of {path} was asked for; it has {count}, or the indices do not ascend"
            )


class Rows:
    """The rows of one manifest in any order: only where they begin is kept, 4 bytes each.

    Raises JobError if the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _readable(path) as file:
            head = _parse_head(file.readline(_HEAD_WIDTH))
            _check_rows(file, head)
            wide = path.stat().st_size >> 32
            self._starts = array("Q" if wide else "I", accumulate(map(len, file), initial=_HEAD_WIDTH))

    def __getitem__(self, index: int) -> Row:
        start, end = self._starts[index : index + 2]
        with _readable(self._path) as file:
            file.seek(start)
            return _parse_row(file.read(end - start))


def _parse_head(line: bytes) -> Head:
    if len(line) != _HEAD_WIDTH:
        raise ValueError("the head is cut off")
    head = Head(**json.loads(line))
    if not all(isinstance(field, int) for field in head):
        raise ValueError("the head holds something else than numbers")
    return head


def _check_rows(file: BinaryIO, head: Head) -> None:
    """Compare everything behind the head with its checksum; the file is then where it was."""
    crc = 0
    while data := file.read(_CHECK_BYTES):
        crc = zlib.crc32(data, crc)
    if crc != head.crc32:
        raise ValueError("its rows do not match their checksum")
    file.seek(_HEAD_WIDTH)


def _parse_row(line: bytes) -> Row:
    if line.count(b'"') == _QUOTES_OF_A_BARE_URL and line.startswith(_BARE) and b"\\" not in line:
        return Row(line[len(_BARE) : line.rindex(b'"')].decode(), {})  # the same, faster
    columns = json.loads(line)
    return Row(columns.pop("url"), columns)


@contextmanager
def _readable(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise JobError(
            f"cannot read the manifest {path}: {error.strerror}; "
            "check that the job folder is complete and that you may read it"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise JobError(
            f"the manifest {path} is damaged ({error}): restore it from a copy of the job"
        ) from error


# -- writing --


class Known:
    """What a job holds before rows are added to it: its URLs, where each shard begins, its lines.

    The table of the URLs takes room in ``scratch`` when they are many.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        from .seen import SeenUrls  # not above: who only reads needs no digests

        self.seen = SeenUrls(scratch)
        self.starts: list[int] = []
        self.lines = 0

    def add_shard(self, path: Path) -> None:
        """Take in the next manifest."""
        head = read_head(path)
        self.starts.append(len(self.seen))
        for block in _blocks(read_rows(path)):
            self.seen.add([row.url for row in block if row])
        self.lines += head.rows + head.repeats + head.blank
        if len(self.seen) != self.starts[-1] + head.rows:
            raise JobError(f"{path} holds a URL twice, or one of another manifest: verify the job")


def write_manifests(
    rows: Iterable[Row | None],
    folder: Path,
    shard_size: int,
    known: Known | None = None,
    keep: Callable[[Sequence[Repeat]], None] | None = None,
) -> Summary:
    """Write the rows to manifests of ``shard_size`` rows each, streaming; None stands for a blank line.

    URLs that are ``known``, and repeats within ``rows``, are only counted; those with columns are given to
    ``keep``. Each manifest appears by rename when it is complete and on disk, numbered behind the known
    ones; the last one may be shorter. There is no shard without an item: rows that are all known make none.
    If this raises, complete manifests may be left in ``folder``: write to a folder of its own and move that
    to its place at the end.

    Raises ListError if there are only blank lines or none at all, DiskFullError, JobError if the folder
    cannot be written, and whatever ``rows`` or ``keep`` raises.
    """
    known = known or Known(folder)
    writer = _Writer(folder, shard_size, known)
    try:
        for block in _blocks(rows):
            with writing_to(folder):
                firsts = known.seen.add([row.url for row in block if row])
                repeats = writer.write(block, firsts)
            if repeats and keep:
                keep(repeats)
        with writing_to(folder):
            writer.publish()
            sync_folder(folder)
    finally:
        writer.discard()
    if not writer.total.items and not writer.total.repeats:
        raise ListError("there is no URL in the list: give one with a URL in each line or row")
    return writer.total


def _blocks(rows: Iterable[Row | None]) -> Iterator[list[Row | None]]:
    block: list[Row | None] = []
    room = _BLOCK_CHARS
    for row in rows:
        block.append(row)
        if row:
            room -= len(row.url) + (_weight(row.columns) if row.columns else 0)
        if len(block) == _BLOCK_ROWS or room <= 0:
            yield block
            block, room = [], _BLOCK_CHARS
    yield block


def _weight(columns: dict[str, Any]) -> int:
    """How many characters they take, about."""
    return sum(
        len(value) if type(value) is str else len(_encode(value)) if isinstance(value, dict | list) else 8
        for value in columns.values()
    )


class _Writer:
    """Fills one manifest after the other; the open one has a temporary name."""

    def __init__(self, folder: Path, shard_size: int, known: Known) -> None:
        self.total = Summary(0, 0, 0, 0)
        self._folder = folder
        self._shard_size = shard_size
        self._file: BinaryIO | None = None
        self._starts = known.starts
        self._items = len(known.seen)
        self._line = known.lines
        # The head of the open manifest, or of the one to be opened next.
        self._shard = len(known.starts)
        self._rows = self._repeats = self._blank = self._crc = 0

    def write(self, block: list[Row | None], firsts: list[int]) -> list[Repeat]:
        """Write or count each row; return the repeats that have columns.

        ``firsts`` has, for each row that is not blank, the number of the item that it repeats, or ``NEW``.
        """
        repeats = []
        numbers = iter(firsts)
        for line, row in enumerate(block, self._line):
            if row is None:
                self._blank += 1
            elif (number := next(numbers)) < 0:
                self._add(row)
            else:
                self._repeats += 1
                if row.columns:
                    repeats.append(Repeat(self._key(number), line, row.columns))
        self._line += len(block)
        return repeats

    def _key(self, number: int) -> Key:
        """The key of an item, numbered over all shards."""
        shard = bisect_right(self._starts, number) - 1
        return Key(shard, number - self._starts[shard])

    def publish(self) -> None:
        """Complete the open manifest, if there is one: everything on disk, then the rename."""
        head = Head(self._shard, self._rows, self._repeats, self._blank, self._crc)
        if self._file is not None:
            self._file.seek(0)
            self._file.write(_head_line(head))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(manifest_file(self._folder, self._shard))
            self._file = None
            self._shard += 1
        self.total = Summary(
            items=self.total.items + head.rows,
            repeats=self.total.repeats + head.repeats,
            blank=self.total.blank + head.blank,
            shards=self.total.shards + (self._shard - head.shard),
        )
        self._rows = self._repeats = self._blank = self._crc = 0

    def discard(self) -> None:
        """Remove the open manifest, if there is one: something went wrong."""
        if self._file is not None:
            with suppress(OSError):  # what cannot be written any more
                self._file.close()
            self._temporary.unlink(missing_ok=True)

    @property
    def _temporary(self) -> Path:
        return manifest_file(self._folder, self._shard).with_suffix(".jsonl.tmp")

    def _add(self, row: Row) -> None:
        # A full manifest stays open until the next row, and so counts the repeats that come between.
        if self._rows == self._shard_size:
            self.publish()
        if self._file is None:
            self._file = self._temporary.open("wb")
            self._file.write(b" " * _HEAD_WIDTH)
            self._starts.append(self._items)
        line = _row_line(row)
        self._file.write(line)
        self._crc = zlib.crc32(line, self._crc)
        self._rows += 1
        self._items += 1


def _head_line(head: Head) -> bytes:
    return f"{json.dumps(head._asdict()):<{_HEAD_WIDTH - 1}}\n".encode()


def _row_line(row: Row) -> bytes:
    if row.columns:
        return f"{_encode({'url': row.url, **row.columns})}\n".encode()
    return f'{{"url": {_quote(row.url)}}}\n'.encode()  # the same, faster


def writing_to(folder: Path) -> AbstractContextManager[None]:
    """Turn what the disk refuses into a sentence."""
    return disk_errors("write manifests to", folder, "start again")
