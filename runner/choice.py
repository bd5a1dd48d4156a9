"""Which images stand for which: the decisions behind dedup, on arrays, from hashes/ alone.

Everything here is a function of the set of hashed images, the selection and the images frozen before; the
order in which the hashes were made or are read plays no part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from .engine.shardfile import read_payloads, shard_file
from .engine.soundness import check_pages
from .errors import UsageError
from .hamming import MAX_RADIUS, POSITION, Hashes, Positions, leaders
from .hashing import RECORD

# The pHash of a photograph has exactly half of its bits set; ties at the median, that is a flat, striped or
# symmetric picture, give any other number. All solid colours but black share one pHash.
PHOTO_BITS = 32
# Below either of these a picture has so little detail that different ones share a pHash: of single lines of
# text on white 3 % of the pairs do. Photographs have been seen to have at least 11 and 58.
MIN_CONTRAST = 10.0
MIN_LEVELS = 48

Mask = npt.NDArray[np.bool_]
Policy = Literal["near", "phash", "bytes", "none"]


@dataclass(frozen=True)
class Filters:
    """What is left out before anything is chosen, by pixels as displayed; None is no limit.

    ``min_side`` the shorter side at least; ``max_aspect`` longer by shorter side and ``max_area`` width
    times height at most.
    """

    min_side: int = 100
    max_aspect: float | None = None
    max_area: int | None = None


@dataclass(frozen=True)
class Selection:
    """What counts as a duplicate, among the images that pass the filters.

    ``bytes``  equal bytes
    ``phash``  equal bytes, or equal pHash
    ``near``   equal bytes, or a pHash within ``near`` bits of the representative's
    ``none``   nothing

    Flat pictures and those of little detail are duplicates by equal bytes only, under every policy: a pHash
    does not tell them apart. Raises UsageError for a policy or a radius that does not exist.
    """

    dedup: Policy = "near"
    near: int = 4
    filters: Filters = field(default_factory=Filters)

    def __post_init__(self) -> None:
        if self.dedup not in ("near", "phash", "bytes", "none"):
            raise UsageError(f"No dedup policy is called {self.dedup!r}: choose near, phash, bytes or none.")
        if not 0 <= self.near <= MAX_RADIUS:
            raise UsageError(
                f"The radius must be 0 to {MAX_RADIUS}, not {self.near}: beyond, strangers meet."
            )


@dataclass(frozen=True)
class Images:
    """Columns, one row for each image that passed the filters.

    ``key``     shard << 32 | index
    ``pixels``  as displayed
    ``sha256``  four words in the order of the bytes
    ``photo``   neither flat nor of little detail: its pHash says something
    """

    key: npt.NDArray[np.uint64]
    pixels: npt.NDArray[np.int32]
    sha256: npt.NDArray[np.uint64]
    phash: Hashes
    photo: Mask

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class Choice:
    """The outcome: image ``i`` is stood for by image ``leader[i]``, by itself if it is kept.

    ``by_phash`` and ``by_sha256`` are the first image of each distinct pHash or sha256 that was compared,
    in ascending order of that hash.
    """

    images: Images
    leader: Positions
    by_phash: Positions
    by_sha256: Positions

    @property
    def kept(self) -> Mask:
        return np.equal(self.leader, np.arange(len(self.leader)))


def load(hashes: Path, shards: Sequence[int], filters: Filters) -> tuple[Images, dict[str, int]]:
    """The images of these shards that pass, and how many each filter left out (the first that applies)."""
    parts: list[Images] = []
    dropped = dict.fromkeys((limit.name for limit in fields(Filters)), 0)
    for shard in shards:
        path = shard_file(hashes, shard)
        if not path.exists():
            continue  # nothing of this shard was stored
        check_pages(path)
        keys, records = _read(path, shard)
        passing = _filter(records, filters, dropped)
        parts.append(_columns(keys[passing], records[passing]))
    return _concatenate(parts), dropped


def _read(path: Path, shard: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.void]]:
    rows = list(read_payloads(path))
    keys = np.array([shard << 32 | index for index, _ in rows], dtype=np.uint64)
    return keys, np.frombuffer(b"".join(record for _, record in rows), dtype=RECORD)


def _filter(records: npt.NDArray[np.void], filters: Filters, dropped: dict[str, int]) -> Mask:
    width, height = records["width"].astype(np.int64), records["height"].astype(np.int64)
    short, long = np.minimum(width, height), np.maximum(width, height)
    passing = np.ones(len(records), dtype=np.bool_)
    fails = {"min_side": short < filters.min_side}
    if filters.max_aspect is not None:
        fails["max_aspect"] = long > filters.max_aspect * short
    if filters.max_area is not None:
        fails["max_area"] = width * height > filters.max_area
    for name, fail in fails.items():
        dropped[name] += int(np.count_nonzero(passing & fail))
        passing &= ~fail
    return passing


def _columns(keys: npt.NDArray[np.uint64], records: npt.NDArray[np.void]) -> Images:
    phash = records["phash"].astype(np.uint64)
    return Images(
        key=keys,
        pixels=(records["width"] * records["height"]).astype(np.int32),
        sha256=records["sha256"].astype(np.uint64),
        phash=phash,
        photo=(
            (np.bitwise_count(phash) == PHOTO_BITS)
            & (records["contrast"] >= MIN_CONTRAST)
            & (records["levels"] >= MIN_LEVELS)
        ),
    )


def _concatenate(parts: list[Images]) -> Images:
    nothing = _columns(np.empty(0, dtype=np.uint64), np.empty(0, dtype=RECORD))
    columns = {
        column.name: np.concatenate([getattr(part, column.name) for part in (nothing, *parts)])
        for column in fields(Images)
    }
    return Images(**columns)


def choose(images: Images, selection: Selection, frozen: npt.NDArray[np.uint64]) -> Choice:
    """Decide which images are kept. Those whose keys are ``frozen`` come first, then the canonical order.

    The canonical order is most displayed pixels, then lowest key.
    """
    everyone = np.arange(len(images), dtype=POSITION)
    nobody = everyone[:0]
    if selection.dedup == "none":
        return Choice(images, everyone, nobody, nobody)
    walk = np.lexsort((images.key, -images.pixels, ~np.isin(images.key, frozen))).astype(POSITION)
    bytes_leader, by_sha256 = _first_of_equal(walk, [images.sha256[:, word] for word in range(4)])
    if selection.dedup == "bytes":
        return Choice(images, bytes_leader, nobody, by_sha256)
    photos = walk[(bytes_leader[walk] == walk) & images.photo[walk]]
    phash_leader, by_phash = _first_of_equal(photos, [images.phash])
    star_leader = everyone
    if selection.dedup == "near":
        star_leader = _stars(images, photos[phash_leader[photos] == photos], selection.near)
    leader = star_leader[phash_leader[bytes_leader]]
    return Choice(images, leader, by_phash, by_sha256[~images.photo[by_sha256]])


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


def _stars(images: Images, walk: Positions, radius: int) -> Positions:
    """Leaders among images of distinct pHash, given in the order in which they are walked."""
    # Ties go by the canonical order, not by what was frozen: so that freezing what was kept, and choosing
    # again, gives the same answer.
    rank = np.empty(len(walk), dtype=POSITION)
    rank[np.lexsort((images.key[walk], -images.pixels[walk]))] = np.arange(len(walk))
    leader = np.arange(len(images), dtype=POSITION)
    # Half of the bits of each of these hashes are set, so their distances are even.
    leader[walk] = walk[leaders(images.phash[walk], rank, radius // 2 * 2)]
    return leader
