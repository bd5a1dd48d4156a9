"""What an export is made from: the kept images of a job, with all that is known of them."""

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..engine.items import CRASHED, Key
from ..engine.shardfile import read_payloads, shard_file
from ..errors import StoreError
from ..export_options import Rendering
from ..fingerprint import Fingerprint
from ..manifest import read_head, read_rows
from ..repeats import Lists
from .kept import Kept
from .metadata import Line, describe_shard
from .stage import Source, Unwritable, file_of, read_fingerprints, recipe_for

T = TypeVar("T", bound=Sized)

# Stored bytes that are read from a batch between two openings of it.
READ_BYTES = 64 << 20

_MEMBER = struct.Struct(">II")


class Sample(NamedTuple):
    """One image of an export: its line and its file."""

    line: Line
    image: bytes


@dataclass(frozen=True)
class Contents:
    """The images of ``kept``, rendered so. Settings and paths: it travels to workers.

    ``deadly``: images that a worker dies of when it makes their file; they count as ``crashed``.
    """

    lists: Lists
    batches: Path
    hashes: Path
    kept: Kept
    rendering: Rendering
    deadly: frozenset[Key] = frozenset()

    def lines(self, shard: int) -> Iterator[Line]:
        """The line of every image of a shard, in order."""
        members = self.kept.of(shard)
        if members:
            found = self._found(shard, members)
            yield from describe_shard(self.lists, shard, found, members, self.rendering)

    def urls(self) -> Iterator[str]:
        """The URL of every image."""
        for shard, members in self.kept:
            if members:
                yield from (row.url for row in read_rows(self.lists.manifest(shard), list(members)))

    def samples(self, shard: int, failures: Counter[str]) -> Iterator[Sample | None]:
        """Every image of a shard, in order; None for one of which no file can be made: it is counted."""
        members = self.kept.of(shard)
        found = self._found(shard, members)
        lines = describe_shard(self.lists, shard, found, members, self.rendering)
        for source, line in zip(self._sources(shard, found), lines, strict=True):
            recipe = recipe_for(source.fingerprint, self.rendering)
            try:
                if Key(shard, line["index"]) in self.deadly:
                    raise Unwritable(CRASHED)
                yield Sample(line, file_of(source, self.rendering, recipe))
            except Unwritable as error:
                failures[error.reason] += 1
                yield None

    def digest(self, shard: int, settings: str) -> bytes:
        """Of all that decides what ``samples`` gives, and of the settings of what writes them."""
        members = self.kept.of(shard)
        deadly = sorted(key.index for key in self.deadly if key.shard == shard)
        digest = hashlib.sha256(f"{read_head(self.lists.manifest(shard))} {settings} {deadly}".encode())
        for index, fingerprint in self._found(shard, members).items():
            digest.update(_MEMBER.pack(index, members[index]) + fingerprint.pack())
            digest.update(f"{recipe_for(fingerprint, self.rendering)} {self.rendering.suffix}".encode())
        if self.lists.have_repeats:
            for _, repeats in self.lists.rows(shard, list(members)):
                digest.update(json.dumps(repeats).encode())
        return digest.digest()

    def _found(self, shard: int, members: Mapping[int, int]) -> dict[int, Fingerprint]:
        found = read_fingerprints(self.hashes, shard, list(members))
        return _complete(found, len(members), shard_file(self.hashes, shard))

    def _sources(self, shard: int, found: Mapping[int, Fingerprint]) -> Iterator[Source]:
        path = shard_file(self.batches, shard)
        count = 0
        for part in _parts(found):
            for index, body in read_payloads(path, part):
                count += 1
                yield Source(body, found[index])
        _complete(range(count), len(found), path)


def _parts(found: Mapping[int, Fingerprint]) -> Iterator[list[int]]:
    """Indices to read from a file that is opened anew for each: what was read of it stays in memory."""
    part: list[int] = []
    size = 0
    for index, fingerprint in found.items():
        part.append(index)
        size += fingerprint.size
        if size >= READ_BYTES:
            yield part
            part, size = [], 0
    yield part


def _complete(items: T, expected: int, path: Path) -> T:
    missing = expected - len(items)
    if missing:
        raise StoreError(
            f"{missing} images that should be in {path} are not there. `runner verify` names what is "
            "damaged, `runner repair` mends it."
        )
    return items
