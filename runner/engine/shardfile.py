"""The LMDB file that takes one shard's payloads in one stage: ``batches/00017.lmdb``, ``hashes/00017.lmdb``.

Table ``payloads``: index (u32, big-endian) -> the payload, byte for byte.
Table ``marks``:    index (u32, big-endian) -> its label: checksum of the payload, then the mark, sealed.

A payload and its mark are committed together, before the checkpoint hears of them. So after a crash the
marks that the checkpoint misses are read back from here, and nothing stored is made twice. A payload that
does not match its checksum is never handed out.
"""

import math
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import lmdb

from .closing import Closing
from .items import Key, Mark, Result
from .seal import WIDTH, SealError, checksum, seal, unseal
from .store import Store
from .wreck import Entry, Wreck

PAYLOADS = "payloads"
MARKS = "marks"
# Payloads read in one go between two yields: enough to be quick, little enough to hold in memory.
READ_AHEAD_BYTES = 1 << 18
# Longer values are not looked at as labels of a damaged file: a mark is a few hundred bytes.
LONGEST_LABEL = 1 << 14
RESCUED_TOGETHER = 64

_INDEX = struct.Struct(">I")
_PAGE = 4096
_PAGE_HEAD = 16
_ENTRY = 256  # key, label, and room that B-trees leave free


def shard_file(folder: Path, shard: int) -> Path:
    """Path of a shard's file in the folder of a stage."""
    return folder / f"{shard:05d}.lmdb"


def stored_size(payload: bytes) -> int:
    """About how many bytes a payload takes in its file, with its mark: a long one has pages of its own."""
    size = len(payload)
    if size > _PAGE // 2:
        size = math.ceil((size + _PAGE_HEAD) / _PAGE) * _PAGE
    return size + _ENTRY


class ShardFile(Closing):
    """One shard's payloads, open for its only writer (or, with ``readonly``, for anyone)."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._store = Store(path, (PAYLOADS, MARKS), readonly=readonly)

    def append(self, results: Iterable[Result]) -> None:
        """Commit payloads with their marks, durably and all or nothing."""
        rows = sorted(_row(result) for result in results)
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
            return {_INDEX.unpack(key)[0]: _mark(bytes(key), bytes(label)) for key, label in labels}

    def stored(self, key: Key) -> Result | None:
        """One item as it was stored. Raises DamagedError if it is not whole."""
        index = _INDEX.pack(key.index)
        with self._store.read() as txn:
            payload = self._store.get(txn, PAYLOADS, index)
            if payload is None:
                return None
            label = self._checked(txn, index, payload)
            return Result(key, _mark(index, label), payload)

    def payload(self, index: int, *, checked: bool = True) -> bytes | None:
        """One payload, or None; ``checked`` takes longer than to read it, and raises DamagedError."""
        key = _INDEX.pack(index)
        with self._store.read() as txn:
            payload = self._store.get(txn, PAYLOADS, key)
            if checked and payload is not None:
                self._checked(txn, key, payload)
            return payload

    def _checked(self, txn: lmdb.Transaction, index: bytes, payload: bytes) -> bytes:
        """The label of a payload, once they are known to belong together."""
        label = self._store.get(txn, MARKS, index) or b""
        if label[:WIDTH] != checksum(index, payload):
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


def _row(result: Result) -> tuple[bytes, bytes, bytes]:
    """Index, payload and label as they are stored."""
    index, payload = _INDEX.pack(result.key.index), result.payload or b""
    return index, payload, checksum(index, payload) + seal(index, result.mark.pack())


def _mark(index: bytes, label: bytes) -> Mark:
    return Mark.unpack(unseal(index, label[WIDTH:]))


def rescue(damaged: Path, new: Path) -> None:
    """Write a new shard file with every payload of a damaged one that is whole."""
    with Wreck(damaged) as wreck, ShardFile(new) as file:
        found = _whole(wreck, int(new.stem))
        while part := list(islice(found, RESCUED_TOGETHER)):
            file.append(part)


def _whole(wreck: Wreck, shard: int) -> Iterator[Result]:
    """Payloads with the labels that their checksums tell to be theirs."""
    labels, payloads = _sort(wreck)
    for index in sorted(payloads.keys() & labels.keys()):
        for entry in payloads[index]:
            payload = wreck.read(entry)
            label = labels[index].get(checksum(index, payload))
            if label:
                yield Result(Key(shard, *_INDEX.unpack(index)), _mark(index, label), payload)


def _sort(wreck: Wreck) -> tuple[dict[bytes, dict[bytes, bytes]], dict[bytes, list[Entry]]]:
    """Index -> checksum -> label, and index -> where what may be its payload is."""
    labels: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
    payloads: dict[bytes, list[Entry]] = defaultdict(list)
    for entry in wreck.scan():
        if len(entry.key) == _INDEX.size:
            payloads[entry.key].append(entry)
            if entry.length <= LONGEST_LABEL:
                label = wreck.read(entry)
                with suppress(SealError):
                    _mark(entry.key, label)
                    labels[entry.key][label[:WIDTH]] = label
    return labels, payloads


def read_payloads(path: Path, indices: Sequence[int] | None = None) -> Iterator[tuple[int, bytes]]:
    """(index, payload) of a shard file, ascending; all of them when ``indices`` is None."""
    with ShardFile(path, readonly=True) as file:
        yield from file.payloads(indices)
