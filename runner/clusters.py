"""Who was found to be alike: each kept image with those that it stands for, the largest group first."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .choice import Choice
from .engine.items import Key
from .engine.shardfile import read_payloads, shard_file
from .fingerprint import Fingerprint
from .job import JobFolder
from .manifest import manifest_file, read_rows
from .paircache import Positions

# Images looked up together, roughly; each time every manifest is read once.
IMAGES_AT_ONCE = 100_000

Details = dict[int, tuple[str, Fingerprint]]


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a cluster; ``distance`` in bits from the pHash of its representative."""

    shard: int
    index: int
    url: str
    distance: int
    width: int
    height: int
    format: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """An image that is kept, and the duplicates that it stands for, the most alike first."""

    representative: Member
    members: list[Member]

    def to_json(self) -> dict[str, Any]:
        """The object that `runner dups --json` prints."""
        return asdict(self)


def list_clusters(folder: JobFolder, choice: Choice) -> Iterator[Cluster]:
    """Every kept image that stands for others, largest cluster first, then in item order."""
    dropped = _in_order(choice)
    leaders = choice.leader[dropped]
    starts = np.flatnonzero(np.diff(leaders, prepend=-1))
    ends = np.append(starts, len(dropped))[1:]
    for first, last in _parts(ends):
        part = slice(starts[first], ends[last - 1])
        details = _look_up(folder, choice, np.concatenate((dropped[part], leaders[starts[first:last]])))
        for start, end in zip(starts[first:last], ends[first:last], strict=True):
            leader = leaders[start]
            members = [_member(choice, at, leader, details) for at in dropped[start:end].tolist()]
            yield Cluster(_member(choice, leader, leader, details), members)


def _in_order(choice: Choice) -> Positions:
    """The duplicates: by size of their cluster, by representative, by distance from it."""
    images, leader = choice.images, choice.leader
    dropped = np.flatnonzero(~choice.kept)
    leaders = leader[dropped]
    sizes = np.bincount(leaders, minlength=len(leader))
    distance = np.bitwise_count(images.phash[dropped] ^ images.phash[leaders])
    return dropped[np.lexsort((images.key[dropped], distance, images.key[leaders], -sizes[leaders]))]


def _parts(ends: Positions) -> Iterator[tuple[int, int]]:
    """Consecutive clusters first:last that are looked up together."""
    first, done = 0, 0
    for last, end in enumerate(ends.tolist(), start=1):
        if end - done >= IMAGES_AT_ONCE or last == len(ends):
            yield first, last
            first, done = last, end


def _look_up(folder: JobFolder, choice: Choice, positions: Positions) -> Details:
    """Key -> URL and fingerprint of these images."""
    wanted: dict[int, list[int]] = defaultdict(list)
    for key in np.sort(choice.images.key[positions]).tolist():
        wanted[key >> 32].append(key & 0xFFFFFFFF)
    details: Details = {}
    for shard, indices in wanted.items():
        rows = read_rows(manifest_file(folder.manifests, shard), indices)
        records = read_payloads(shard_file(folder.hashes, shard), indices)
        for row, (index, record) in zip(rows, records, strict=True):
            details[shard << 32 | index] = row.url, Fingerprint.unpack(record)
    return details


def _member(choice: Choice, position: int, leader: int, details: Details) -> Member:
    key, images = int(choice.images.key[position]), choice.images
    url, found = details[key]
    distance = int(np.bitwise_count(images.phash[position] ^ images.phash[leader]))
    size = found.width, found.height
    return Member(*Key(key >> 32, key & 0xFFFFFFFF), url, distance, *size, found.format, found.size)
