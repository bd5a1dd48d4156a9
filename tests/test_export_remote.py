"""Exports to a place that fsspec reaches."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pictures
import pytest
from jobs import make_job, tree

import runner
from runner.errors import RunnerError, UsageError
from runner.export_options import EXPORT_FORMATS

PHOTOS = [pictures.encode(pictures.photo(seed)) for seed in range(5)]
SMALL = pictures.encode(pictures.photo(21, (64, 48)))
IMAGES = [[PHOTOS[0], PHOTOS[1]], [PHOTOS[2], SMALL], [PHOTOS[3]]]
URL = "memory://bucket/cats"


@pytest.fixture
def job(tmp_path: Path) -> runner.Job:
    return make_job(tmp_path / "job", [[(body, {"n": 1}) for body in shard] for shard in IMAGES])


@pytest.fixture(autouse=True)
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def export(job: runner.Job, out: Path | str, kind: str, **options: Any) -> Any:
    return job.export(out, **{"workers": 0, "format": kind} | options).exported


def objects(files: Any) -> dict[str, bytes]:
    return {name.removeprefix("/bucket/cats/"): files.cat_file(name) for name in files.find("/bucket/cats")}


def times(files: Any) -> dict[str, Any]:
    return {
        name: files.modified(name) for name in files.find("/bucket/cats") if name.endswith(("tar", "jpg"))
    }


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_what_is_sent_is_what_a_folder_would_hold(
    kind: str, job: runner.Job, tmp_path: Path, memory: Any
) -> None:
    there = export(job, URL, kind)

    assert there == export(job, tmp_path / "here", kind)
    assert objects(memory) == tree(tmp_path / "here")


@pytest.mark.parametrize("kind", ["folder", "webdataset"])
def test_again_sends_nothing_and_a_change_only_the_difference(
    kind: str, job: runner.Job, tmp_path: Path, memory: Any
) -> None:
    export(job, URL, kind, min_side=0)
    before = times(memory)

    export(job, URL, kind, min_side=0)
    assert times(memory) == before

    assert export(job, URL, kind).removed == 1
    export(job, tmp_path / "here", kind)
    assert objects(memory) == tree(tmp_path / "here")
    changed = {name for name, time in times(memory).items() if time != before[name]}
    assert changed == ({"/bucket/cats/00001.tar"} if kind == "webdataset" else set())


@pytest.mark.parametrize("kind", ["folder", "parquet"])
def test_what_was_lost_is_sent_again(kind: str, job: runner.Job, memory: Any) -> None:
    export(job, URL, kind)
    content = objects(memory)
    for name in ("00000/000000000.jpg", "00002.parquet"):
        if name in content:
            memory.pipe_file(f"/bucket/cats/{name}", b"short")

    export(job, URL, kind)

    assert objects(memory) == content


@pytest.mark.parametrize("kind", ["folder", "webdataset"])
def test_workers_send_the_same(kind: str, job: runner.Job, tmp_path: Path) -> None:
    export(job, f"local://{tmp_path}/there", kind, workers=2)
    export(job, tmp_path / "here", kind)

    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_a_file_url_is_a_folder(job: runner.Job, tmp_path: Path) -> None:
    export(job, f"file://{tmp_path}/out", "webdataset")
    before = (tmp_path / "out/00000.tar").stat().st_ino

    export(job, tmp_path / "out", "webdataset")

    assert (tmp_path / "out/00000.tar").stat().st_ino == before


def test_somebody_elses_objects_are_left_alone(job: runner.Job, memory: Any) -> None:
    memory.pipe_file("/bucket/cats/thesis.tex", b"years")

    with pytest.raises(UsageError, match="not empty and this job never exported to it"):
        export(job, URL, "webdataset")

    assert objects(memory) == {"thesis.tex": b"years"}


@pytest.mark.parametrize(
    ("url", "options", "error", "message"),
    [
        (
            URL,
            {"workers": 2},
            UsageError,
            "Worker processes do not see memory://bucket/cats: give --workers 0",
        ),
        ("memory://", {}, UsageError, "memory:// names no folder: add one, as in memory://NAME"),
        ("nowhere://bucket/cats", {}, UsageError, "is no place to export to: Protocol not known: nowhere"),
        ("adl://bucket/cats", {}, RunnerError, "Cannot export to adl://bucket/cats: .*adlfs"),
    ],
)
def test_what_cannot_be_reached(
    url: str, options: dict[str, int], error: type[Exception], message: str, job: runner.Job
) -> None:
    with pytest.raises(error, match=message):
        export(job, url, "folder", **options)


def test_without_fsspec_it_says_what_to_install(job: runner.Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)

    with pytest.raises(RunnerError, match=r"pip install 'runner-images\[remote\]'"):
        export(job, "memory://nothing-was-sent-here-before", "folder")


@pytest.mark.parametrize("kind", ["folder", "webdataset"])
def test_a_place_that_refuses_ends_the_run_and_the_next_one_goes_on(
    kind: str, job: runner.Job, tmp_path: Path
) -> None:
    url = f"local://{tmp_path}/there"
    export(job, url, kind, limit=1)
    obstacle = tmp_path / "there" / ("00001" if kind == "folder" else "00001.tar/x")
    if kind == "folder":
        obstacle.write_text("a file where a folder should be")
    else:
        obstacle.mkdir(parents=True)

    for workers in (0, 1):
        with pytest.raises(RunnerError, match=f"Cannot export to {url}: .*run the export again"):
            export(job, url, kind, workers=workers)

    if kind == "folder":
        obstacle.unlink()
    else:
        shutil.rmtree(obstacle.parent)
    assert export(job, url, kind).images == 4
