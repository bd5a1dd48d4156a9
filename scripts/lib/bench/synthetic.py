"""Made-up hash records: as many as wanted, a million in some seconds, and as alike as those of a crawl."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runner.choice import RECORD
from runner.engine.items import DONE, Key, Mark, Result
from runner.engine.shardfile import ShardFile, shard_file

SHARD_SIZE = 10_000
DUPLICATES = 0.3  # of all records: as many at a distance of 0, 2 and 4 bits from one of the others
BLOCK = 100_000

Hashes = npt.NDArray[np.uint64]


def ensure_hashes(folder: Path, count: int) -> Path:
    """A folder like a job's ``hashes/`` with so many records, made now if it is not there."""
    hashes = folder / f"hashes-{count}"
    if hashes.is_dir():
        return hashes
    print(f"Making {count:,} hash records in {hashes} (once) ...", flush=True)
    unfinished = hashes.with_suffix(".unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    phash = _hashes(rng, count)
    for shard, start in enumerate(range(0, count, SHARD_SIZE)):
        path = shard_file(unfinished, shard)
        path.unlink(missing_ok=True)
        rows = _records(rng, phash[start : start + SHARD_SIZE])
        with ShardFile(path) as file:
            file.append(Result(Key(shard, i), Mark(DONE), row.tobytes()) for i, row in enumerate(rows))
    return unfinished.rename(hashes)


def write_phashes(folder: Path, count: int) -> Path:
    """The pHashes of as many records in a file, one a line, for tools that cannot read a job."""
    file = folder / f"hashes-{count}.txt"
    rng = np.random.default_rng(count)
    file.write_text("".join(f"{phash:016x}\n" for phash in _hashes(rng, count).tolist()))
    return file


def _records(rng: np.random.Generator, phash: Hashes) -> npt.NDArray[np.void]:
    """What the hash pass would have found, around these pHashes."""
    count = len(phash)
    records = np.zeros(count, dtype=RECORD)
    records["phash"] = phash
    records["sha256"] = rng.integers(0, 2**64, (count, 4), dtype=np.uint64)
    records["width"] = rng.integers(90, 2000, count)
    records["height"] = rng.integers(120, 2000, count)
    records["contrast"] = np.where(rng.random(count) < 0.02, 5, 40)
    records["levels"], records["orientation"], records["size"] = 200, 1, 75_000
    records["format"], records["mode"] = b"JPEG", b"RGB"
    return records


def _hashes(rng: np.random.Generator, count: int) -> Hashes:
    """In any order; half of the bits of each are set, as in the hash of a photograph."""
    originals = np.concatenate(list(_random(rng, count - round(count * DUPLICATES))))
    copied = rng.choice(originals, count - len(originals))
    parts = 3 * max(10, len(copied) // BLOCK)
    swapped = [_swap(rng, part, k % 3) for k, part in enumerate(np.array_split(copied, parts))]
    return rng.permutation(np.concatenate([originals, *swapped]))


def _random(rng: np.random.Generator, count: int) -> Iterator[Hashes]:
    half = np.repeat(np.array([0, 1], dtype=np.uint8), 32)
    for start in range(0, count, BLOCK):
        rows = np.broadcast_to(half, (min(BLOCK, count - start), 64))
        yield _packed(rng.permuted(rows, axis=1))


def _swap(rng: np.random.Generator, hashes: Hashes, swaps: int) -> Hashes:
    """So many set bits cleared and as many cleared ones set: at twice that distance."""
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    order = rng.permuted(np.broadcast_to(np.arange(64), bits.shape), axis=1)
    rank = np.take_along_axis(bits, order, axis=1)
    for value in (0, 1):
        first = np.argsort(rank != value, axis=1, kind="stable")[:, :swaps]
        np.put_along_axis(bits, np.take_along_axis(order, first, axis=1), np.uint8(1 - value), axis=1)
    return _packed(bits)


def _packed(bits: npt.NDArray[np.uint8]) -> Hashes:
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u8")[:, 0].astype(np.uint64)
