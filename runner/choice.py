"""Which images stand for which: the decisions behind dedup, on arrays, from hashes/ alone.

Everything here is a function of the set of hashed images, the selection and the images frozen before; the
order in which the hashes were made or are read plays no part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .engine.shardfile import read_payloads, shard_file
from .engine.soundness import check_readable
from .export_options import Filters, Selection
from .fingerprint import RECORD_FIELDS
from .hamming import Hashes, leaders
from .paircache import POSITION, PairCache, Positions

# The pHash of a photograph has exactly half of its bits set; ties at the median, that is a flat, striped or
# symmetric picture, give any other number. All solid colours but black share one pHash.
PHOTO_BITS = 32
# Below either of these a picture has so little detail that different ones share a pHash: of single lines of
# text on white 3 % of the pairs do. Photographs have been seen to have at least 11 and 58.
MIN_CONTRAST = 10.0
MIN_LEVELS = 48

RECORD = np.dtype(RECORD_FIELDS)
# What is kept of each: type and shape.
COLUMNS: dict[str, tuple[type, tuple[int, ...]]] = {
    "key": (np.uint64, ()),
    "pixels": (np.int32, ()),
    "sha256": (np.uint64, (4,)),
    "phash": (np.uint64, ()),
    "photo": (np.bool_, ()),
}

Mask = npt.NDArray[np.bool_]
# A sha256 in each row: four words in the order of the bytes.
Sums = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Images:
    """Columns, one row for each image that passed the filters.

    ``key``     shard << 32 | index
    ``pixels``  as displayed
    ``photo``   neither flat nor of little detail: its pHash says something
    """

    key: npt.NDArray[np.uint64]
    pixels: npt.NDArray[np.int32]
    phash: Hashes
    photo: Mask

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class Choice:
    """The outcome: image ``i`` is stood for by image ``leader[i]``, by itself if it is kept.

    ``by_phash`` and ``by_sha256`` are the first image of each distinct pHash or sha256 that was compared,
    in ascending order of that hash; ``sha256`` are those of ``by_sha256``.
    """

    images: Images
    leader: Positions
    by_phash: Positions
    by_sha256: Positions
    sha256: Sums

    @property
    def kept(self) -> Mask:
        return np.equal(self.leader, np.arange(len(self.leader)))


def decide(
    hashes: Path,
    shards: Sequence[int],
    selection: Selection,
    frozen: npt.NDArray[np.uint64],
    cache: PairCache | None = None,
) -> tuple[Choice, dict[str, int]]:
    """Choose among the images of these shards that pass the filters, those whose keys are ``frozen`` first.

    The canonical order is most displayed pixels, then lowest key. The ``cache`` keeps what is found on the
    way. Returns the choice, and how many images each filter left out (the first that applies).
    """
    images, sums, filtered = _load(hashes, shards, selection.filters)
    everyone = np.arange(len(images), dtype=POSITION)
    nobody = everyone[:0]
    if selection.dedup == "none":
        return Choice(images, everyone, nobody, nobody, sums[:0].copy()), filtered
    walk = np.lexsort((images.key, -images.pixels, ~np.isin(images.key, frozen))).astype(POSITION)
    same, by_sha256 = _first_of_equal(walk, [sums[:, word] for word in range(4)])
    if selection.dedup != "bytes":
        by_sha256 = by_sha256[~images.photo[by_sha256]]
    sums = sums[by_sha256]  # the others have done their work, and weigh more than all that follows
    leader, by_phash = same, nobody
    if selection.dedup != "bytes":
        leader, by_phash = _look(images, selection, walk, same, cache)
    return Choice(images, leader, by_phash, by_sha256, sums), filtered


def _load(hashes: Path, shards: Sequence[int], filters: Filters) -> tuple[Images, Sums, dict[str, int]]:
    # Where there is no file, nothing of the shard was stored.
    files = {shard: path for shard in shards if (path := shard_file(hashes, shard)).exists()}
    # More than there are. The pages that stay untouched cost nothing, and parts to be joined in the end would
    # cost everything twice: the small pieces of memory that they are do not go back to the system.
    room = sum(path.stat().st_size for path in files.values()) // RECORD.itemsize
    columns: dict[str, npt.NDArray[Any]] = {
        name: np.empty((room, *shape), dtype) for name, (dtype, shape) in COLUMNS.items()
    }
    dropped = dict.fromkeys(filters.limits(), 0)
    count = 0
    for shard, path in files.items():
        check_readable(path)
        keys, records = _read(path, shard)
        passing = _filter(records, filters, dropped)
        part = slice(count, count + int(np.count_nonzero(passing)))
        for name, values in _columns(keys[passing], records[passing]).items():
            columns[name][part] = values
        count = part.stop
    columns = {name: column[:count] for name, column in columns.items()}
    sums = columns.pop("sha256")
    return Images(**columns), sums, dropped


def _read(path: Path, shard: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.void]]:
    rows = dict(read_payloads(path))
    indices = np.fromiter(rows, dtype=np.uint64, count=len(rows))
    return indices | np.uint64(shard << 32), np.frombuffer(b"".join(rows.values()), dtype=RECORD)


def _filter(records: npt.NDArray[np.void], filters: Filters, dropped: dict[str, int]) -> Mask:
    passing = np.ones(len(records), dtype=np.bool_)
    for name, fail in _failing(records, filters):
        dropped[name] += int(np.count_nonzero(passing & fail))
        passing &= ~fail
    return passing


def _failing(records: npt.NDArray[np.void], filters: Filters) -> Iterator[tuple[str, Mask]]:
    """Each filter that is set, with the images that do not pass it."""
    width, height, size = (records[name].astype(np.int64) for name in ("width", "height", "size"))
    short, long, area = np.minimum(width, height), np.maximum(width, height), width * height
    at_least = {"min_side": short, "min_area": area, "min_bytes": size}
    at_most = {"max_side": long, "max_area": area, "max_aspect": long / short, "max_bytes": size}
    for name, limit in filters.limits().items():
        if name in at_least:
            yield name, at_least[name] < limit
        elif name in at_most:
            yield name, at_most[name] > limit
        else:
            yield name, ~np.isin(records["format"], [kind.upper().encode() for kind in limit])


def _columns(keys: npt.NDArray[np.uint64], records: npt.NDArray[np.void]) -> dict[str, npt.NDArray[Any]]:
    phash = records["phash"].astype(np.uint64)
    return {
        "key": keys,
        "pixels": records["width"] * records["height"],
        "sha256": records["sha256"],
        "phash": phash,
        "photo": (np.bitwise_count(phash) == PHOTO_BITS)
        & (records["contrast"] >= MIN_CONTRAST)
        & (records["levels"] >= MIN_LEVELS),
    }


def _look(
    images: Images, selection: Selection, walk: Positions, same: Positions, cache: PairCache | None
) -> tuple[Positions, Positions]:
    """Leaders by look, on top of those of the ``same`` bytes; and the first image of each pHash."""
    photos = walk[(same[walk] == walk) & images.photo[walk]]
    alike, by_phash = _first_of_equal(photos, [images.phash])
    if selection.dedup == "near":
        alike = _stars(images, photos[alike[photos] == photos], selection.near, cache)[alike]
    return alike[same], by_phash


def _first_of_equal(walk: Positions, words: list[Hashes]) -> tuple[Positions, Positions]:
    """Group the images in ``walk`` by equal words, each group led by its first in the walk.

    Returns the leader of every image (of those not in the walk: itself), and the leaders in ascending order
    of the words.
    """
    leader = np.arange(len(words[0]), dtype=POSITION)
    if not len(walk):
        return leader, walk
    ascending = _ascending(walk, words)
    changes = np.zeros(len(walk), dtype=np.bool_)
    changes[0] = True
    for word in words:
        column = word[ascending]
        changes[1:] |= column[1:] != column[:-1]
    firsts = ascending[changes]
    leader[ascending] = np.repeat(firsts, np.diff(np.flatnonzero(np.append(changes, True))))
    return leader, firsts


def _ascending(walk: Positions, words: list[Hashes]) -> Positions:
    """The images of the walk sorted by their words; those with equal words keep their order."""
    ascending = walk[np.argsort(words[0][walk], kind="stable")]
    before, after = ascending[:-1], ascending[1:]
    tied = words[0][before] == words[0][after]
    before, after = before[tied], after[tied]
    # One sort instead of four, since sha256 sums that begin with the same word are the same.
    if all(np.array_equal(word[before], word[after]) for word in words[1:]):
        return ascending
    return walk[np.lexsort([word[walk] for word in reversed(words)])]


def _stars(images: Images, walk: Positions, radius: int, cache: PairCache | None) -> Positions:
    """Leaders among images of distinct pHash, given in the order in which they are walked."""
    # Ties go by the canonical order, not by what was frozen: so that freezing what was kept, and choosing
    # again, gives the same answer.
    rank = np.empty(len(walk), dtype=POSITION)
    rank[np.lexsort((images.key[walk], -images.pixels[walk]))] = np.arange(len(walk))
    leader = np.arange(len(images), dtype=POSITION)
    # Half of the bits of each of these hashes are set, so their distances are even.
    leader[walk] = walk[leaders(images.phash[walk], rank, radius // 2 * 2, cache)]
    return leader
