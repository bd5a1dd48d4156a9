"""Where lists are: the names on a command line, resolved to files, standard input and remote files."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..errors import ListError
from .remote import RemoteFile, find

STDIN = "-"

# Extensions, and the formats that they stand for. No extension, and it is text.
EXTENSIONS = {
    "": "txt",
    ".txt": "txt",
    ".urls": "txt",
    ".lst": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
PACKINGS = {".gz": "gzip", ".zst": "zstandard"}
_UNPACKERS = {".bz2": "bunzip2", ".xz": "unxz"}  # of what is to be unpacked by hand

_is_remote = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::[a-z][A-Za-z0-9+.-]*)*://").match


class Source(NamedTuple):
    """One file, or standard input, and how to read it.

    ``name``     as it is shown: printable, and of a remote file without what gives access to it
    ``place``    None is standard input
    ``packing``  how it is compressed; None of standard input: to be seen from its first bytes
    """

    name: str
    place: Path | RemoteFile | None
    packing: str | None
    format: str


def resolve(name: str, input_format: str | None) -> list[Source]:
    """The files that a list stands for, in order. Raises ListError if there are none, or of no known kind."""
    if name == STDIN:
        return [Source("standard input", None, None, input_format or "txt")]
    if not name:  # Path("") would be the current folder
        raise ListError("the name of a list is empty: give a file, a folder, a pattern or `-`")
    places: Sequence[Path | RemoteFile] = find(name) if _is_remote(name) else _find_local(name)
    if not places:
        raise ListError(
            f"{printable(name)} has no files: "
            "give a URL list, a folder of lists or a pattern like 'lists/*.txt'"
        )
    return [_source(place, input_format) for place in places]


def printable(text: str) -> str:
    """The text as it may stand in a message or in JSON, whatever bytes a file name is made of."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _find_local(name: str) -> list[Path]:
    path = Path(name)
    try:
        if path.is_dir():
            return sorted(entry for entry in path.iterdir() if not _is_aside(entry))
        if path.exists():
            return [path]
    except OSError as error:
        raise ListError(
            f"cannot read the list {printable(name)}: {error.strerror or error}; "
            "check its name and that you may read it"
        ) from error
    if glob.has_magic(name):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (Path.glob: relative ones only)
        return [match for match in map(Path, matches) if not match.is_dir()]
    raise ListError(f"there is no list {printable(name)}: check the name")


def _is_aside(entry: Path) -> bool:
    return entry.name.startswith(".") or entry.is_dir()


def _source(place: Path | RemoteFile, input_format: str | None) -> Source:
    name = printable(str(place))
    path = PurePosixPath(place.path if isinstance(place, RemoteFile) else place)
    packing = PACKINGS.get(path.suffix.lower())
    extension = (PurePosixPath(path.stem) if packing else path).suffix.lower()
    kind = input_format or EXTENSIONS.get(extension)
    if kind is None and (unpacker := _UNPACKERS.get(extension)):
        raise ListError(f"{name} is packed as {extension}, which is not read: unpack it with `{unpacker}`")
    if kind is None:
        known = ", ".join(filter(None, EXTENSIONS))
        raise ListError(
            f"{name} has no extension of a list ({known}, each also with .gz or .zst): "
            "say what it holds with --input-format, or leave it out with a pattern such as 'lists/*.txt'"
        )
    return Source(name, place, packing, kind)
