"""Where an export goes: whose it is, and how files appear there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.engine.checkpoint import Checkpoint
from runner.errors import RunnerError, UsageError
from runner.export.output import LocalFolder, digest
from runner.export.output import claim as claim_output


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    folder.mkdir()
    return folder


@pytest.fixture
def checkpoint(job: Path) -> Iterator[Checkpoint]:
    with Checkpoint(job / "checkpoint.lmdb") as opened:
        yield opened


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def claim(out: Path, job: Path, checkpoint: Checkpoint, kind: str = "folder") -> None:
    claim_output(LocalFolder(out), job, checkpoint, kind)


def noted(out: Path, checkpoint: Checkpoint) -> bytes | None:
    return checkpoint.note(f"export:{digest(LocalFolder(out))}")


# -- whose folder it is --


def test_a_new_folder_is_made_and_noted(tmp_path: Path, job: Path, checkpoint: Checkpoint) -> None:
    out = tmp_path / "deep/out"

    claim(out, job, checkpoint)

    assert out.is_dir()
    note = noted(out, checkpoint)
    assert note is not None
    assert note.split(b"\0")[:2] == [os.fsencode(out), b"folder"]


def test_a_folder_with_somebody_elses_files_is_refused(out: Path, job: Path, checkpoint: Checkpoint) -> None:
    (out / "thesis.tex").write_text("years")

    with pytest.raises(
        UsageError, match=r"not empty and this job never exported to it: choose a new folder\."
    ):
        claim(out, job, checkpoint)

    assert noted(out, checkpoint) is None
    assert names(out) == ["thesis.tex"]


def test_a_folder_that_was_claimed_may_hold_anything_later(
    out: Path, job: Path, checkpoint: Checkpoint
) -> None:
    claim(out, job, checkpoint)
    (out / "README.txt").write_text("what this is")

    claim(out, job, checkpoint)


def test_another_folder_in_its_place_is_somebody_elses(out: Path, job: Path, checkpoint: Checkpoint) -> None:
    claim(out, job, checkpoint)
    out.rename(out.with_name("moved"))
    out.mkdir()
    claim(out, job, checkpoint)  # an empty one may be taken
    out.rename(out.with_name("moved too"))
    out.mkdir()
    (out / "thesis.tex").write_text("years")

    with pytest.raises(UsageError, match="another in its place: choose a new folder"):
        claim(out, job, checkpoint)


@pytest.mark.parametrize("place", [".", "..", "batches", "../job/deep/er"])
def test_a_folder_that_overlaps_with_the_job_is_refused(
    place: str, job: Path, checkpoint: Checkpoint
) -> None:
    with pytest.raises(UsageError, match="overlaps with the job folder"):
        claim((job / place).resolve(), job, checkpoint)


def test_a_file_is_refused(tmp_path: Path, job: Path, checkpoint: Checkpoint) -> None:
    file = tmp_path / "out.zip"
    file.write_text("x")

    with pytest.raises(UsageError, match="is not a folder"):
        claim(file, job, checkpoint)
    with pytest.raises(RunnerError, match="Not a directory"):
        claim(file / "below", job, checkpoint)


def test_a_place_where_nothing_can_be_made(job: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(RunnerError, match="Cannot export to /proc/runner"):
        claim(Path("/proc/runner"), job, checkpoint)
