"""Hash, dedup and export, killed or without room at every step: in the end the same export, byte for byte."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pictures
import pytest
from jobs import make_job, tree
from test_faults import needs_mounts, on_own_disk

from runner import Job

PHOTOS = [pictures.encode(pictures.photo(seed)) for seed in range(60)]
EXPORT = ("--no-progress", "--workers", "2")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Downloaded; a third of the images are there twice."""
    bodies = [*PHOTOS, *PHOTOS[:30]]
    return make_job(
        tmp_path / "job", [[(body, {}) for body in bodies[start : start + 10]] for start in range(0, 90, 10)]
    )


def spawn(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "runner", "export", "job", "out", *EXPORT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)


def exists(pattern: str) -> Callable[[Path], bool]:
    return lambda folder: any(folder.glob(pattern))


MOMENTS = {
    "hash": exists("job/hashes/*.lmdb"),
    "dedup": exists("job/dedup.lmdb*"),
    "export": exists("out/.*/*.jpg"),
    "list": exists("out/*metadata*"),
}


def test_killed_at_every_step_the_export_is_that_of_an_undisturbed_run(job, tmp_path):
    for reached in MOMENTS.values():
        run = spawn(tmp_path)
        while run.poll() is None and not reached(tmp_path):
            time.sleep(0.001)
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert spawn(tmp_path).wait() == 0
    assert list(job.verify(deep=True)) == []
    assert len(list((tmp_path / "out").glob("*/*.jpg"))) == len(PHOTOS)
    job.export(tmp_path / "undisturbed", workers=0)
    assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")


@needs_mounts
@pytest.mark.parametrize(("done_before", "full"), [("status", "job/hashes"), ("hash", "job")])
def test_without_room_for_hashes_or_the_table_it_says_so_and_goes_on_later(job, tmp_path, done_before, full):
    export = f"runner export job out {shlex.join(EXPORT)}"
    script = f"""
        export RUNNER_WORKERS=2
        cp -r job/. disk/job
        rm -r job && ln -s disk/job job
        runner {done_before} job >&2
        mount -o remount,size=$(( $(du -s --block-size=1k disk | cut -f1) + 24 ))k disk
        {export}; echo $?
        mount -o remount,size=64m disk
        {export} >&2; echo $?
        runner verify job --deep >&2; echo $?
    """
    done = on_own_disk(tmp_path / "disk", "64m", script)
    assert done.stdout.split() == ["1", "0", "0"], done.stderr
    assert f"No room left in {full}:" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "out").glob("*/*.jpg"))) == len(PHOTOS)
