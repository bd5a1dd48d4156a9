"""The LMDB file that takes one shard's payloads in one stage: ``batches/00017.lmdb``, ``hashes/00017.lmdb``.

Table ``packs``:  number (u32, big-endian) -> payloads, byte for byte, one behind the other: see ``packs.py``.
Table ``labels``: index (u32, big-endian) -> where the payload is, its checksum, and its mark; sealed.

A payload and its label are committed together, before the checkpoint hears of them. So after a crash the
marks that the checkpoint misses are read back from here, and nothing stored is made twice. A payload that
does not match its checksum is never handed out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from .closing import Closing
from .files import leave_cache
from .items import Key, Mark, Result
from .packs import NUMBER, PACK_BYTES, PAGE, Pack, Place, cut_out, make_label, mark_in, place_in
from .seal import SealError
from .store import Store, Txn
from .wreck import Entry, Wreck

PACKS = "packs"
LABELS = "labels"
# Payloads read in one go between two yields: enough to be quick, little enough to hold in memory.
READ_AHEAD_BYTES = 1 << 18
LABELS_TOGETHER = 1024
# Longer values are not looked at as labels of a damaged file: a label is a few hundred bytes.
LONGEST_LABEL = 1 << 14
# So many bytes committed together stay in the page cache until the next: a job writes more than any memory
# holds, and would take the place of what others read. Writing into pages just given back is quicker, too.
LARGE_BYTES = 1 << 20
RESCUED_TOGETHER = 64

Labels = list[tuple[bytes, bytes]]
"""Index and label of several items."""

_LABEL = 256  # with its key, and the room that B-trees leave free


def shard_file(folder: Path, shard: int) -> Path:
    """Path of a shard's file in the folder of a stage."""
    return folder / f"{shard:05d}.lmdb"


