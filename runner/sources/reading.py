"""Reading URL lists: names in, rows out, whatever the format.

Each format is a function ``read(stream, name, options)`` that yields a row for each record and None for a
blank one; ``READERS`` names them.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ..manifest import Row
from . import objects, parquet, tables, text
from .options import ListOptions
from .places import Source, resolve
from .shuffle import shuffled
from .streams import opened

Reader = Callable[[BinaryIO, str, ListOptions], Iterator[Row | None]]

READERS: dict[str, Reader] = {
    "txt": text.read,
    "csv": tables.read_csv,
    "tsv": tables.read_tsv,
    "json": objects.read_json,
    "jsonl": objects.read_jsonl,
    "parquet": parquet.read,
}


def rows(
    lists: Sequence[str],
    options: ListOptions = ListOptions(),  # noqa: B008 (frozen)
    scratch: Path | None = None,
    inherited: Collection[str] = (),
) -> Iterator[Row | None]:
    """Stream the rows of URL lists, one list after the other; None stands for a blank line.

    A list is a file, a folder (the files directly in it, sorted by name, without hidden ones), a glob
    (``**`` descends into folders), ``-`` for standard input, which is text unless the options say
    otherwise, or the URL of a remote file or folder. What has to be kept on disk meanwhile goes to the
    folder ``scratch``, which is made when it is needed; None takes a temporary one. Options that name
    columns make no sense for a text list, and are refused; those that are ``inherited`` from other lists
    do not hold for it.

    Raises ListError: at once for a list that is missing or of an unknown format, on the way for one that
    cannot be read to its end. A malformed row is no error but an item that cannot be fetched.
    """
    sources = [source for name in lists for source in resolve(name, options.input_format)]
    found = (row for source in sources for row in _read(source, options, scratch, inherited))
    return shuffled(found, options.seed, scratch) if options.shuffle else found


def _read(
    source: Source, options: ListOptions, scratch: Path | None, inherited: Collection[str]
) -> Iterator[Row | None]:
    if source.format == "txt":
        options = options.without(inherited)
    with opened(source, scratch) as stream:
        yield from READERS[source.format](stream, source.name, options)
