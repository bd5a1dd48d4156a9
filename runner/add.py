"""Add: what is new in further lists becomes further shards of a job."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .config import READING
from .engine.files import sync_folder
from .errors import JobError
from .job import PARTIAL, SCRATCH, JobFolder
from .manifest import Known, Summary, manifest_file, write_manifests, writing_to
from .record import RECORD
from .sources.options import OF_COLUMNS
from .sources.reading import rows


def append(folder: JobFolder, lists: Sequence[str], options: Mapping[str, Any]) -> Summary:
    """Add what is new in these lists as further shards; the caller has the lock.

    ``options`` are named as for `runner start`: they tell how the lists are read, where that is not as for
    the job's first ones, and what settings the job has from now on.

    Manifests are made in a folder of their own and moved from there one by one; that job.json counts them
    makes them part of the job, all at once and with the settings. Raises ListError if a list cannot be read,
    UsageError if a setting is frozen or makes no sense; the job is then as it was before.
    """
    config = folder.config.changed(**{name: options[name] for name in options.keys() - READING})
    reading = replace(config.lists, **{name: options[name] for name in options.keys() & READING})
    added = rows(lists, reading, folder.path / SCRATCH, inherited=OF_COLUMNS - options.keys())
    _check_unused(folder)
    partial = folder.path / PARTIAL
    with writing_to(folder.path):
        partial.mkdir()
        sync_folder(folder.path)
    try:
        known = _known(folder, partial)
        with folder.keeper() as keeper:
            keeper.drop_from(known.lines)
            summary = write_manifests(added, partial, folder.config.shard_size, known, keeper.keep)
        record = replace(folder.record.grown(summary), config=config)
        with writing_to(folder.path):
            for shard in range(folder.record.shards, record.shards):
                manifest_file(partial, shard).rename(manifest_file(folder.manifests, shard))
            sync_folder(folder.manifests)
        folder.rewrite(record)
    finally:
        folder.sweep()
    return summary


def _known(folder: JobFolder, scratch: Path) -> Known:
    known = Known(scratch)
    with writing_to(folder.path):
        for path in folder.manifest_paths():
            known.add_shard(path)
    known.lines += sum(folder.record.uncounted)
    return known


def _check_unused(folder: JobFolder) -> None:
    """Refuse to give a new shard the number of one that was lost with its manifest."""
    with folder.reader() as checkpoint:
        used = set(checkpoint.tally("download")) if checkpoint else set()
    for output in (folder.batches, folder.hashes):
        used |= {int(path.stem) for path in output.glob("*.lmdb") if path.stem.isdigit()}
    lost = sorted(shard for shard in used if shard >= folder.record.shards)
    if lost:
        raise JobError(
            f"{folder.path} has images or marks of shard {lost[0]}, which {RECORD} does not count: "
            "restore job.json and the manifests from a copy."
        )