def stored_size(payload: bytes) -> int:
    """At most how many bytes a payload takes in its file, with its label: a pack has pages of its own."""
    return len(payload) + _LABEL + min(len(payload) * PAGE // PACK_BYTES, PAGE)


class ShardFile(Closing):
    """One shard's payloads, open for its only writer (or, with ``readonly``, for anyone)."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._store = Store(path, (PACKS, LABELS), readonly=readonly)

    def append(self, results: Iterable[Result]) -> None:
        """Commit payloads with their marks, durably and all or nothing."""
        rows = [(NUMBER.pack(result.key.index), result.payload or b"", result.mark) for result in results]
        rows.sort(key=lambda row: (len(row[1]) >= PACK_BYTES, row[0]))  # the long ones not in between
        store = self._store

        def change(txn: Txn) -> None:
            pack = self._last_pack(txn)
            for index, payload, mark in rows:
                if not pack.takes(payload):
                    store.put(txn, PACKS, NUMBER.pack(pack.number), pack.joined())
                    pack = Pack(pack.number + 1)
                store.put(txn, LABELS, index, make_label(index, pack.add(index, payload), mark))
            store.put(txn, PACKS, NUMBER.pack(pack.number), pack.joined())

        if rows:
            end = store.path.stat().st_size
            store.write(change)
            if sum(len(payload) for _, payload, _ in rows) >= LARGE_BYTES:
                leave_cache(store.path, end)  # the next commit reads some of what this one has written

    def _last_pack(self, txn: Txn) -> Pack:
        """The last pack of the file, if it has room left; or else a new one."""
        cursor = self._store.cursor(txn, PACKS)
        if cursor is None or not cursor.last():
            return Pack(0)
        number, begun = NUMBER.unpack(cursor.key())[0], cursor.value()
        return Pack(number, begun) if len(begun) < PACK_BYTES else Pack(number + 1)

    def delete(self, indices: Iterable[int]) -> None:
        """Forget these payloads and their marks, durably and all or nothing. Their bytes stay in the file."""
        rows = [NUMBER.pack(index) for index in indices]
        store = self._store

        def change(txn: Txn) -> None:
            for index in rows:
                store.delete(txn, LABELS, index)

        store.write(change)

    def count(self) -> int:
        """How many payloads there are."""
        with self._store.read() as txn:
            return self._store.count(txn, LABELS)

    def indices(self) -> set[int]:
        """The index of every payload."""
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, LABELS)
            keys = () if cursor is None else cursor.iternext(values=False)
            return {NUMBER.unpack(key)[0] for key in keys}

    def marks(self) -> dict[int, Mark]:
        """Every stored index with its mark."""
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, LABELS)
            labels = () if cursor is None else cursor
            return {int.from_bytes(key, "big"): mark_in(key, label) for key, label in labels}

    def problem(self) -> str | None:
        """What is wrong with the labels, without a look at what they are of; None if nothing is."""
        self.marks()
        with self._store.views() as txn:
            packs, labels = (self._store.cursor(txn, table) or () for table in (PACKS, LABELS))
            sizes = {NUMBER.unpack(number)[0]: len(pack) for number, pack in packs}
            for index, label in labels:
                place = place_in(label)
                if place.offset + place.length > sizes.get(place.pack, 0):
                    return f"of what item {NUMBER.unpack(index)[0]} has, a part is missing"
        return None

    def stored(self, key: Key) -> Result | None:
        """One item as it was stored. Raises DamagedError if it is not whole."""
        index = NUMBER.pack(key.index)
        with self._store.views() as txn:
            label = self._store.get(txn, LABELS, index)
            if label is None:
                return None
            mark, place = mark_in(index, bytes(label)), place_in(label)
            return Result(key, mark, place.cut(index, self._store.get(txn, PACKS, NUMBER.pack(place.pack))))

    def payload(self, index: int, *, checked: bool = True) -> bytes | None:
        """One payload, or None; ``checked`` takes longer than to read it, and raises DamagedError."""
        key = NUMBER.pack(index)
        with self._store.views() as txn:
            label = self._store.get(txn, LABELS, key)
            if label is None:
                return None
            place = place_in(label)
            return place.cut(key, self._store.get(txn, PACKS, NUMBER.pack(place.pack)), checked=checked)

    def payloads(self, indices: Sequence[int] | None = None) -> Iterator[tuple[int, bytes]]:
        """(index, payload) of these indices, or of all, ascending. A missing index is left out."""
        for part in self._all_labels() if indices is None else self._labels_of(sorted(indices)):
            labels = iter(part)
            while block := self._read_ahead(labels):
                yield from block

    # In parts and blocks, because no transaction may be open at a yield: it would pin pages for as long as
    # it pleases. What a label tells stays true, as packs only grow.

    def _all_labels(self) -> Iterator[Labels]:
        start = b""
        while True:
            with self._store.read() as txn:
                cursor = self._store.cursor(txn, LABELS)
                found = cursor is not None and cursor.set_range(start)
                rows = islice(cursor or (), LABELS_TOGETHER if found else 0)
                part = list(rows)
            if not part:
                return
            yield part
            start = part[-1][0] + b"\0"

    def _labels_of(self, wanted: list[int]) -> Iterator[Labels]:
        for at in range(0, len(wanted), LABELS_TOGETHER):
            with self._store.read() as txn:
                keys = map(NUMBER.pack, wanted[at : at + LABELS_TOGETHER])
                rows = [(index, self._store.get(txn, LABELS, index)) for index in keys]
            yield [(index, label) for index, label in rows if label is not None]

    def _read_ahead(self, labels: Iterator[tuple[bytes, bytes]]) -> list[tuple[int, bytes]]:
        """Some payloads of those that these labels tell of; none when all were read."""
        with self._store.read() as txn:
            return cut_out(labels, partial(self._store.get, txn, PACKS), READ_AHEAD_BYTES)

    def close(self) -> None:
        self._store.close()


def rescue(damaged: Path, new: Path) -> None:
    """Write a new shard file with every payload of a damaged one that is whole."""
    with Wreck(damaged) as wreck, ShardFile(new) as file:
        found = _whole(wreck, int(new.stem))
        while part := list(islice(found, RESCUED_TOGETHER)):
            file.append(part)


def _whole(wreck: Wreck, shard: int) -> Iterator[Result]:
    """Payloads of which a label tells that they are whole."""
    labels, packs = _sort(wreck)
    for index in sorted(labels):
        found = (
            Result(Key(shard, *NUMBER.unpack(index)), mark_in(index, label), payload)
            # What was stored last is in the last pack.
            for place, label in sorted(labels[index].items(), reverse=True)
            for pack in packs[place.pack]
            for payload in _cut(wreck, index, place, pack)
        )
        yield from islice(found, 1)


def _cut(wreck: Wreck, index: bytes, place: Place, pack: Entry) -> Iterator[bytes]:
    """The payload from what may be its pack, if it is that."""
    with suppress(SealError):
        yield place._replace(offset=0).cut(index, wreck.read(pack.part(place.offset, place.length)))


def _sort(wreck: Wreck) -> tuple[dict[bytes, dict[Place, bytes]], dict[int, list[Entry]]]:
    """Index -> place -> label, and number of a pack -> where that may be."""
    labels: dict[bytes, dict[Place, bytes]] = defaultdict(dict)
    packs: dict[int, list[Entry]] = defaultdict(list)
    for entry in wreck.scan():
        if len(entry.key) == NUMBER.size:
            packs[NUMBER.unpack(entry.key)[0]].append(entry)
            if entry.length <= LONGEST_LABEL:
                label = wreck.read(entry)
                with suppress(SealError):
                    mark_in(entry.key, label)
                    labels[entry.key][place_in(label)] = label
    for entry in wreck.long_values():
        packs[int.from_bytes(wreck.read(entry.part(0, NUMBER.size)), "big")].append(entry)
    return labels, packs


def read_payloads(path: Path, indices: Sequence[int] | None = None) -> Iterator[tuple[int, bytes]]:
    """(index, payload) of a shard file, ascending; all of them when ``indices`` is None."""
    with ShardFile(path, readonly=True) as file:
        yield from file.payloads(indices)
