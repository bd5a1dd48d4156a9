"""Parquet, through pyarrow: a few rows at a time, and only the columns that are wanted."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from ..errors import ListError
from ..manifest import Row
from .columns import carried_columns, url_column
from .digests import digest_size
from .options import DigestColumn, ListOptions
from .records import make_row
from .streams import foreign
from .values import plain

INSTALL = "pip install 'runner-images[parquet]'"
_MAGIC = b"PAR1"
# Rows that are in memory at a time: so many, or what takes so many bytes.
_MOST_ROWS = 4096
_BATCH_BYTES = 4 << 20
_BUFFER = 1 << 20  # bytes read ahead of each column
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def read(stream: BinaryIO, name: str, options: ListOptions) -> Iterator[Row | None]:
    """Yield a row for each row; its number, counted from 1, is its line."""
    head = stream.read(512)
    stream.seek(0)
    if not head.startswith(_MAGIC):
        what = foreign(head) or "something else: get the file again"
        raise ListError(f"{name} is no parquet file but {what}")
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ListError(f"reading {name} needs pyarrow: {INSTALL}") from error
    try:
        with ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER) as file:
            yield from _rows(file, name, options)
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        why = " ".join(str(error).split())[:200]
        raise ListError(f"{name} is cut off or damaged, or of an unknown kind of parquet: {why}") from error


def _rows(file: Any, name: str, options: ListOptions) -> Iterator[Row]:
    names = file.schema_arrow.names
    url = url_column(names, options, name)
    carried = carried_columns(names, url, options, name)
    digest = options.digest
    read_value = [
        _digest_reader(digest) if digest and column == digest.column else plain for column in carried
    ]
    line = 0
    for batch in file.iter_batches(_batch_size(file), columns=[url, *carried], use_threads=False):
        urls = map(plain, _values(batch.column(url)))
        columns = [
            map(read, _values(batch.column(column))) for column, read in zip(carried, read_value, strict=True)
        ]
        for each, *values in zip(urls, *columns, strict=True):
            line += 1
            yield make_row(each, dict(zip(carried.values(), values, strict=True)), name, line, digest)


def _values(column: Any) -> list[Any]:
    """The values of a column. Python's dates and times cannot hold all that there is: those as text."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_duration(kind):
        seconds = _PER_SECOND[kind.unit]
        return [None if each is None else each / seconds for each in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_timestamp(kind) and kind.tz is not None:  # whose zone nobody may know
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    if pa.types.is_temporal(kind):
        texts = column.cast(pa.string()).to_pylist()
        return [each and (each if each.startswith("<") else each.replace(" ", "T")) for each in texts]
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:  # text that is none, which parquet does not check
        return list(column.cast(pa.binary()).to_pylist())


def _digest_reader(digest: DigestColumn) -> Callable[[Any], Any]:
    """Reads a digest that is there as bytes and not as digits."""
    size = digest_size(digest.algorithm)
    return lambda value: value.hex() if isinstance(value, bytes) and len(value) == size else plain(value)


def _batch_size(file: Any) -> int:
    """So many rows that they fit, if all are like the average of the largest rows of a group."""
    groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
    largest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return int(max(1, min(_MOST_ROWS, _BATCH_BYTES // max(largest, 1))))
