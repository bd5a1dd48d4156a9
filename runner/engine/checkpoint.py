"""The checkpoint: every mark of every stage, in ``checkpoint.lmdb``, written by the one running parent.

Table ``marks``: stage name, NUL, shard (u32), index (u32) -> ``Mark.pack``.
Table ``tally``: stage name, NUL, shard (u32) -> msgpack map of outcome -> [count, bytes].
Table ``notes``: name -> bytes, for the few things a job remembers beside its items. A copy is in
``checkpoint.notes``: marks can be made again of what is stored, notes cannot.

Every value is sealed with a checksum. Marks and tally change in the same transaction, so a tally is exact
after any crash, and a status needs to read only one small record per shard.
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgpack

from .closing import Closing
from .errors import DamagedError
from .items import DONE, DONE_PACKED, Key, Mark
from .notes import NotesCopy
from .seal import WIDTH, SealError, seal, unseal
from .store import Store, Txn
from .wreck import Wreck

T = TypeVar("T")

MARKS = "marks"
TALLY = "tally"
NOTES = "notes"
TABLES = (MARKS, TALLY, NOTES)

# Marks between two reopenings of the store: some 10 MB of pages.
REOPEN_AFTER = 100_000
RESCUED_TOGETHER = 4096

Tally = dict[str, tuple[int, int]]
"""Outcome -> (number of items, bytes)."""

_U32 = struct.Struct(">I")
_KEY = struct.Struct(">II")


class Checkpoint(Closing):
    """What is finished. One process writes it; any number may read it meanwhile."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self._store = Store(path, TABLES, readonly=readonly)
        self._copy = NotesCopy(path)
        self.notes_path = self._copy.path
        self._since_reopened = 0

    def commit(self, stage: str, receipts: Iterable[tuple[Key, Mark]]) -> None:
        """Remember these marks, durably and all or nothing. Marking an item again replaces its mark."""
        rows = sorted(dict(receipts).items())
        prefix = _prefix(stage)

        def change(txn: Txn) -> None:
            tallies = _Tallies(self._store, txn, prefix)
            for key, mark in rows:
                name = prefix + _KEY.pack(*key)
                self._replace(txn, tallies, key.shard, name, mark)
            tallies.save()

        if rows:
            self._store.write(change)
            self._keep_memory_flat(len(rows))

    def _keep_memory_flat(self, marks: int) -> None:
        self._since_reopened += marks
        if self._since_reopened > REOPEN_AFTER:
            self._store.reopen()
            self._since_reopened = 0

    def forget(self, stage: str, keys: Iterable[Key]) -> None:
        """Make these items pending again."""
        wanted = sorted(keys)
        prefix = _prefix(stage)

        def change(txn: Txn) -> None:
            tallies = _Tallies(self._store, txn, prefix)
            for key in wanted:
                name = prefix + _KEY.pack(*key)
                self._replace(txn, tallies, key.shard, name, None)
            tallies.save()

        if wanted:
            self._store.write(change)

    def _replace(self, txn: Txn, tallies: "_Tallies", shard: int, name: bytes, mark: Mark | None) -> None:
        old = self._store.get(txn, MARKS, name)
        if old is not None:
            tallies.count(shard, Mark.unpack(unseal(name, old)), -1)
        if mark is not None:
            tallies.count(shard, mark, 1)
            self._store.put(txn, MARKS, name, seal(name, mark.pack()))
        elif old is not None:
            self._store.delete(txn, MARKS, name)

    def marks(self, stage: str, shard: int) -> Iterator[tuple[int, Mark]]:
        """(index, mark) of one shard, ascending."""
        yield from self._rows(MARKS, _prefix(stage) + _U32.pack(shard), Mark.unpack)

    def count(self) -> int:
        """How many marks there are, of all stages."""
        with self._store.read() as txn:
            return self._store.count(txn, MARKS)

    def done(self, stage: str, shard: int) -> list[int]:
        """Indices of one shard that are marked as done, ascending; raises DamagedError as ``finished``."""
        prefix = _prefix(stage) + _U32.pack(shard)
        told = sum(tally.get(DONE, (0, 0))[0] for _, tally in self._rows(TALLY, prefix, _unpack_tally))
        found = self._done(prefix) if told else []
        if len(found) != told:
            raise DamagedError(
                self.path, f"shard {shard} has {len(found)} done {stage} marks, its tally {told}"
            )
        return found

    def _done(self, prefix: bytes) -> list[int]:
        # Millions are read at a time. That their number is right stands in for the checksum of each.
        ends: list[bytes] = []
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, MARKS)
            if cursor is not None and cursor.set_range(prefix):
                for name, sealed in cursor:
                    if not name.startswith(prefix):
                        break
                    if sealed.startswith(DONE_PACKED, WIDTH):
                        ends.append(name[-_U32.size :])
        return list(struct.unpack(f">{len(ends)}I", b"".join(ends)))

    def finished(self, stage: str, shard: int) -> set[int]:
        """Indices of one shard that have a mark. Raises DamagedError if the tally tells another number."""
        prefix = _prefix(stage) + _U32.pack(shard)
        found = {index for index, _ in self._rows(MARKS, prefix, len)}
        told = sum(
            count for _, tally in self._rows(TALLY, prefix, _unpack_tally) for count, _ in tally.values()
        )
        if len(found) != told:
            raise DamagedError(self.path, f"shard {shard} has {len(found)} {stage} marks, its tally {told}")
        return found

    def tally(self, stage: str) -> dict[int, Tally]:
        """Per shard, how many items have which outcome, and their bytes."""
        return dict(self._rows(TALLY, _prefix(stage), _unpack_tally))

    def stages(self) -> list[str]:
        """Names of the stages that ever had a mark."""
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, TALLY)
            keys = [] if cursor is None else cursor.iternext(values=False)
            return sorted({key[:-5].decode() for key in keys})

    def note(self, name: str) -> bytes | None:
        """What was noted under this name."""
        key = name.encode()
        with self._store.read() as txn:
            sealed = self._store.get(txn, NOTES, key)
            return self._copy.read().get(name) if sealed is None else unseal(key, sealed)

    def set_note(self, name: str, value: bytes) -> None:
        """Remember ``value`` under this name, durably."""
        key = name.encode()
        self._copy.add({name: value})
        self._store.write(lambda txn: self._store.put(txn, NOTES, key, seal(key, value)))

    def notes(self) -> dict[str, bytes]:
        """All that was noted, without what only the copy has."""
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, NOTES)
            return {key.decode(): unseal(key, sealed) for key, sealed in cursor or ()}

    @property
    def notes_are_copied(self) -> bool:
        """As they always are: the copy is written first. Raises DamagedError."""
        return self.notes().items() <= self._copy.read().items()

    def copy_notes(self) -> None:
        """Mend a copy that lacks something."""
        self._copy.add(self.notes())

    def _rows(self, table: str, prefix: bytes, unpack: Callable[[bytes], T]) -> list[tuple[int, T]]:
        """The last number of each key that begins so, and its value."""
        # A list, not a generator: a transaction left open at a yield would forbid map growth and pin pages.
        rows: list[tuple[int, T]] = []
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, table)
            if cursor is None or not cursor.set_range(prefix):
                return rows
            for name, sealed in cursor:
                if not name.startswith(prefix):
                    break
                rows.append((_U32.unpack(name[-4:])[0], unpack(unseal(name, sealed))))
        return rows

    def close(self) -> None:
        self._store.close()


