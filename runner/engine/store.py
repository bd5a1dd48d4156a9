"""LMDB, wrapped once: settings, map growth and errors live here, so that call sites stay bare.

Never a store carried over a fork: open it where it is used.
"""

import errno
import os
import shutil
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

import lmdb

from .closing import Closing
from .environments import Opened, release, share
from .errors import DamagedError, StoreError
from .files import NO_ROOM, no_room, sync_folder
from .seal import SealError
from .soundness import check_length

T = TypeVar("T")
V = TypeVar("V", bytes, memoryview)
Txn: TypeAlias = "lmdb.Transaction[bytes]"
"""To be handed to the methods of the store that it is of."""

# Address space, not disk: the file grows as pages are written. Doubled whenever it runs out.
FIRST_MAP_SIZE = 1 << 28
# lmdb 3 bundles two engines whose files cannot read each other; this is the 0.9 format.
LMDB_ENGINE = 0
# A full disk reaches us as an input/output error at commit; below this many free bytes we call it full.
FULL_BELOW = 8 << 20
LOCK_BYTES = 8192
_DAMAGE = (
    SealError,
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
)


class Store(Closing):
    """One LMDB file of named tables, bytes to bytes; every committed write is synced to disk.

    Raises StoreError if the file cannot be opened, DamagedError if it is not as LMDB left it, DiskFullError
    when there is no room to write.
    """

    def __init__(self, path: Path, tables: Sequence[str], *, readonly: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        new = not path.exists()
        if new and readonly:
            raise DamagedError(path, "it is missing")
        if readonly and not path.stat().st_size:
            raise DamagedError(path, "it is empty")
        try:
            if not new:
                check_length(path)
            self._shared = share(path, partial(_open, path, tables, readonly), writable=not readonly)
        except (OSError, lmdb.Error) as error:
            if new:  # a full disk may have taken half of what an empty file begins with
                path.unlink(missing_ok=True)
            raise self._translate(error) from error
        self._release = weakref.finalize(self, release, self._shared)  # also if nobody closes it
        if new:
            sync_folder(path.parent)

    def reopen(self) -> None:
        """Give back the memory of the pages read so far, which LMDB keeps mapped as long as it is open."""
        try:
            self._shared.reopen()
        except (OSError, lmdb.Error) as error:
            raise self._translate(error) from error

    def cursor(self, txn: "lmdb.Transaction[V]", table: str) -> "lmdb.Cursor[V] | None":
        """A cursor over a table; None where the table was never created."""
        handle = self._shared.tables[table]
        return None if handle is None else txn.cursor(handle)

    def count(self, txn: Txn, table: str) -> int:
        """How many entries a table has."""
        handle = self._shared.tables[table]
        return 0 if handle is None else int(txn.stat(handle)["entries"])

    def get(self, txn: "lmdb.Transaction[V]", table: str, key: bytes) -> V | None:
        handle = self._shared.tables[table]
        return None if handle is None else txn.get(key, db=handle)

    def put(self, txn: Txn, table: str, key: bytes, value: bytes) -> None:
        handle = self._shared.tables[table]
        assert handle is not None, "put in a store opened for reading"
        txn.put(key, value, db=handle)

    def delete(self, txn: Txn, table: str, key: bytes) -> None:
        handle = self._shared.tables[table]
        assert handle is not None, "delete in a store opened for reading"
        txn.delete(key, db=handle)

    def write(self, change: Callable[[Txn], T]) -> T:
        """Run ``change`` in a transaction and commit it, durably and as a whole.

        When the map is full the transaction is void: the map is doubled and ``change`` runs again, so it
        must be a function of its inputs alone.
        """
        while True:
            try:
                with self._shared.lock, self._shared.env.begin(write=True) as txn:
                    return change(txn)
            except lmdb.MapFullError:
                self._grow()
            except (SealError, lmdb.Error) as error:
                raise self._translate(error) from error

    def _grow(self) -> None:
        with self._shared.lock:
            self._shared.env.set_mapsize(2 * self._shared.env.info()["map_size"])

    def read(self) -> "_Read[bytes]":
        """A snapshot. Keep it short: it pins freed pages, and writers of this process wait for it."""
        return _Read(self, views=False)

    def views(self) -> "_Read[memoryview]":
        """The same, with keys and values where they are, uncopied: to be read before it ends.

        For parts of long values; of short ones it is slower.
        """
        return _Read(self, views=True)

    def _begin_read(self, views: bool) -> "lmdb.Transaction[Any]":
        try:
            return self._begin(views)
        except lmdb.MapResizedError:
            self._shared.env.set_mapsize(0)  # another process has grown the file: take over its size
            return self._begin(views)

    def _begin(self, views: bool) -> "lmdb.Transaction[Any]":
        env = self._shared.env
        return env.begin(buffers=True) if views else env.begin()

    def _translate(self, error: lmdb.Error | OSError | SealError) -> StoreError:
        """What the user is told."""
        if isinstance(error, _DAMAGE):
            return DamagedError(self.path, str(error))
        code = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
        if code in NO_ROOM or (code == errno.EIO and self._disk_is_full()):
            return no_room(self.path.parent, "resume; everything committed so far is kept")
        if code in (errno.EACCES, errno.EPERM, errno.EROFS):
            return StoreError(
                f"No permission to use {self.path}: make it readable and writable, then resume."
            )
        if code in (errno.EMFILE, errno.ENFILE):
            return StoreError(f"Too many open files for {self.path}: raise `ulimit -n`, then resume.")
        if code == errno.ENOMEM:
            return StoreError(
                f"No memory or address space left to open {self.path}: raise `ulimit -v`, then resume."
            )
        return StoreError(f"{self.path} cannot be used: {error}")

    def _disk_is_full(self) -> bool:
        return shutil.disk_usage(self.path.parent).free < FULL_BELOW

    def close(self) -> None:
        self._release()


class _Read(Generic[V]):
    """A read transaction, with its lock. No generator: to enter one takes longer than to find a value."""

    __slots__ = ("_store", "_txn", "_views")

    def __init__(self, store: Store, views: bool) -> None:
        self._store = store
        self._views = views

    def __enter__(self) -> "lmdb.Transaction[V]":
        self._store._shared.lock.acquire()
        try:
            self._txn = self._store._begin_read(self._views)
        except BaseException as error:
            self._store._shared.lock.release()
            if isinstance(error, lmdb.Error):
                raise self._store._translate(error) from error
            raise
        return self._txn

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._txn.abort()
        finally:
            self._store._shared.lock.release()
        if isinstance(error, (SealError, lmdb.Error)):
            raise self._store._translate(error) from error


def _open(path: Path, names: Sequence[str], readonly: bool) -> Opened:
    try:
        _allocate_lock(path)
        env = _open_file(path, len(names), readonly, lock=True)
    except (OSError, lmdb.Error):
        if not readonly:
            raise
        # In a folder that we may not write to there is no lock file to share, and no writer either.
        env = _open_file(path, len(names), readonly, lock=False)
    try:
        return env, {name: _open_table(env, name, readonly) for name in names}
    except BaseException:
        env.close()
        raise


def _allocate_lock(path: Path) -> None:
    """LMDB maps its lock file: a page of it that a full disk cannot provide would kill the process."""
    file = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(file, 0, LOCK_BYTES)
    finally:
        os.close(file)


def _open_file(path: Path, tables: int, readonly: bool, *, lock: bool) -> lmdb.Environment:
    return lmdb.open(
        str(path),
        map_size=FIRST_MAP_SIZE,
        subdir=False,
        readonly=readonly,
        create=not readonly,
        max_dbs=tables,
        # Readers go through a file in order: from a cold disk 20 times faster. Writers do not.
        readahead=readonly,
        lock=lock,
        lib_version=LMDB_ENGINE,
    )


def _open_table(env: lmdb.Environment, name: str, readonly: bool) -> "lmdb._Database | None":
    try:
        return env.open_db(name.encode(), create=not readonly)
    except (lmdb.NotFoundError, lmdb.ReadonlyError):
        if readonly:
            return None  # the writer was killed before its first commit: empty
        raise
