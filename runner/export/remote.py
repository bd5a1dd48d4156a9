"""An export to a place that fsspec reaches: ``s3://``, ``gs://``, ``hf://``, ``memory://`` and so on.

How to get there (keys, endpoints) is for the library behind the protocol to know, from the environment.
"""

import tempfile
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..engine.items import Item, Key, Result
from ..errors import RunnerError, UsageError
from .folder import disk_errors, image_name, parse_name
from .output import Draft
from .stage import ExportStage, Source

# Images that a worker sends at the same time.
SENT_AT_ONCE = 32
SIGN_OF_LIFE_SECONDS = 0.5


@dataclass(frozen=True)
class RemoteFolder:
    """The objects below ``url``. Files are put together in ``scratch``, a folder, before they are sent."""

    url: str
    scratch: Path

    @property
    def name(self) -> str:
        return self.url

    def prepare(self, job: Path) -> bool:  # noqa: ARG002
        with self._errors():
            files, root = _connect(self.url)
            files.makedirs(root, exist_ok=True)
        return not self._entries(root)

    def mark(self) -> bytes:
        return b""  # only its name tells whose it is

    def token(self) -> bytes | None:
        return None

    @property
    def in_this_process(self) -> bool:
        return "memory" in self.url.partition("://")[0]

    def images(self, suffix: str) -> "RemoteImages":
        return RemoteImages(self, suffix)

    @contextmanager
    def draft(self, name: str) -> Iterator[Draft]:
        # Without a name, so that nothing is left of it however this process ends.
        with disk_errors(self.scratch), tempfile.TemporaryFile(dir=self.scratch) as file:

            def publish() -> None:
                with self._errors():
                    file.flush()
                    files, root = _connect(self.url)
                    files.put_file(f"/proc/self/fd/{file.fileno()}", f"{root}/{name}")

            yield Draft(cast(BinaryIO, file), publish)

    def write(self, name: str, data: bytes) -> None:
        """An object, whole or not at all."""
        with self._errors():
            files, root = _connect(self.url)
            path = f"{root}/{name}"
            try:
                files.pipe_file(path, data)
            except FileNotFoundError:  # where there are real folders
                files.makedirs(path.rpartition("/")[0], exist_ok=True)
                files.pipe_file(path, data)

    def read(self, name: str) -> bytes | None:
        with self._errors():
            files, root = _connect(self.url)
            try:
                return bytes(files.cat_file(f"{root}/{name}"))
            except FileNotFoundError:
                return None

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The objects directly in it, or in a folder of it: name -> bytes."""
        _, root = _connect(self.url)
        entries = self._entries(f"{root}/{folder}".rstrip("/"))
        return {
            entry["name"].rpartition("/")[2]: entry["size"] for entry in entries if entry["type"] == "file"
        }

    def remove(self, name: str) -> None:
        with self._errors():
            files, root = _connect(self.url)
            with suppress(FileNotFoundError):
                files.rm_file(f"{root}/{name}")

    def _entries(self, path: str) -> list[dict[str, Any]]:
        with self._errors():
            files, _ = _connect(self.url)
            files.invalidate_cache()  # other processes write there too
            try:
                return [entry for entry in files.ls(path, detail=True) if entry["name"].strip("/") != path]
            except FileNotFoundError:
                return []

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Every library has exceptions of its own for what a network or a store refuses."""
        try:
            yield
        except RunnerError:
            raise
        except Exception as error:
            reason = str(error).strip() or repr(error)
            raise RunnerError(
                f"Cannot export to {self.url}: {reason.rstrip('.')}. Mend that, then run the export again; "
                "what is written so far is kept."
            ) from error


@dataclass(frozen=True)
class RemoteImages:
    """The images of one export, an object each, all with one ``suffix``."""

    output: RemoteFolder
    suffix: str

    def write(self, key: Key, data: bytes) -> None:
        """Make ``data`` the image of this item."""
        self.output.write(image_name(key, self.suffix), data)

    def publish(self, shard: int, written: Iterable[int]) -> None:
        """Nothing: each image is there as soon as it is sent."""

    def sizes(self, shard: int) -> dict[int, int]:
        """Index -> bytes of every image of a shard."""
        sizes = {}
        for name, size in self.output.sizes(f"{shard:05d}").items():
            index, suffix = parse_name(shard, name)
            if index is not None and suffix == self.suffix:
                sizes[index] = size
        return sizes

    def prune(self, shard: int, wanted: Container[int], decided: Container[int]) -> int:
        """Delete a shard's ``decided`` images except the wanted; how many images are gone."""
        removed = 0
        for name in self.output.sizes(f"{shard:05d}"):
            index, suffix = parse_name(shard, name)
            if index in decided and not (index in wanted and suffix == self.suffix):
                self.output.remove(f"{shard:05d}/{name}")
                removed += index not in wanted
        return removed


@dataclass(frozen=True)
class RemoteExportStage(ExportStage):
    """Sends many images at a time: each takes a network and a store some time, and no processor."""

    def process(self, items: Iterator[Item[Source] | None]) -> Iterator[Result | None]:
        """Each image is sent before its result is given."""
        folder = self.folder
        sending: set[Future[Result]] = set()
        pool = ThreadPoolExecutor(SENT_AT_ONCE)
        try:
            for item in chain(items, repeat(None)):
                if item is not None:
                    sending.add(pool.submit(self.result, folder, item))
                elif not sending:
                    break
                if item is None or len(sending) >= SENT_AT_ONCE:
                    done, sending = wait(sending, SIGN_OF_LIFE_SECONDS, FIRST_COMPLETED)
                    yield None
                    yield from (future.result() for future in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@cache
def _connect(url: str) -> tuple[Any, str]:
    """The file system and the path in it. Raises RunnerError for a missing package, UsageError."""
    try:
        import fsspec
    except ImportError:
        raise RunnerError(
            f"To export to {url}, fsspec is needed: pip install 'runner-images[remote]'."
        ) from None
    try:
        files, root = fsspec.url_to_fs(url)
    except ImportError as error:  # names the package that is missing
        raise RunnerError(f"Cannot export to {url}: {error}.") from error
    except ValueError as error:
        raise UsageError(f"{url} is no place to export to: {error}.") from error
    if not str(root).strip("/"):
        raise UsageError(f"{url} names no folder: add one, as in {url}NAME.")
    return files, str(root).rstrip("/")
