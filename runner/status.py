"""Where a job stands: read from one small record per shard, while it runs or not, without any lock."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from .deduptable import DedupTable
from .engine.checkpoint import Checkpoint
from .engine.items import DONE
from .engine.lock import is_locked
from .job import JobFolder
from .record import FORMAT

STATES = ("stored", "failed", "pending")
"""What an item can be."""


@dataclass(frozen=True)
class Status:
    """The object that `runner status --json` prints; `hash` and `dedup` are None until that pass began."""

    job: str
    format: int
    state: str
    items: dict[str, int]
    reasons: dict[str, int]
    bytes: int
    shards: dict[str, int]
    hash: dict[str, int] | None
    repeats: int
    dedup: dict[str, int] | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_status(folder: JobFolder) -> Status:
    """Look at the job's records."""
    running = is_locked(folder.lock_path)
    heads = folder.heads()
    lines = folder.lines(heads)
    with folder.reader() as checkpoint:
        marked, reasons, size = _download_counts(checkpoint)
        stored = sum(marked.values()) - sum(reasons.values())
        hashed = _hash_counts(checkpoint, stored)
    total = lines.items
    failed = sum(reasons.values())
    pending = total - stored - failed
    return Status(
        job=folder.name,
        format=FORMAT,
        state="running" if running else "stopped" if pending else "complete",
        items={"total": total, "stored": stored, "failed": failed, "pending": pending},
        reasons=dict(reasons.most_common()),
        bytes=size,
        shards={
            "total": len(heads),
            "complete": sum(head.rows == marked[head.shard] for head in heads),
        },
        hash=hashed,
        repeats=lines.repeats,
        dedup=_dedup_counts(folder),
    )


def _download_counts(checkpoint: Checkpoint | None) -> tuple[Counter[int], Counter[str], int]:
    """Marked items by shard, failures by reason, bytes stored."""
    marked: Counter[int] = Counter()
    reasons: Counter[str] = Counter()
    size = 0
    for shard, tally in checkpoint.tally("download").items() if checkpoint else ():
        for outcome, (count, outcome_bytes) in tally.items():
            marked[shard] += count
            size += outcome_bytes
            if outcome != DONE:
                reasons[outcome] += count
    return marked, reasons, size


def _hash_counts(checkpoint: Checkpoint | None, stored: int) -> dict[str, int] | None:
    counts: Counter[str] = Counter()
    for tally in checkpoint.tally("hash").values() if checkpoint else ():
        counts.update({outcome: count for outcome, (count, _) in tally.items()})
    if not counts:
        return None
    hashed = counts.pop(DONE, 0)
    undecodable = counts.total()
    return {"hashed": hashed, "undecodable": undecodable, "pending": stored - hashed - undecodable}


def _dedup_counts(folder: JobFolder) -> dict[str, int] | None:
    if not folder.dedup.exists():
        return None
    with DedupTable(folder.dedup) as table:
        counts = table.counts()
    return {"unique": counts.unique, "duplicates": counts.duplicates}
