"""Lists that are elsewhere, through fsspec: s3://, gs://, https://, hf:// and whatever else it knows."""

import glob
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from ..errors import ListError

INSTALL = "pip install 'runner-images[remote]'"
_WEB = ("http", "https")
_READ_AHEAD = 1 << 20  # bytes
_SILENCE = 60.0  # seconds without a byte from a web server


class RemoteFile(NamedTuple):
    """A file of an fsspec file system. ``shown`` is its name without credentials and signature."""

    shown: str
    path: str
    address: str
    system: Any

    def __str__(self) -> str:
        return self.shown

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Its bytes, seekable if the server lets us. Raises ListError, also from every read."""
        with _explained(self.shown):
            file = self.system.open(self.address, "rb")
        try:
            yield io.BufferedReader(_Raw(file, self.shown), _READ_AHEAD)
        finally:
            file.close()


def find(name: str) -> list[RemoteFile]:
    """The files that a remote name stands for: itself, those of a folder, those of a pattern."""
    shown = _without_secrets(name)
    with _explained(shown):
        system, path = _open_system(name)
        if isinstance(system.protocol, tuple) and set(_WEB) & set(system.protocol):
            # A web server has neither folders nor patterns: `?` begins a query.
            system.info(path)
            return [RemoteFile(shown, urlsplit(name).path, path, system)]
        if glob.has_magic(path) and not system.exists(path):
            found = system.glob(path, detail=True).values()
        else:
            info = system.info(path)
            found = system.ls(path, detail=True) if info["type"] == "directory" else [info]
        names = sorted(each["name"] for each in found if each["type"] != "directory")
        files = [each for each in names if len(names) == 1 or not each.rpartition("/")[2].startswith(".")]
        return [RemoteFile(str(system.unstrip_protocol(each)), each, each, system) for each in files]


def _open_system(name: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    protocol = name.partition("://")[0].lower()
    options: dict[str, Any] = {}
    if protocol in _WEB:
        from aiohttp import ClientTimeout

        # Its own limit is five minutes for a whole file.
        options["client_kwargs"] = {
            "timeout": ClientTimeout(total=None, sock_connect=_SILENCE, sock_read=_SILENCE)
        }
    system, path = url_to_fs(name, **options)
    return system, str(path)


class _Raw(io.RawIOBase):
    """The bytes of a remote file; what fails becomes a ListError."""

    def __init__(self, file: Any, shown: str) -> None:
        self._file = file
        self._shown = shown
        with _explained(shown):
            self._seekable = bool(file.seekable()) and file.size is not None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _explained(self._shown):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with _explained(self._shown):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    """Turn whatever a file system raises, each in its own way, into a sentence."""
    try:
        yield
    except ListError:
        raise
    except ImportError as error:
        raise ListError(f"reading {shown} needs more packages: {INSTALL}") from error
    except Exception as error:
        # What a web server said, fsspec hides behind a FileNotFoundError.
        cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
        status = getattr(cause, "status", None)
        if cause is None or status in (404, 410):
            raise ListError(f"there is no list {shown}: check the name") from error
        why = f"HTTP status {status}" if status else " ".join(str(cause).split())[:300]
        raise ListError(
            f"cannot read the list {shown}: {why or type(cause).__name__}; "
            "check its name and that you may read it"
        ) from error


def _without_secrets(name: str) -> str:
    try:
        parts = urlsplit(name)
    except ValueError:
        return name
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
