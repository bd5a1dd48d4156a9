"""The stored images of a job as a sequence: in any order, ``Images``, or from first to last, ``images``."""

import os
import resource
import threading
import weakref
from array import array
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from .engine.items import DONE
from .engine.shardfile import ShardFile, read_payloads, shard_file
from .errors import JobError, StoreError, UsageError
from .export_options import take_selection
from .job import JobFolder
from .manifest import Row, Rows, manifest_file, read_rows
from .urls import digest, normal_form

if TYPE_CHECKING:
    from .pipeline import Job

T = TypeVar("T")
# Each image as shard << 32 | index. Not of numpy, which most who import runner have no use for.
Keys: TypeAlias = "array[int]"

# Enough for a job of five million. A shard file takes two descriptors; the process has others to open.
MOST_OPEN = 512


class StoredItem:
    """Where a stored image comes from: ``shard``, ``index``, and its line of the list: ``url``, ``columns``.

    The line is read when it is first asked for.
    """

    __slots__ = ("_row", "_rows", "index", "shard")

    def __init__(
        self, shard: int, index: int, row: Row | None = None, rows: "_PerShard[Rows] | None" = None
    ) -> None:
        self.shard = shard
        self.index = index
        self._row = row
        self._rows = rows

    @property
    def url(self) -> str:
        return self._known().url

    @property
    def columns(self) -> dict[str, Any]:
        """The other columns of the list."""
        return self._known().columns

    def _known(self) -> Row:
        if self._row is None:
            assert self._rows is not None
            self._row = self._rows.get(self.shard)[self.index]
        return self._row

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredItem, (self.shard, self.index, self._known())

    def __repr__(self) -> str:
        return f"StoredItem(shard={self.shard}, index={self.index}, url={self.url!r})"


Image = tuple[StoredItem, bytes]


class Images:
    """The stored images of a job, each as (item, bytes as served), by position; for reading only.

    images = Images(job)                             all that are stored
    images = Images(job, kept=True, min_side=256)    those that an export with these options would keep

    ``len``, ``[i]``, ``[a:b]``, iteration, ``by_url``. It shows what was stored when it was made, in item
    order, whatever the job does meanwhile, and takes 8 bytes per image. It can be pickled, used by several
    threads and carried over a fork: each process opens the files that it reads, so it is a dataset for the
    worker processes of a PyTorch ``DataLoader``.

    ``kept`` needs everything that is stored to be hashed, and raises JobError otherwise. ``verify`` compares
    the bytes of ``[i]`` with their checksum, as iteration always does, and raises DamagedError.
    """

    def __init__(
        self, job: "Job | str | Path", *, kept: bool = False, verify: bool = False, **options: Any
    ) -> None:
        folder = JobFolder.open(Path(job)) if isinstance(job, str | Path) else job.folder
        if options and not kept:
            raise UsageError(f"kept=True goes with {', '.join(options)}: they say what an export would keep.")
        keys = _kept(folder, options) if kept else _stored(folder)
        path = folder.path.resolve()
        self._set(keys, path / folder.manifests.name, path / folder.batches.name, verify)

    def _set(self, keys: Keys, manifests: Path, batches: Path, verify: bool) -> None:
        self._keys = keys
        self._manifests = manifests
        self._batches = batches
        self._verify = verify
        self._urls: _UrlIndex | None = None
        self._rows = _PerShard(lambda shard: Rows(manifest_file(manifests, shard)))
        self._files = _PerShard(lambda shard: ShardFile(shard_file(batches, shard), readonly=True))

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, position: int) -> Image: ...
    @overload
    def __getitem__(self, position: slice) -> "Images": ...
    def __getitem__(self, position: int | slice) -> "Image | Images":
        if isinstance(position, slice):
            return self._part(position)
        shard, index = _split(self._key(position))
        body = self._files.get(shard).payload(index, checked=self._verify)
        if body is None:
            raise _missing(shard, index)
        return StoredItem(shard, index, None, self._rows), body

    def _key(self, position: int) -> int:
        try:
            return self._keys[position]
        except IndexError:
            raise IndexError(f"there is no image {position}: there are {len(self):,} images") from None

    def __iter__(self) -> Iterator[Image]:
        """One after the other, which reads whole stretches of the files: the quickest way to see them all."""
        for shard, indices in _by_shard(self._keys):
            rows = read_rows(manifest_file(self._manifests, shard), indices)
            bodies = read_payloads(shard_file(self._batches, shard), indices)
            for index, row in zip(indices, rows, strict=True):
                stored, body = next(bodies, (None, b""))
                if stored != index:
                    raise _missing(shard, index)
                yield StoredItem(shard, index, row), body

    def by_url(self, url: str) -> Image:
        """The image of a URL of the list, however it is written there. Raises KeyError if there is none.

        The first call reads the URLs of all images; after that a look-up takes as long as ``[i]``.
        """
        if self._urls is None:
            self._urls = _UrlIndex(self._list_urls(), len(self))
        wanted = normal_form(url)
        for position in self._urls.candidates(wanted):
            if normal_form(StoredItem(*_split(self._keys[position]), None, self._rows).url) == wanted:
                return self[position]
        raise KeyError(url)

    def _list_urls(self) -> Iterator[str]:
        for shard, indices in _by_shard(self._keys):
            for row in read_rows(manifest_file(self._manifests, shard), indices):
                yield row.url

    def _part(self, span: slice) -> "Images":
        if span.step is not None and span.step < 0:
            raise ValueError("images are in item order: a slice of them goes forward")
        part = Images.__new__(Images)
        part._set(self._keys[span], self._manifests, self._batches, self._verify)
        return part

    def __getstate__(self) -> dict[str, Any]:
        return {
            "settings": (self._keys, self._manifests, self._batches, self._verify),
            "urls": self._urls,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(*state["settings"])
        self._urls = state["urls"]


def images(job: "Job | str | Path") -> Iterator[Image]:
    """Every stored image of a job (or of the job in a folder), in order, as (item, bytes as served)."""
    return iter(Images(job))


class _PerShard(Generic[T]):
    """What is made of a shard when it is needed, and kept for the next time, in the process that made it."""

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self.begin()
        _per_shard.add(self)

    def begin(self) -> None:
        """Have nothing made yet."""
        self._made: dict[int, T] = {}
        self._lock = threading.Lock()

    def get(self, shard: int) -> T:
        made = self._made.get(shard)
        return self._added(shard) if made is None else made

    def _added(self, shard: int) -> T:
        with self._lock:
            made = self._made.get(shard)
            if made is None:
                while len(self._made) >= _most_open():
                    del self._made[next(iter(self._made))]  # whoever uses it still has it
                made = self._made[shard] = self._make(shard)
            return made


_per_shard: "weakref.WeakSet[_PerShard[Any]]" = weakref.WeakSet()


def _begin_anew() -> None:
    for each in _per_shard:
        each.begin()


os.register_at_fork(after_in_child=_begin_anew)


def _most_open() -> int:
    return min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)


