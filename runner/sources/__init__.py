"""URL lists: files, folders, globs and standard input, turned into a stream of rows.

Each format is a module of this package with one function ``read(stream, name)`` that yields a row for each
record and None for a blank one. ``READERS`` says which file names it reads; ``.gz`` may stand behind any.
"""

import glob
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from ..errors import ListError
from ..manifest import Row
from . import text
from .options import ListOptions

Reader = Callable[[BinaryIO, str], Iterator[Row | None]]

READERS: dict[str, Reader] = {
    "": text.read,
    ".txt": text.read,
    ".urls": text.read,
    ".lst": text.read,
}
STDIN = "-"
_READ_AHEAD = 1 << 20  # bytes


class _Source(NamedTuple):
    """One file, or standard input, and how to read it."""

    name: str
    path: Path | None  # None: standard input
    packed: bool
    reader: Reader


def rows(
    lists: Sequence[str],
    options: ListOptions = ListOptions(),  # noqa: B008 (frozen)
    scratch: Path | None = None,
) -> Iterator[Row | None]:
    """Stream the rows of URL lists, one list after the other; None stands for a blank line.

    A list is a file, a folder (the files directly in it, sorted by name, without hidden ones), a glob
    (``**`` descends into folders) or ``-`` for standard input, which is read as text. The extension of a
    file says its format. Raises ListError: at once for a list that is missing or of an unknown format, on
    the way for one that cannot be read to its end.
    """
    sources = [source for name in lists for source in _resolve(name)]
    return (row for source in sources for row in _read(source))


def _resolve(name: str) -> list[_Source]:
    if name == STDIN:
        return [_Source("standard input", None, False, text.read)]
    if not name:  # Path("") would be the current folder
        raise ListError("the name of a list is empty: give a file, a folder, a pattern or `-`")
    path = Path(name)
    try:
        if path.is_dir():
            found = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
            return [_source(entry) for entry in _files(found, f"the folder {name}")]
        if path.exists():
            return [_source(path)]
    except OSError as error:
        raise ListError(f"cannot read the list {name}: {_why(error)}") from error
    if glob.has_magic(name):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (Path.glob: relative ones only)
        found = [Path(match) for match in matches]
        return [_source(match) for match in _files(found, f"the pattern {name}")]
    if "://" in name:
        raise ListError(f"{name} is not a file: write URLs to a text file, one a line, and give its name")
    raise ListError(f"there is no list {name}: check the name")


def _files(paths: list[Path], where: str) -> list[Path]:
    files = [path for path in paths if not path.is_dir()]
    if not files:
        raise ListError(
            f"{where} has no files: give a URL list, a folder of lists or a pattern like 'lists/*.txt'"
        )
    return files


def _source(path: Path) -> _Source:
    packed = path.suffix.lower() == ".gz"
    extension = (Path(path.stem) if packed else path).suffix.lower()
    if extension not in READERS:
        known = ", ".join(sorted(filter(None, READERS)))
        raise ListError(
            f"cannot read {path}: lists are {known}, each also with .gz, or have no extension; "
            "if it holds one URL a line, rename it or pass it to standard input with `-`"
        )
    return _Source(str(path), path, packed, READERS[extension])


def _read(source: _Source) -> Iterator[Row | None]:
    try:
        with _open(source) as stream:
            yield from source.reader(stream, source.name)
    except gzip.BadGzipFile as error:
        raise ListError(
            f"{source.name} is not gzip data: rename it without .gz if it is plain text"
        ) from error
    except (EOFError, zlib.error) as error:
        raise ListError(f"{source.name} is cut off or damaged: get the file again") from error
    except OSError as error:
        raise ListError(f"cannot read the list {source.name}: {_why(error)}") from error


def _open(source: _Source) -> AbstractContextManager[BinaryIO]:
    if source.path is None:
        if sys.stdin is None:  # closed by the shell: `<&-`
            raise ListError("standard input is closed: pipe a URL list into it, or give a file")
        return nullcontext(sys.stdin.buffer)
    if source.packed:
        return io.BufferedReader(cast(io.RawIOBase, gzip.open(source.path)), _READ_AHEAD)
    return source.path.open("rb", buffering=_READ_AHEAD)


def _why(error: OSError) -> str:
    return f"{error.strerror or error}; check its name and that you may read it"
