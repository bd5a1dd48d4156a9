"""What repeats carried: the columns of a list's rows whose URL was an item already, in ``repeats.lmdb``.

Table ``repeats``: shard (u32), index (u32), digest of the columns (8 bytes) -> the line (u64), counted over
all lines of the job's lists, then the columns as JSON; sealed. Equal columns of one item are kept once.

There is a file only where a repeat had columns. It is written before job.json counts the lines that it
speaks of, so what a killed addition left is known by its line, and passed over.
"""

import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from .engine.closing import Closing
from .engine.items import Key
from .engine.seal import SealError, seal, unseal
from .engine.store import Store, Txn
from .engine.wreck import Wreck
from .manifest import Repeat, Row, manifest_file, read_rows

Columns = dict[str, Any]

_TABLE = "repeats"
_ITEM = struct.Struct(">II")
_SHARD = struct.Struct(">I")
_LINE = struct.Struct(">Q")
_TOGETHER = 4096


class Keeper(Closing):
    """Writes ``repeats.lmdb``, which it makes when there is something to keep."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: Store | None = Store(path, (_TABLE,)) if path.exists() else None

    @property
    def _store(self) -> Store:
        self._opened = self._opened or Store(self._path, (_TABLE,))
        return self._opened

    def keep(self, repeats: Iterable[Repeat]) -> None:
        """Keep the columns of these, durably and all or nothing."""
        self._put([_pack(repeat) for repeat in repeats])

    def _put(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        store = self._store

        def change(txn: Txn) -> None:
            for name, value in rows:
                if store.get(txn, _TABLE, name) is None:
                    store.put(txn, _TABLE, name, seal(name, value))

        store.write(change)

    def drop_from(self, line: int) -> None:
        """Forget what comes from this line on: it belongs to an addition that was killed."""
        for block in _blocks(self._opened) if self._opened else ():
            stale = [name for name, value in block if _line(value) >= line]
            if stale:
                self._delete(stale)

    def _delete(self, names: Sequence[bytes]) -> None:
        store = self._store

        def change(txn: Txn) -> None:
            for name in names:
                store.delete(txn, _TABLE, name)

        store.write(change)

    def close(self) -> None:
        if self._opened:
            self._opened.close()


class Repeats(Closing):
    """The columns of repeats, to be read while others write; of the first ``lines`` lines of a job."""

    def __init__(self, path: Path, lines: int) -> None:
        self._store = Store(path, (_TABLE,), readonly=True) if _is_there(path) else None
        self._lines = lines
        self._shard: int | None = None
        self._of_shard: dict[int, list[Columns]] = {}

    def of(self, key: Key, row: Row) -> list[Columns]:
        """What the repeats of an item carried, in the order of their lines, where it is not what its row has.

        Quick when asked in the order of items: it reads shard by shard.
        """
        if self._store is None:
            return []
        if key.shard != self._shard:
            self._shard, self._of_shard = key.shard, self._read(self._store, key.shard)
        return [columns for columns in self._of_shard.get(key.index, ()) if columns != row.columns]

    def _read(self, store: Store, shard: int) -> dict[int, list[Columns]]:
        found: dict[int, list[tuple[int, Columns]]] = defaultdict(list)
        for block in _blocks(store, _SHARD.pack(shard)):
            for name, value in block:
                if _line(value) < self._lines:
                    found[_ITEM.unpack_from(name)[1]].append((_line(value), _columns(value)))
        return {index: [columns for _, columns in sorted(rows)] for index, rows in found.items()}

    def close(self) -> None:
        if self._store:
            self._store.close()


@dataclass(frozen=True)
class Lists:
    """What a job's lists say of its items. Paths, and how many ``lines`` they had: it travels to workers."""

    manifests: Path
    repeats: Path
    lines: int

    def manifest(self, shard: int) -> Path:
        return manifest_file(self.manifests, shard)

    def rows(self, shard: int, indices: Sequence[int]) -> Iterator[tuple[Row, list[Columns]]]:
        """Rows of a shard (ascending), each with what its repeats carried, where that is something else."""
        with Repeats(self.repeats, self.lines) as repeats:
            for index, row in zip(indices, read_rows(self.manifest(shard), indices), strict=True):
                yield row, repeats.of(Key(shard, index), row)

    @property
    def have_repeats(self) -> bool:
        """Whether repeats carried anything at all."""
        return _is_there(self.repeats)


def problem(path: Path, lines: int, rows: Sequence[int]) -> str | None:
    """What is wrong with the records of a file; ``rows`` has the number of items of each shard."""
    with Store(path, (_TABLE,), readonly=True) as store:
        for block in _blocks(store):
            for name, value in block:
                if _line(value) < lines and not _exists(name, rows):
                    return f"it has columns for item {_ITEM.unpack_from(name)}, which does not exist"
    return None


def rescue(damaged: Path, new: Path, rows: Sequence[int]) -> None:
    """Write a new file with every record of a damaged one that is whole and belongs to an item."""
    with Wreck(damaged) as wreck, Keeper(new) as keeper:
        whole = _whole(wreck, rows)
        while part := list(islice(whole, _TOGETHER)):
            keeper._put(part)


def _whole(wreck: Wreck, rows: Sequence[int]) -> Iterator[tuple[bytes, bytes]]:
    for entry in wreck.walk(_TABLE):
        with suppress(SealError):
            value = unseal(entry.key, wreck.read(entry))
            if _exists(entry.key, rows):
                yield entry.key, value


def _exists(name: bytes, rows: Sequence[int]) -> bool:
    shard, index = _ITEM.unpack_from(name)
    return bool(shard < len(rows) and index < rows[shard])


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _pack(repeat: Repeat) -> tuple[bytes, bytes]:
    """Name and value of a record."""
    from hashlib import blake2b  # loads OpenSSL: only where a list is read

    columns = json.dumps(repeat.columns).encode()
    digest = blake2b(json.dumps(repeat.columns, sort_keys=True).encode(), digest_size=8).digest()
    return _ITEM.pack(*repeat.key) + digest, _LINE.pack(repeat.line) + columns


def _line(value: bytes) -> int:
    return int(_LINE.unpack_from(value)[0])


def _columns(value: bytes) -> Columns:
    columns: Columns = json.loads(value[_LINE.size :])
    return columns


def _blocks(store: Store, prefix: bytes = b"") -> Iterator[list[tuple[bytes, bytes]]]:
    """(name, value) of the records whose names begin so, in order; no transaction is open at a yield."""
    start: bytes | None = prefix or b"\0"  # LMDB knows no empty name
    while start is not None:
        block, start = _block(store, prefix, start)
        yield block


def _block(store: Store, prefix: bytes, start: bytes) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    """Some records from a name on, and the name at which to go on."""
    block: list[tuple[bytes, bytes]] = []
    with store.read() as txn:
        cursor = store.cursor(txn, _TABLE)
        if cursor is None or not cursor.set_range(start):
            return block, None
        for name, sealed in cursor:
            if not name.startswith(prefix):
                break
            if len(block) == _TOGETHER:
                return block, name
            block.append((name, unseal(name, bytes(sealed))))
    return block, None
