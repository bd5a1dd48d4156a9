"""The LMDB file that takes one shard's payloads in one stage: ``batches/00017.lmdb``, ``hashes/00017.lmdb``.

Table ``payloads``: index (u32, big-endian) -> the payload, byte for byte.
Table ``marks``:    index (u32, big-endian) -> the mark that belongs to it (``Mark.pack``).

A payload and its mark are committed together, before the checkpoint hears of them. So after a crash the
marks that the checkpoint misses are read back from here, and nothing stored is made twice.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import lmdb

from .items import Result
from .store import Store

PAYLOADS = "payloads"
MARKS = "marks"
# Payloads read in one go between two yields: enough to be quick, little enough to hold in memory.
READ_AHEAD_BYTES = 4 << 20

_INDEX = struct.Struct(">I")


def shard_file(folder: Path, shard: int) -> Path:
    """Path of a shard's file in the folder of a stage."""
    return folder / f"{shard:05d}.lmdb"


class ShardFile:
    """One shard's payloads, open for its only writer (or, with ``readonly``, for anyone)."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._store = Store(path, (PAYLOADS, MARKS), readonly=readonly)

    def append(self, results: Iterable[Result]) -> None:
        """Commit payloads with their marks, durably and all or nothing."""
        rows = sorted((_INDEX.pack(r.key.index), r.payload or b"", r.mark.pack()) for r in results)
        store = self._store

        def change(txn: lmdb.Transaction) -> None:
            for index, payload, mark in rows:
                store.put(txn, PAYLOADS, index, payload)
                store.put(txn, MARKS, index, mark)

        store.write(change)

    def marks(self) -> dict[int, bytes]:
        """Every stored index with its packed mark."""
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, MARKS)
            return {} if cursor is None else {_INDEX.unpack(key)[0]: bytes(mark) for key, mark in cursor}

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
                block.append((index, bytes(payload)))
                room -= len(payload)
        return block, None

    def _blocks_of(self, wanted: list[int]) -> Iterator[list[tuple[int, bytes]]]:
        at = 0
        while at < len(wanted):
            block: list[tuple[int, bytes]] = []
            room = READ_AHEAD_BYTES
            with self._store.read() as txn:
                while at < len(wanted) and room > 0:
                    payload = self._store.get(txn, PAYLOADS, _INDEX.pack(wanted[at]))
                    if payload is not None:
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