class _Tallies:
    """The tallies that one transaction touches."""

    def __init__(self, store: Store, txn: Txn, prefix: bytes) -> None:
        self._store = store
        self._txn = txn
        self._prefix = prefix
        self._counts: dict[int, dict[str, list[int]]] = {}

    def count(self, shard: int, mark: Mark, sign: int) -> None:
        if shard not in self._counts:
            self._counts[shard] = self._load(shard)
        entry = self._counts[shard][mark.outcome]
        entry[0] += sign
        entry[1] += sign * mark.size

    def _load(self, shard: int) -> dict[str, list[int]]:
        name = self._prefix + _U32.pack(shard)
        sealed = self._store.get(self._txn, TALLY, name)
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        if sealed is not None:
            tally = _unpack_tally(unseal(name, sealed))
            counts.update((outcome, list(entry)) for outcome, entry in tally.items())
        return counts

    def save(self) -> None:
        for shard, counts in self._counts.items():
            name = self._prefix + _U32.pack(shard)
            row = msgpack.packb({outcome: entry for outcome, entry in counts.items() if entry[0]})
            self._store.put(self._txn, TALLY, name, seal(name, row))


def rescue(damaged: Path, new: Path) -> None:
    """Write a new checkpoint with every mark and note of a damaged one that is whole."""
    with Wreck(damaged) as wreck, Checkpoint(new) as checkpoint:
        for name, note in _whole(wreck, NOTES):
            checkpoint.set_note(name.decode(), note)
        rows = _whole(wreck, MARKS)
        while part := list(islice(rows, RESCUED_TOGETHER)):
            by_stage: dict[str, list[tuple[Key, Mark]]] = defaultdict(list)
            for name, mark in part:
                by_stage[name[:-9].decode()].append((Key(*_KEY.unpack(name[-8:])), Mark.unpack(mark)))
            for stage, receipts in by_stage.items():
                checkpoint.commit(stage, receipts)


def _whole(wreck: Wreck, table: str) -> Iterator[tuple[bytes, bytes]]:
    for entry in wreck.walk(table):
        with suppress(SealError):
            yield entry.key, unseal(entry.key, wreck.read(entry))


def _prefix(stage: str) -> bytes:
    return stage.encode() + b"\0"


def _unpack_tally(row: bytes) -> Tally:
    return {outcome: (count, size) for outcome, (count, size) in msgpack.unpackb(row).items()}
