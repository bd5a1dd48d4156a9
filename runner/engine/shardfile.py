"""The LMDB file that takes one shard's payloads in one stage: ``batches/00017.lmdb``, ``hashes/00017.lmdb``.

Table ``payloads``: index (u32, big-endian) -> the payload, byte for byte.
Table ``marks``:    index (u32, big-endian) -> checksum of the payload, then its mark (``Mark.pack``).

A payload and its mark are committed together, before the checkpoint hears of them. So after a crash the
marks that the checkpoint misses are read back from here, and nothing stored is made twice. A payload that
does not match its checksum is never handed out.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import lmdb

from .items import Key, Mark, Result
from .seal import WIDTH, SealError, checksum
from .store import Store

PAYLOADS = "payloads"
MARKS = "marks"
# Payloads read in one go between two yields: enough to be quick, little enough to hold in memory.
READ_AHEAD_BYTES = 4 << 20

_INDEX = struct.Struct(">I")


def _label(result: Result) -> bytes:
    return checksum(result.payload or b"") + result.mark.pack()


def shard_file(folder: Path, shard: int) -> Path:
    """Path of a shard's file in the folder of a stage."""
    return folder / f"{shard:05d}.lmdb"


class ShardFile:
    """One shard's payloads, open for its only writer (or, with ``readonly``, for anyone)."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._store = Store(path, (PAYLOADS, MARKS), readonly=readonly)

    def append(self, results: Iterable[Result]) -> None:
        """Commit payloads with their marks, durably and all or nothing."""
        rows = sorted((_INDEX.pack(r.key.index), r.payload or b"", _label(r)) for r in results)
        store = self._store

        def change(txn: lmdb.Transaction) -> None:
            for index, payload, label in rows:
                store.put(txn, PAYLOADS, index, payload)
                store.put(txn, MARKS, index, label)

        store.write(change)

    def delete(self, indices: Iterable[int]) -> None:
        """Drop these payloads with their marks, durably and all or nothing."""
        rows = [_INDEX.pack(index) for index in indices]
        store = self._store

        def change(txn: lmdb.Transaction) -> None:
            for index in rows:
                store.delete(txn, PAYLOADS, index)
                store.delete(txn, MARKS, index)

        store.write(change)

    def count(self) -> int:
        """How many payloads there are."""
        with self._store.read() as txn:
            return self._store.count(txn, PAYLOADS)

    def indices(self) -> set[int]:
        """The index of every payload."""
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, PAYLOADS)
            keys = () if cursor is None else cursor.iternext(values=False)
            return {_INDEX.unpack(key)[0] for key in keys}

    def marks(self) -> dict[int, Mark]:
        """Every stored index with its mark."""
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, MARKS)
            labels = () if cursor is None else cursor
            return {_INDEX.unpack(key)[0]: Mark.unpack(bytes(label)[WIDTH:]) for key, label in labels}

    def stored(self, key: Key) -> Result | None:
        """One item as it was stored. Raises DamagedError if it is not whole."""
        index = _INDEX.pack(key.index)
        with self._store.read() as txn:
            payload = self._store.get(txn, PAYLOADS, index)
            if payload is None:
                return None
            label = self._checked(txn, index, payload)
            return Result(key, Mark.unpack(label[WIDTH:]), payload)

    def _checked(self, txn: lmdb.Transaction, index: bytes, payload: bytes) -> bytes:
        """The label of a payload, once they are known to belong together."""
        label = self._store.get(txn, MARKS, index) or b""
        if label[:WIDTH] != checksum(payload):
            raise SealError(f"what item {_INDEX.unpack(index)[0]} has is not what was stored")
        return label

    def payloads(self, indices: Sequence[int] | None = None) -> Iterator[tuple[int, bytes]]:
        """(index, payload) of these indices, or of all, ascending. A missing index is left out."""
        blocks = self._all_blocks() if indices is None else self._blocks_of(sorted(indices))
        for block in blocks:
            yield from block

    # In blocks, because no transaction may be open at a yield: it would pin pages for as long as it pleases.

    def _all_blocks(self) -> Iterator[list[tuple[int, bytes]]]:
        start: int | None = 0
        while start is not None:
            block, start = self._read_from(start)
            yield block

    def _read_from(self, start: int) -> tuple[list[tuple[int, bytes]], int | None]:
        """Payloads from an index on, and the index at which to go on."""
        block: list[tuple[int, bytes]] = []
        room = READ_AHEAD_BYTES
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, PAYLOADS)
            if cursor is None or not cursor.set_range(_INDEX.pack(start)):
                return block, None
            for key, payload in cursor:
                index = _INDEX.unpack(key)[0]
                if room <= 0:
                    return block, index
                payload = bytes(payload)
                self._checked(txn, bytes(key), payload)
                block.append((index, payload))
                room -= len(payload)
        return block, None

    def _blocks_of(self, wanted: list[int]) -> Iterator[list[tuple[int, bytes]]]:
        at = 0
        while at < len(wanted):
            block: list[tuple[int, bytes]] = []
            room = READ_AHEAD_BYTES
            with self._store.read() as txn:
                while at < len(wanted) and room > 0:
                    index = _INDEX.pack(wanted[at])
                    payload = self._store.get(txn, PAYLOADS, index)
                    if payload is not None:
                        self._checked(txn, index, payload)
                        block.append((wanted[at], payload))
                        room -= len(payload)
                    at += 1
            yield block

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_payloads(path: Path, indices: Sequence[int] | None = None) -> Iterator[tuple[int, bytes]]:
    """(index, payload) of a shard file, ascending; all of them when ``indices`` is None."""
    with ShardFile(path, readonly=True) as file:
        yield from file.payloads(indices)
