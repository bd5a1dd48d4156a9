"""What became of each URL: the lines of `runner ls`, the items of the library."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .columns import merge
from .deduptable import DedupTable
from .download import FetchDetail
from .engine.checkpoint import Checkpoint
from .engine.items import DONE, Key, Mark
from .engine.shardfile import read_payloads, shard_file
from .fingerprint import Fingerprint
from .job import JobFolder
from .manifest import manifest_file, read_rows
from .repeats import Repeats

# What the hash pass adds to an item; before that, no column of a list may have these names either.
FOUND = ("sha256", "width", "height", "format", "phash", "decode", "duplicate_of")


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One URL of a job and what is known of it.

    ``found`` holds what the hash pass and the dedup added: sha256, width, height, format, phash, decode,
    duplicate_of; it is empty before the hash pass. ``columns`` are those of the list,
    ``repeats`` those of further rows with this URL, where they differ.
    """

    shard: int
    index: int
    url: str
    columns: dict[str, Any]
    repeats: list[dict[str, Any]]
    mark: Mark | None
    found: dict[str, Any]

    @property
    def state(self) -> str:
        if self.mark is None:
            return "pending"
        return "stored" if self.mark.outcome == DONE else "failed"

    @property
    def reason(self) -> str | None:
        return self.mark.outcome if self.mark is not None and self.mark.outcome != DONE else None

    def to_json(self) -> dict[str, Any]:
        """The object that `runner ls --json` prints, with the list's own columns."""
        known = self.mark.detail if self.mark and self.mark.detail else (None, 0, None, None)
        detail = FetchDetail(*known)
        stored = self.state == "stored"
        own = {
            "url": self.url,
            "shard": self.shard,
            "index": self.index,
            "state": self.state,
            "reason": self.reason,
            "http_status": detail.http_status,
            "attempts": detail.attempts,
            "bytes": self.mark.size if self.mark and stored else 0,
            "content_type": detail.content_type,
            "final_url": detail.final_url or (self.url if stored else None),
            **self.found,
        }
        if self.repeats:
            own["repeats"] = self.repeats
        return merge(own, self.columns, (*FOUND, "repeats"))


def list_items(
    folder: JobFolder, *, state: str | None = None, reason: str | None = None
) -> Iterator[ListedItem]:
    """Every item in order, or those of a state or a reason."""
    with folder.reader() as checkpoint, folder.repeats() as repeats:
        for head in folder.heads():
            for item in _list_shard(folder, checkpoint, repeats, head.shard):
                if (state is None or item.state == state) and (reason is None or item.reason == reason):
                    yield item


def _list_shard(
    folder: JobFolder, checkpoint: Checkpoint | None, repeats: Repeats, shard: int
) -> Iterator[ListedItem]:
    marks = dict(checkpoint.marks("download", shard)) if checkpoint else {}
    found = _findings(folder, checkpoint, shard) if checkpoint else {}
    for index, row in enumerate(read_rows(manifest_file(folder.manifests, shard))):
        further = repeats.of(Key(shard, index), row)
        yield ListedItem(shard, index, row.url, row.columns, further, marks.get(index), found.get(index, {}))


def _findings(folder: JobFolder, checkpoint: Checkpoint, shard: int) -> dict[int, dict[str, Any]]:
    """What the hash pass and the dedup say of a shard's images, by index."""
    hashed = dict(checkpoint.marks("hash", shard))
    if not hashed:
        return {}
    found = {index: _finding(mark, None) for index, mark in hashed.items()}
    path = shard_file(folder.hashes, shard)
    for index, record in read_payloads(path, sorted(hashed)) if path.exists() else ():
        found[index] = _finding(hashed[index], Fingerprint.unpack(record))
    if folder.dedup.exists():
        with DedupTable(folder.dedup) as table:
            for index, key in table.duplicates(shard).items():
                if index in found:
                    found[index]["duplicate_of"] = list(key)
    return found


def _finding(mark: Mark, fingerprint: Fingerprint | None) -> dict[str, Any]:
    # Unknown of what a worker died of, and of what did not decode in a job of an earlier version.
    sha256 = fingerprint.sha256 if fingerprint else next(iter(mark.detail), None)
    return {
        "sha256": sha256.hex() if sha256 else None,
        "width": fingerprint.width if fingerprint else None,
        "height": fingerprint.height if fingerprint else None,
        "format": fingerprint.format if fingerprint else None,
        "phash": fingerprint.phash.hex() if fingerprint else None,
        "decode": "ok" if mark.outcome == DONE else mark.outcome,
        "duplicate_of": None,
    }
