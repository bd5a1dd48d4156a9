"""Repair: what is damaged goes back to pending, what is intact is kept; a resume then does the rest.

A damaged file is set aside under ``NAME.damaged`` and made again of all that is whole in it. Then every item
is looked at as ``verify`` does, bytes included, and what is not true is forgotten: in the file that says it,
and in the checkpoint.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from . import repeats
from .engine import checkpoint as checkpoints
from .engine import shardfile
from .engine.checkpoint import Checkpoint
from .engine.items import Key
from .engine.notes import NotesCopy
from .engine.shardfile import ShardFile
from .errors import JobError
from .job import JobFolder
from .verify import STAGES, Shard, check_files, check_items, check_manifests


def repair(folder: JobFolder) -> Iterator[str]:
    """Mend what ``verify`` finds in a job that nobody runs; tells what was done, file by file.

    Raises JobError if a manifest is damaged: what it holds is nowhere else in the job.
    """
    for finding in check_manifests(folder):
        raise JobError(finding.problem)
    for finding in list(check_files(folder)):
        yield f"{finding}. {_replace(folder, finding.path)}"
    forgotten: Counter[tuple[Path, str]] = Counter()
    with Checkpoint(folder.checkpoint_path) as checkpoint:
        if not checkpoint.notes_are_copied:
            checkpoint.copy_notes()
            yield f"{checkpoint.notes_path}: it has what is noted in the checkpoint again."
        for head in folder.heads():
            for stage in STAGES:
                # All of a stage before the next: a hash whose image is forgotten is found by that.
                wrong: dict[tuple[Path, str], list[Key]] = defaultdict(list)
                for finding in check_items(Shard(folder, checkpoint, head, set()), stage, deep=True):
                    assert finding.key is not None
                    wrong[finding.path, finding.stage].append(finding.key)
                    forgotten[finding.path, finding.problem] += 1
                for (path, where), keys in wrong.items():
                    _forget(checkpoint, path, where, keys)
    for (path, problem), count in sorted(forgotten.items()):
        yield f"{path}: {problem} ({count} items, pending again)."


def _replace(folder: JobFolder, path: Path) -> str:
    """Set a damaged file aside and make it again of what can be read of it."""
    aside = path.with_name(f"{path.name}.damaged")
    if not path.exists():
        return "It is made anew: what is stored is marked again by a resume, and what failed is tried again."
    path.rename(aside)
    path.with_name(f"{path.name}-lock").unlink(missing_ok=True)
    if path == NotesCopy(folder.checkpoint_path).path:
        return f"It is now {aside.name}."
    if path == folder.dedup:
        return f"It is now {aside.name}; the next export makes it again, and chooses anew among duplicates."
    if path == folder.checkpoint_path:
        checkpoints.rescue(aside, path)
    elif path == folder.repeats_path:
        repeats.rescue(aside, path, [head.rows for head in folder.heads()])
    else:
        shardfile.rescue(aside, path)
    return f"It is now {aside.name}; what is whole of it is in {path.name} again."


def _forget(checkpoint: Checkpoint, path: Path, where: str, keys: list[Key]) -> None:
    """Make these items pending in the stage ``where``; ``path`` is the file that is wrong about them."""
    if path != checkpoint.path:
        with ShardFile(path) as file:
            file.delete(key.index for key in keys)
    stages = [where]
    if where == "download":  # whatever was made of the image too: another may come in its place
        # The marks of files that hold a shard are not of an image: these files know what they were made of.
        stages = [stage for stage in checkpoint.stages() if not stage.startswith("export-")]
    for stage in stages:
        checkpoint.forget(stage, keys)
