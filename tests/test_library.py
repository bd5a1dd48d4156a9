"""The library as programs use it: heard from while it works, silent otherwise, at home in any thread."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pictures
import pytest
from webserver import Visit, WebServer, answer

import runner
from runner import Job, Progress

PHOTOS = 6


@pytest.fixture
def site() -> Iterator[WebServer]:
    with WebServer({f"/{n}": answer(pictures.encode(pictures.photo(n))) for n in range(PHOTOS)}) as server:
        yield server


@pytest.fixture
def job(site: WebServer, tmp_path: Path) -> Job:
    """Nothing is downloaded yet; the last of the URLs does not exist."""
    urls = tmp_path / "urls.txt"
    urls.write_text("".join(site.url(f"/{n}") + "\n" for n in range(PHOTOS + 1)))
    return Job.create(tmp_path / "cats", [urls], allow_private=True, workers=0, shard_size=3)


def test_a_listener_hears_each_stage_from_its_beginning_to_its_end(job: Job, tmp_path: Path) -> None:
    heard: list[Progress] = []
    job.download(progress=heard.append)
    assert heard[0] == Progress("download", total=PHOTOS + 1, done=0)
    size = job.status().bytes
    assert heard[-1] == Progress(
        "download", PHOTOS + 1, PHOTOS + 1, PHOTOS + 1, failed=1, bytes=size, ended=True
    )
    assert all(before.done <= after.done and not before.ended for before, after in pairwise(heard))

    heard.clear()
    job.export(tmp_path / "out", progress=heard.append)
    assert [each.stage for each in heard if each.ended] == ["hash", "export"]
    assert [each.done for each in heard if each.ended] == [PHOTOS, PHOTOS]

    heard.clear()
    job.export(tmp_path / "out", progress=heard.append)
    assert {(each.done, each.new) for each in heard} == {(PHOTOS, 0)}


def test_what_a_listener_raises_ends_the_run_and_nothing_is_lost(job: Job) -> None:
    def refuse(progress: Progress) -> None:
        if progress.new:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        job.download(progress=refuse)
    done = job.status().items["stored"]
    heard: list[Progress] = []
    job.download(progress=heard.append)
    assert heard[0].done >= done > 0
    assert job.status().state == "complete"


def test_a_run_is_stopped_from_outside(job: Job) -> None:
    stop = runner.Stop()
    stop.ask()
    with pytest.raises(runner.StoppedError):
        job.download(stop=stop)
    assert job.status().state == "stopped"


@pytest.mark.parametrize("workers", [0, 2])
def test_one_thread_looks_at_the_job_while_another_works_on_it(
    job: Job, site: WebServer, workers: int
) -> None:
    looked = threading.Event()

    def wait_until_looked_at(visit: Visit) -> None:
        looked.wait(30)
        visit.answer(pictures.encode(pictures.photo(0)))

    site.routes["/0"] = wait_until_looked_at
    begun = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            job.download(workers=workers, progress=lambda progress: begun.set() if progress.new else None)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    images = runner.Images(job)
    seen = {item.url for item, _ in images}
    status = job.status()
    states = {item.state for item in job.items()}
    looked.set()
    thread.join()
    assert not errors
    assert status.state == "running"
    assert states >= {"stored", "pending"}
    assert 0 < len(seen) < PHOTOS
    assert images[0][0].url in seen
    assert job.status().items == {"total": PHOTOS + 1, "stored": PHOTOS, "failed": 1, "pending": 0}


def test_the_job_is_worked_on_while_its_images_are_in_use(job: Job, tmp_path: Path) -> None:
    job.download()
    images = runner.Images(job)
    iterator = iter(images)
    first = next(iterator)
    item = next(job.items())
    job.hash()
    job.export(tmp_path / "out")
    assert not list(job.verify(deep=True))
    assert not list(job.repair())
    assert first[1] == images[0][1]
    assert [first[1], *(body for _, body in iterator)] == [body for _, body in images]
    assert item.url == first[0].url


SILENT = """
import asyncio, os, signal, sys, threading
before = {number: signal.getsignal(number) for number in signal.valid_signals()}
import runner
URLS, FOLDER = sys.argv[1:]

def whole_way(name, workers):
    job = runner.Job.create(f"{FOLDER}/{name}", [URLS], allow_private=True, workers=workers)
    job.download()
    job.export(f"{FOLDER}/{name}-out")
    assert len(runner.Images(job, kept=True)) == len(list(runner.images(job))) == 6
    assert job.status().items["stored"] == 6

async def in_a_notebook():
    whole_way("loop", 1)  # blocks, as a cell does
    await asyncio.to_thread(whole_way, "beside", 0)

whole_way("script", 2)  # no __main__ guard
thread = threading.Thread(target=whole_way, args=("thread", 1))
thread.start()
thread.join()
asyncio.run(in_a_notebook())
after = {number: signal.getsignal(number) for number in signal.valid_signals()}
assert before == after, "signal handlers were installed"
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
assert sorted(os.listdir(FOLDER)) == sorted(
    [name + end for name in ("script", "thread", "loop", "beside") for end in ("", "-out")])
"""


def test_nothing_prints_or_handles_signals_anywhere(job: Job, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SILENT)
    (tmp_path / "jobs").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", script, tmp_path / "urls.txt", tmp_path / "jobs"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_it_is_typed_and_says_what_is_public() -> None:
    assert (files("runner") / "py.typed").is_file()
    assert runner.__all__ == sorted(runner.__all__)
    assert all(hasattr(runner, name) for name in runner.__all__)