class _UrlIndex:
    """Position of each URL in a view, by a digest of 64 bits: 12 bytes per URL."""

    def __init__(self, urls: Iterator[str], count: int) -> None:
        import numpy as np

        digests = np.fromiter(map(_digest, urls), np.uint64, count)
        order = np.argsort(digests)
        self._digests = digests[order]
        self._positions = order.astype(np.uint32)

    def candidates(self, url: str) -> list[int]:
        """Positions of the URLs with the digest of this one: as a rule one, or none."""
        import numpy as np

        wanted = np.uint64(_digest(url))
        start, end = (int(np.searchsorted(self._digests, wanted, side)) for side in ("left", "right"))
        return [int(position) for position in self._positions[start:end]]


def _digest(url: str) -> int:
    return int.from_bytes(digest(url, 8))


def _split(key: int) -> tuple[int, int]:
    """Shard and index."""
    return key >> 32, key & 0xFFFFFFFF


def _by_shard(keys: Keys) -> Iterator[tuple[int, list[int]]]:
    for shard, group in groupby(keys, lambda key: key >> 32):
        yield shard, [key & 0xFFFFFFFF for key in group]


def _stored(folder: JobFolder) -> Keys:
    """The images that are marked as stored, ascending."""
    keys: Keys = array("Q")
    with folder.reader() as checkpoint:
        if checkpoint is not None:
            for shard in sorted(checkpoint.tally("download")):
                keys.extend(shard << 32 | index for index in checkpoint.done("download", shard))
    return keys


def _kept(folder: JobFolder, options: dict[str, Any]) -> Keys:
    """The images that an export with these options would keep, ascending."""
    from .dedup import preview

    selection = take_selection(options)
    reselect = options.pop("reselect", False)
    if options:
        raise UsageError(f"No option that says what is kept is called {', '.join(sorted(options))}.")
    _check_hashed(folder)
    shards = [head.shard for head in folder.heads()]
    choice, _ = preview(folder.hashes, folder.dedup, selection, reselect=reselect, shards=shards)
    return array("Q", sorted(choice.images.key[choice.kept].tolist()))


def _check_hashed(folder: JobFolder) -> None:
    """Raise JobError unless every stored image went through the hash pass as it is today."""
    from .recipes import described, recipe_of

    missing = 0
    with folder.reader() as checkpoint:
        if checkpoint is not None:
            missing = sum(tally[DONE][0] for tally in checkpoint.tally("download").values() if DONE in tally)
            note = checkpoint.note("recipe")
            if note == described(recipe_of(note)):
                tallies = checkpoint.tally("hash").values()
                missing -= sum(count for tally in tallies for count, _ in tally.values())
    if missing:
        raise JobError(
            f"{missing:,} images are not hashed yet, so nobody knows which are duplicates. "
            f"Hash them first: runner hash {folder.path}"
        )


def _missing(shard: int, index: int) -> StoreError:
    return StoreError(
        f"The bytes of item ({shard}, {index}) are missing from its batch. Look: runner verify JOB"
    )
