"""What must be true after the demo, item by item and file by file."""

import io
import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from tools.checks import Checks
from tools.driver import Job
from tools.pictures import displayed, distance, fingerprint
from tools.server import Record

from .pool import ORIENTATION, SAME_MOTIF, Entry, Pool


def check_items(checks: Checks, job: Job, pool: Pool, site: str) -> None:
    """Every line of the list is accounted for, and what is stored is what was served."""
    status = job.status()
    counts = status["items"]
    found = {item["url"]: item for item in job.items()}
    expected = {url(site, entry): entry for entry in pool.entries}
    blank = pool.lines.count("")
    repeats = len(pool.lines) - len(pool.entries) - blank
    checks.that(
        found.keys() == expected.keys() and counts["total"] == len(found) and status["repeats"] == repeats,
        f"{len(pool.lines):,} lines = {len(found):,} items + {status['repeats']} repeats + {blank} blank",
    )
    checks.that(
        status["state"] == "complete" and counts["stored"] + counts["failed"] == counts["total"],
        f"{counts['total']:,} items = {counts['stored']:,} stored + {counts['failed']} failed",
    )
    reasons = {address: found.get(address, {}).get("reason") for address in expected}
    summary = ", ".join(f"{count} {reason}" for reason, count in sorted(status["reasons"].items()))
    differing = [
        f"{address}: {reasons[address]}"
        for address, entry in expected.items()
        if reasons[address] != entry.reason
    ]
    checks.that(not differing, f"each failure has the right reason: {summary}{few(differing)}")
    served = {address: entry.stored for address, entry in expected.items() if entry.stored is not None}
    bodies = list(job.bodies())
    checks.that(
        len(bodies) == len(served) and dict(bodies) == served,
        f"{len(bodies):,} stored images are, byte for byte, what was served, each stored once",
    )


def check_requests(checks: Checks, pool: Pool, record: Record, bound: int) -> None:
    """Little is fetched again after a kill. Failing URLs are left out: their retries are on purpose."""
    expected: Counter[str] = Counter()
    for entry in pool.entries:
        if entry.stored is not None:
            expected[entry.address] += 2 if entry.page.manner == "flaky" else 1
            if entry.page.location:
                expected[entry.page.location] += 1
    again = sum((Counter({path: record.requests[path] for path in expected}) - expected).values())
    checks.that(
        again <= bound,
        f"{again} images were fetched again after the kill; {bound} could be in flight or uncommitted",
    )


def check_export(checks: Checks, out: Path, pool: Pool, site: str) -> None:
    """The export has the largest picture of each motif, none below 100 pixels, as an upright JPEG."""
    rows = {row["url"]: row for row in map(json.loads, (out / "metadata.jsonl").read_text().splitlines())}
    expected = pool.exported()
    entries = {url(site, entry): entry for entry in pool.entries if entry.address in expected}
    missing, surplus = entries.keys() - rows.keys(), rows.keys() - entries.keys()
    checks.that(
        not missing and not surplus,
        f"{len(rows):,} pictures exported, of {len(expected):,} that differ and are large enough"
        + few(f"missing {address}" for address in missing)
        + few(f"surplus {address}" for address in surplus),
    )
    shared = entries.keys() & rows.keys()
    miscounted = [
        f"{address}: {rows[address]['duplicates']}"
        for address in shared
        if rows[address]["duplicates"] != expected[entries[address].address]
    ]
    checks.that(
        not miscounted,
        f"{sum(expected.values())} copies and other versions are left out, each represented by the largest"
        f"{few(miscounted)}",
    )
    files = {file for file in out.rglob("*") if file.suffix == ".jpg"}
    named = {out / row["file_name"] for row in rows.values()}
    checks.that(files == named, f"{len(files):,} files, the same ones as in metadata.jsonl")
    spoiled = [
        address for address in shared if not faithful(out / rows[address]["file_name"], entries[address])
    ]
    checks.that(
        not spoiled, f"upright JPEGs have the bytes served, the rest shows the same upright{few(spoiled)}"
    )


def faithful(file: Path, entry: Entry) -> bool:
    """Whether an exported file is right for what was served."""
    assert entry.stored is not None
    assert entry.picture is not None
    body = file.read_bytes() if file.is_file() else b""
    if not _upright_jpeg(body):
        return False
    if _upright_jpeg(entry.stored):
        return body == entry.stored
    one, other = displayed(body), displayed(entry.stored)
    return one.size == entry.picture.size and distance(fingerprint(one), fingerprint(other)) <= SAME_MOTIF


def _upright_jpeg(body: bytes) -> bool:
    with suppress(UnidentifiedImageError), Image.open(io.BytesIO(body)) as image:
        return image.format == "JPEG" and image.getexif().get(ORIENTATION, 1) == 1
    return False


def url(site: str, entry: Entry) -> str:
    return site + entry.address if entry.is_path else entry.address


def few(examples: Iterable[str]) -> str:
    """Some examples of what is wrong, for the end of a sentence; nothing if there are none."""
    listed = sorted(examples)
    return f" ({len(listed)} wrong: {', '.join(listed[:3])}{' ...' if listed[3:] else ''})" if listed else ""
