"""The reduce: hashes/ -> dedup.lmdb, the key-value table that says which image stands for which.

``deduptable.py`` tells what is in it. It is written sorted, under a temporary name, and takes its place by
rename: a kill leaves the old one whole. It is never changed after that, so it may be read at any time.
"""

import ctypes
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from .choice import Choice, decide
from .deduptable import TABLES, DedupTable, Reduction, as_json
from .engine.files import sync_folder
from .engine.store import Store, Txn
from .export_options import Selection
from .paircache import PairCache

# Rows committed together: few enough that doing them again when the map grows costs nothing.
ROWS_PER_COMMIT = 200_000

Column = npt.NDArray[np.void]
Keys = npt.NDArray[np.uint64]


def reduce(
    hashes: Path, table: Path, selection: Selection, *, reselect: bool = False, shards: Sequence[int]
) -> Reduction:
    """Choose among the hashed images of these shards, and write the outcome to ``table``.

    What an earlier table of the same selection kept is kept again, unless ``reselect``. Raises UsageError,
    StoreError or DiskFullError; the earlier table stands until the new one is complete. What the search for
    near hashes has found is kept beside the table, until that is complete.
    """
    cache = PairCache(table.with_name(f"{table.name}.search"))
    frozen = _frozen(table, selection, reselect)
    outcome = _write(table, selection, *_choose(hashes, shards, selection, frozen, cache))
    cache.clear()
    _give_memory_back()
    return outcome


def _write(table: Path, selection: Selection, choice: Choice, outcome: Reduction) -> Reduction:
    with _replacing(table) as store:
        for name, keys, values in _columns(choice):
            _append(store, name, keys, values)
        _describe(store, counts=outcome._asdict(), selection=asdict(selection))
    return outcome


def _give_memory_back() -> None:
    """The export that follows takes hours, and glibc keeps most of what it was given back in small pieces."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def preview(
    hashes: Path, table: Path, selection: Selection, *, reselect: bool = False, shards: Sequence[int]
) -> tuple[Choice, Reduction]:
    """What ``reduce`` would choose and say, without writing anything."""
    return _choose(hashes, shards, selection, _frozen(table, selection, reselect))


def _choose(
    hashes: Path, shards: Sequence[int], selection: Selection, frozen: Keys, cache: PairCache | None = None
) -> tuple[Choice, Reduction]:
    choice, filtered = decide(hashes, shards, selection, frozen, cache)
    unique = int(np.count_nonzero(choice.kept))
    return choice, Reduction(unique, len(choice.leader) - unique, filtered)


def _frozen(table: Path, selection: Selection, reselect: bool) -> Keys:
    """The images that an earlier table kept, if they are to stay."""
    if not reselect and table.exists():
        with DedupTable(table) as earlier:
            if earlier.made_by(selection):
                return earlier.kept_keys()
    return np.empty(0, dtype=np.uint64)


def _columns(choice: Choice) -> Iterator[tuple[str, Column, Column]]:
    """The tables, their keys and their values, in the form in which they are appended: sorted by key."""
    images, leader = choice.images, choice.leader
    by_key = np.argsort(images.key)
    kept = by_key[choice.kept[by_key]]
    others = np.bincount(leader, minlength=len(leader)) - 1
    yield "kept", images.key[kept].astype(">u8"), others[kept].astype(">u4")
    dropped = by_key[~choice.kept[by_key]]
    for name, of, keys in (
        ("duplicates", dropped, images.key),
        ("phash", choice.by_phash, images.phash),
    ):
        yield name, keys[of].astype(">u8"), images.key[leader[of]].astype(">u8")
    stand_ins = images.key[leader[choice.by_sha256]]
    yield "sha256", choice.sha256.astype(">u8"), stand_ins.astype(">u8")


def _append(store: Store, table: str, keys: Column, values: Column) -> None:
    for start in range(0, len(keys), ROWS_PER_COMMIT):
        part = slice(start, start + ROWS_PER_COMMIT)

        def change(txn: Txn, part: slice = part) -> None:
            cursor = store.cursor(txn, table)
            assert cursor is not None
            cursor.putmulti(_pairs(keys[part], values[part]), append=True)

        store.write(change)


def _describe(store: Store, **meta: object) -> None:
    def change(txn: Txn) -> None:
        for name, value in meta.items():
            store.put(txn, "meta", name.encode(), as_json(value))

    store.write(change)


def _pairs(keys: Column, values: Column) -> Iterator[tuple[bytes, bytes]]:
    key, value = (f"{column[0].nbytes}s" for column in (keys, values))
    octets = [column.reshape(len(column), -1).view(np.uint8) for column in (keys, values)]
    return struct.iter_unpack(key + value, np.hstack(octets).tobytes())


class _replacing:
    """A store under a temporary name that takes the place of ``path`` if the block ends well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f"{path.name}.tmp")

    def __enter__(self) -> Store:
        self._remove_leftovers()
        self._store = Store(self._temporary, TABLES)
        return self._store

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()
        if error is None:
            self._temporary.replace(self._path)
            sync_folder(self._path.parent)
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        self._temporary.unlink(missing_ok=True)
        self._temporary.with_name(f"{self._temporary.name}-lock").unlink(missing_ok=True)
