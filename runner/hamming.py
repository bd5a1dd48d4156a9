"""Which 64-bit hashes lie within a Hamming distance of each other: exact, over sorted arrays, no index.

Pigeonhole: cut the 64 bits into B blocks. Two hashes that differ in at most R bits agree on at least B - R
whole blocks. So for each choice of B - R blocks, sort by just these bits: candidates stand side by side,
in runs of equal bits. No pair is lost, and a pair is reported only by the first choice that finds it.

Real hashes are not uniform. Bits are dealt to the blocks by how much they vary, and a run that is long
nevertheless is searched by its remaining bits in the same way.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise

import numpy as np
import numpy.typing as npt

from .export_options import MAX_RADIUS
from .paircache import POSITION, PairCache, Pairs, Positions

Hashes = npt.NDArray[np.uint64]

# Runs up to this length are compared each with each, longer ones are searched.
LONG_RUN = 1024
# Rows compared at a time, roughly: bounds the memory of a scan.
SCAN_ROWS = 1 << 19
# The bits of so many hashes tell how much each bit varies.
SAMPLE = 1 << 16
# Costs that choose the number of blocks, in nanoseconds: of a choice of blocks, a row in it, a pair compared.
CHOICE_COST = 100_000.0
ROW_COST = 170.0
PAIR_COST = 12.0
# More pairs than one per hash and this many on top are not held in memory, see ``leaders``.
PAIRS_ALLOWED = 1 << 20


def near_pairs(hashes: Hashes, radius: int, cache: PairCache | None = None) -> Iterator[Pairs]:
    """Every pair of positions i < j whose hashes differ in at most ``radius`` bits, once, in any order.

    The hashes must be distinct; ``radius`` is 0 to ``MAX_RADIUS``. Tables in the ``cache`` are not searched.
    """
    rows = np.arange(len(hashes), dtype=POSITION)
    given = hashlib.sha256(hashes.tobytes()).digest() if cache else b""
    for bits, table in _Search(hashes, hashes, radius).tables(rows, rows):
        for left, right in cache.keep(given + bits, table) if cache else table:
            yield np.minimum(left, right), np.maximum(left, right)


def near_matches(hashes: Hashes, others: Hashes, radius: int) -> Iterator[Pairs]:
    """Every pair (position in ``hashes``, position in ``others``) within ``radius`` bits, once."""
    rows, there = np.arange(len(hashes), dtype=POSITION), np.arange(len(others), dtype=POSITION)
    return _Search(hashes, others, radius).pairs(rows, there)


def leaders(hashes: Hashes, rank: Positions, radius: int, cache: PairCache | None = None) -> Positions:
    """Star selection: for each hash the position of the kept hash that stands for it, itself if it is kept.

    The hashes are walked in the order given, and one is kept if no kept hash lies within ``radius``. Those
    not kept get the nearest that is kept, among equally near ones that of lowest ``rank``.
    """
    pairs = _collect(near_pairs(hashes, radius, cache), limit=len(hashes) + PAIRS_ALLOWED)
    if pairs is None:
        return _crowded_leaders(hashes, rank, radius)
    kept = _walk(len(hashes), pairs)
    early, late = pairs
    from_early, from_late = kept[late] & ~kept[early], kept[early] & ~kept[late]
    to_kept = (
        np.concatenate((early[from_early], late[from_late])),
        np.concatenate((late[from_early], early[from_late])),
    )
    return _nearest(hashes, rank, [to_kept])


def _crowded_leaders(hashes: Hashes, rank: Positions, radius: int) -> Positions:
    """The same where so many hashes crowd together that the pairs among all of them do not fit in memory.

    The first eighth is settled alone; what lies near one that it keeps is dropped without ever being
    compared with the rest of the crowd. The kept are few in any crowd, since they keep apart.
    """
    head = len(hashes) // 8
    kept = _is_leader(hashes[:head], radius)
    tail = hashes[head:]
    free = np.ones(len(tail), dtype=np.bool_)
    for near, _ in near_matches(tail, hashes[:head][kept], radius):
        free[near] = False
    late = np.flatnonzero(free)
    chosen = np.concatenate((np.flatnonzero(kept), head + late[_is_leader(tail[late], radius)]))
    dropped = np.setdiff1d(np.arange(len(hashes)), chosen)
    matches = near_matches(hashes[dropped], hashes[chosen], radius)
    return _nearest(hashes, rank, ((dropped[one], chosen[other]) for one, other in matches))


def _is_leader(hashes: Hashes, radius: int) -> npt.NDArray[np.bool_]:
    positions = np.arange(len(hashes))
    return np.equal(leaders(hashes, positions, radius), positions)


def _collect(chunks: Iterable[Pairs], limit: int) -> Pairs | None:
    early, late, count = [], [], 0
    for one, other in chunks:
        count += len(one)
        if count > limit:
            return None
        early.append(one)
        late.append(other)
    if not early:
        return np.empty(0, dtype=POSITION), np.empty(0, dtype=POSITION)
    return np.concatenate(early), np.concatenate(late)


def _walk(count: int, pairs: Pairs) -> npt.NDArray[np.bool_]:
    early, late = pairs
    order = np.argsort(late)
    kept = bytearray(b"\1") * count
    # By the later of a pair: when its turn comes, all that decides about the earlier one has been seen.
    for start in range(0, len(order), SCAN_ROWS):
        part = order[start : start + SCAN_ROWS]
        for one, other in zip(early[part].tolist(), late[part].tolist(), strict=True):
            if kept[one]:
                kept[other] = 0
    return np.frombuffer(kept, dtype=np.bool_)


def _nearest(hashes: Hashes, rank: Positions, to_kept: Iterable[Pairs]) -> Positions:
    """For each hash the best of its kept ones: by distance, then by rank; itself where it has none."""
    by_rank = np.argsort(rank)
    best = np.full(len(hashes), np.iinfo(np.int64).max)
    for one, kept in to_kept:
        distance = np.bitwise_count(hashes[one] ^ hashes[kept]).astype(np.int64)
        np.minimum.at(best, one, distance << 32 | rank[kept])
    dropped = best < np.iinfo(np.int64).max
    leader = np.arange(len(hashes), dtype=POSITION)
    leader[dropped] = by_rank[best[dropped] & 0xFFFFFFFF]
    return leader


@dataclass(frozen=True)
class _Runs:
    """Rows start:end of the left side agree in the chosen bits with rows low:high of the right side."""

    start: Positions
    end: Positions
    low: Positions
    high: Positions


class _Search:
    """Compare ``left`` with ``right``; the same array for both compares a set with itself."""

    def __init__(self, left: Hashes, right: Hashes, radius: int) -> None:
        if not 0 <= radius <= MAX_RADIUS:
            raise ValueError(f"radius {radius} is not within 0 and {MAX_RADIUS}")
        self._left = left
        self._right = right
        self._radius = radius

    def pairs(self, rows: Positions, others: Positions) -> Iterator[Pairs]:
        """Pairs among these positions of either side; the very same array compares a set with itself."""
        for _, table in self.tables(rows, others):
            yield from table

    def tables(self, rows: Positions, others: Positions) -> Iterator[tuple[bytes, Iterator[Pairs]]]:
        """The same in parts, one for each choice of blocks, with what tells such a part from any other."""
        if not len(rows) or not len(others):
            return
        blocks = self._blocks(rows, others)
        for chosen in combinations(range(len(blocks)), len(blocks) - self._radius):
            mask = np.bitwise_or.reduce(blocks[list(chosen)], dtype=np.uint64)
            # A pair that agrees in one of these too belongs to an earlier choice.
            skipped = [blocks[block] for block in range(max(chosen, default=0)) if block not in chosen]
            bits = np.array([self._radius, mask, *skipped], dtype=np.uint64)
            yield bits.tobytes(), self._table(rows, others, mask, skipped)

    def _table(
        self, rows: Positions, others: Positions, mask: np.uint64, skipped: list[np.uint64]
    ) -> Iterator[Pairs]:
        for left, right in self._agreeing(rows, others, mask):
            differing = self._left[left] ^ self._right[right]
            own = np.ones(len(left), dtype=np.bool_)
            for block in skipped:
                own &= (differing & block) != 0
            yield left[own], right[own]

    def _blocks(self, rows: Positions, others: Positions) -> Hashes:
        """The bits in blocks, as masks: the most varying bits dealt out first, one to each block in turn."""
        entropy = _entropy(np.concatenate((_sample(self._left[rows]), _sample(self._right[others]))))
        sorted_rows = len(rows) if rows is others else len(rows) + len(others)
        count = _block_count(len(rows) * len(others) / 2, sorted_rows, entropy, self._radius)
        blocks = np.zeros(count, dtype=np.uint64)
        for turn, bit in enumerate(np.argsort(-entropy, kind="stable")):
            blocks[turn % count] |= np.uint64(1) << np.uint64(bit)
        return blocks

    def _agreeing(self, rows: Positions, others: Positions, mask: np.uint64) -> Iterator[Pairs]:
        """The near pairs among those that agree in all bits of the mask."""
        itself = rows is others
        rows = rows[_order(self._left[rows], mask)]
        others = rows if itself else others[_order(self._right[others], mask)]
        runs = self._runs(rows, others, mask)
        long = runs.high - runs.low > LONG_RUN
        for run in np.flatnonzero(long):
            left = rows[runs.start[run] : runs.end[run]]
            right = left if itself else others[runs.low[run] : runs.high[run]]
            if len(left) == len(rows) and len(right) == len(others):
                yield from self._compare_all(left, right, itself)  # these bits tell nothing apart
            else:
                yield from self.pairs(left, right)
        yield from self._scan(rows, others, runs, ~long)

    def _runs(self, rows: Positions, others: Positions, mask: np.uint64) -> _Runs:
        bits = self._left[rows] & mask
        start = np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1])))
        end = np.append(start[1:], len(rows))
        if rows is others:
            return _Runs(start, end, start, end)
        there = self._right[others] & mask
        return _Runs(
            start, end, np.searchsorted(there, bits[start]), np.searchsorted(there, bits[start], "right")
        )

    def _scan(
        self, rows: Positions, others: Positions, runs: _Runs, chosen: npt.NDArray[np.bool_]
    ) -> Iterator[Pairs]:
        """Compare each row with its run, many rows at once, one step along the run at a time."""
        mine = self._left[rows]
        theirs = mine if rows is others else self._right[others]
        cuts = np.searchsorted(runs.start, np.arange(0, len(rows), SCAN_ROWS)).tolist()
        # Not np.unique: it loads numpy.ma, which takes longer than to search a small job.
        for first, last in pairwise(sorted({*cuts, len(runs.start)})):
            part = slice(first, last)
            sizes = runs.end[part] - runs.start[part]
            row = np.arange(runs.start[first], runs.end[last - 1])
            stop = np.repeat(np.where(chosen[part], runs.high[part], 0), sizes)
            # Within one set a row meets only those after it, so that each pair comes once.
            at = row + 1 if rows is others else np.repeat(runs.low[part], sizes)
            active = np.flatnonzero(at < stop)
            for near, match in self._step(mine[row[active]], theirs, at[active], stop[active]):
                yield rows[row[active[near]]], others[match]

    def _step(self, values: Hashes, theirs: Hashes, at: Positions, stop: Positions) -> Iterator[Pairs]:
        """Compare each value with theirs from ``at`` to ``stop``: (place in values, place in theirs)."""
        place = np.arange(len(values))
        while len(values):
            near = _within(values, theirs[at], self._radius)
            yield place[near], at[near]
            at = at + 1
            going = at < stop
            place, values, at, stop = place[going], values[going], at[going], stop[going]

    def _compare_all(self, rows: Positions, others: Positions, itself: bool) -> Iterator[Pairs]:
        for place, row in enumerate(rows):
            rest = others[place + 1 :] if itself else others
            near = rest[_within(self._left[row], self._right[rest], self._radius)]
            yield np.full(len(near), row), near


def _within(one: Hashes | np.uint64, other: Hashes, radius: int) -> npt.NDArray[np.bool_]:
    """The one place where hashes are compared, one with one."""
    near: npt.NDArray[np.bool_] = np.bitwise_count(one ^ other) <= radius
    return near


def _order(hashes: Hashes, mask: np.uint64) -> Positions:
    """Positions of the hashes, ascending by their bits of the mask.

    A radix sort: half of the time of numpy's sort of 64 bits, since a choice of blocks is 20 to 40 bits.
    """
    order: Positions = np.arange(len(hashes))
    for word in _words(hashes, mask):
        order = order[np.argsort(word[order], kind="stable")]
    return order


def _words(hashes: Hashes, mask: np.uint64) -> Iterator[npt.NDArray[np.uint16]]:
    """The bits of the mask, gathered into as few words of 16 as there need be, the lowest first."""
    octets = hashes.astype("<u8").view(np.uint8).reshape(-1, 8)
    every_octet = np.arange(256)
    bits = [bit for bit in range(64) if int(mask) >> bit & 1]
    for start in range(0, len(bits), 16):
        word = np.zeros(len(hashes), dtype=np.uint16)
        for octet, places in groupby(enumerate(bits[start : start + 16]), lambda each: each[1] // 8):
            gathered = sum((every_octet >> bit % 8 & 1) << place for place, bit in places)
            word |= np.asarray(gathered, dtype=np.uint16)[octets[:, octet]]
        yield word


def _sample(hashes: Hashes) -> Hashes:
    return hashes[:: max(1, len(hashes) // SAMPLE)]


def _entropy(hashes: Hashes) -> npt.NDArray[np.float64]:
    """How much each of the 64 bits varies, 0 to 1, the lowest bit first."""
    octets = hashes.astype("<u8").view(np.uint8).reshape(-1, 8)
    ones = np.unpackbits(octets, axis=1, bitorder="little").mean(axis=0).clip(1e-12, 1 - 1e-12)
    entropy: npt.NDArray[np.float64] = -(ones * np.log2(ones) + (1 - ones) * np.log2(1 - ones))
    return entropy


def _block_count(pairs: float, rows: int, entropy: npt.NDArray[np.float64], radius: int) -> int:
    """The number of blocks that makes the search cheapest; with ``radius`` blocks all pairs are compared."""

    def cost(blocks: int) -> float:
        chosen = blocks - radius
        if not chosen:
            return pairs * PAIR_COST
        agreeing = pairs / math.pow(2.0, float(entropy.sum()) * chosen / blocks)
        return math.comb(blocks, radius) * (CHOICE_COST + rows * ROW_COST + agreeing * PAIR_COST)

    return min(range(max(radius, 1), radius + 6), key=cost)
