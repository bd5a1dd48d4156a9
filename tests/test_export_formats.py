"""Every format of an export: what is in it, that it is the same every time, and that it goes on."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pictures
import pyarrow.parquet as pq
import pytest
import webdataset
from jobs import make_job, tree
from lethal import LethalProbe, LethalTar
from PIL import Image

import runner
from runner.cli import main
from runner.deduptable import DedupTable
from runner.engine.checkpoint import Checkpoint
from runner.engine.items import Key
from runner.engine.run import run
from runner.engine.shardfile import ShardFile, shard_file
from runner.engine.stop import Stop
from runner.errors import DiskFullError, RunnerError, StoppedError, UsageError
from runner.export import parquet, shards
from runner.export.contents import Contents
from runner.export.kept import Kept
from runner.export.output import LocalFolder
from runner.export.shards import ShardsExport, ShardStage
from runner.export_options import EXPORT_FORMATS, ExportOptions, Rendering

PHOTOS = [pictures.encode(pictures.photo(seed)) for seed in range(8)]
PNG = pictures.encode(pictures.photo(20), "PNG")
SMALL = pictures.encode(pictures.photo(21, (64, 48)))
TOO_LONG = pictures.encode(Image.new("L", (65_530, 1)), "PNG")
# The small one is the last of its shard, the first photo comes twice.
LINES = [
    [(PHOTOS[0], {"caption": "Größe 猫", "n": 1}), (PNG, {"caption": 'two\r\n"lines"'}), (None, {})],
    [(PHOTOS[1], {"n": 2}), (PHOTOS[0], {"caption": "again"}), (SMALL, {"caption": ["a", 1]})],
    [(PHOTOS[2], {"caption": "one\rtwo", "image": "mine"}), (PHOTOS[3], {"n": 3})],
]
BY_SHARD = {"webdataset": "tar", "parquet": "parquet"}
EVERYTHING = {"dedup": "none", "min_side": 0}


@pytest.fixture
def job(tmp_path: Path) -> runner.Job:
    return make_job(tmp_path / "job", LINES)


def export(job: runner.Job, out: Path | str, kind: str, **options: Any) -> Any:
    options = {"workers": 0, "format": kind} | options
    return job.export(out, **options).exported


def files(out: Path) -> dict[str, tuple[int, int]]:
    """Name -> inode and time of change: what a file must keep to count as untouched."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in out.iterdir()
        if path.name != "README.md"
    }


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (out / "metadata.jsonl").read_text().splitlines()]


@pytest.fixture
def folder(job: runner.Job, tmp_path: Path) -> Path:
    """The same images as a folder."""
    export(job, tmp_path / "folder", "folder", **EVERYTHING)
    return tmp_path / "folder"


# -- what is in it --


def test_webdataset_reads_the_tars(job: runner.Job, out: Path, folder: Path) -> None:
    export(job, out, "webdataset", **EVERYTHING)

    urls = [str(path) for path in sorted(out.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert [sample["json"] for sample in samples] == lines(folder)
    for sample, line in zip(samples, lines(folder), strict=True):
        assert f"{line['file_name'].removesuffix('.jpg')}" == f"0000{line['shard']}/{sample['__key__']}"
        with Image.open(folder / line["file_name"]) as image:
            assert sample["jpg"].tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_what_repeats_carried_is_with_the_image(
    tmp_path: Path, job: runner.Job, out: Path, kind: str
) -> None:
    export(job, out, kind, **EVERYTHING)
    first = {path.name: path.read_bytes() for path in out.rglob("*.*")}
    again = [{"url": "http://b.example/1/1.jpg", "caption": text} for text in ("again", "encore")]
    (tmp_path / "again.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in again))
    job.add(tmp_path / "again.jsonl")

    export(job, out, kind, **EVERYTHING)

    found = {path.name: path.read_bytes() for path in out.rglob("*.*")}
    changed = {"folder": "metadata.jsonl", "jsonl": "metadata.jsonl", "csv": "metadata.csv"}
    expected = {changed[kind]} if kind in changed else {f"00001.{BY_SHARD[kind]}"}
    if kind == "parquet":  # which has a column more
        expected = {name for name in found if name.endswith(".parquet")}
    assert {name for name in found if found[name] != first.get(name)} - {"README.md"} == expected
    assert repeats_in(out, kind) == {(1, 1): [{"caption": "encore"}]}


def repeats_in(out: Path, kind: str) -> dict[tuple[int, int], Any]:
    rows: list[dict[str, Any]]
    match kind:
        case "webdataset":
            urls = [str(path) for path in sorted(out.glob("*.tar"))]
            rows = [sample["json"] for sample in webdataset.WebDataset(urls, shardshuffle=False).decode()]
        case "parquet":
            rows = [row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
        case "csv":
            with (out / "metadata.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
        case _:
            rows = lines(out)
    found = {(int(row["shard"]), int(row["index"])): row.get("repeats") for row in rows}
    return {key: json.loads(each) if isinstance(each, str) else each for key, each in found.items() if each}


def test_a_member_is_the_very_file_and_tells_no_time(job: runner.Job, out: Path, folder: Path) -> None:
    export(job, out, "webdataset", **EVERYTHING)

    with tarfile.open(out / "00000.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == [
            "000000000.jpg",
            "000000000.json",
            "000000001.jpg",
            "000000001.json",
        ]
        assert {(member.mtime, member.uid, member.uname, member.mode) for member in members} == {
            (0, 0, "", 0o644)
        }
        for member in members[::2]:
            file = tar.extractfile(member)
            assert file is not None
            assert file.read() == (folder / "00000" / member.name).read_bytes()


def test_a_caption_is_a_text_of_its_own(job: runner.Job, out: Path) -> None:
    export(job, out, "webdataset", caption_col="caption", **EVERYTHING)

    texts = []
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            texts += [
                tar.extractfile(name).read().decode() for name in tar.getnames() if name.endswith("txt")
            ]
    assert texts == ["Größe 猫", 'two\r\n"lines"', "", "again", '["a", 1]', "one\rtwo", ""]


def test_a_caption_column_that_no_list_has_is_refused_before_anything_is_done(
    job: runner.Job, out: Path
) -> None:
    with pytest.raises(UsageError, match=r"no column called 'text'; there are: caption, n, image_in_list\."):
        export(job, out, "webdataset", caption_col="text")

    assert not out.exists()
    with pytest.raises(UsageError, match="--format webdataset"):
        export(job, out, "parquet", caption_col="caption")


@pytest.mark.parametrize("encode", ["jpg", "png", "webp"])
def test_an_encoding_names_the_member(encode: str, job: runner.Job, out: Path) -> None:
    export(job, out, "webdataset", encode=encode, **EVERYTHING)

    with tarfile.open(out / "00000.tar") as tar:
        assert tar.getnames()[0] == f"000000000.{encode}"


def test_parquet_has_the_images_and_the_lines(job: runner.Job, out: Path, folder: Path) -> None:
    export(job, out, "parquet", **EVERYTHING)

    rows = [row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    for row, line in zip(rows, lines(folder), strict=True):
        assert row.pop("image") == (folder / line["file_name"]).read_bytes()
        captions = row.pop("caption"), line.pop("caption", None)
        assert captions[0] == (None if captions[1] is None else json.dumps(captions[1], ensure_ascii=False))
        assert {name: value for name, value in row.items() if value is not None} == line


def test_every_parquet_file_has_the_same_columns(job: runner.Job, out: Path) -> None:
    export(job, out, "parquet", **EVERYTHING)

    schemas = {str(pq.read_schema(path)) for path in out.glob("*.parquet")}
    assert len(schemas) == 1
    assert pq.read_schema(out / "00000.parquet").field("n").type == "int64"
    assert pq.read_schema(out / "00000.parquet").field("image").type == "binary"


@pytest.mark.parametrize(("limit", "groups"), [("GROUP_BYTES", [1, 1, 1]), ("GROUP_ROWS", [2, 1])])
def test_row_groups_are_bounded(
    limit: str, groups: list[int], tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, limit, 2)
    job = make_job(tmp_path / "job", [[(photo, {}) for photo in PHOTOS[:3]]])

    export(job, out, "parquet", dedup="none")

    found = pq.ParquetFile(out / "00000.parquet").metadata
    assert [found.row_group(number).num_rows for number in range(found.num_row_groups)] == groups


def test_jsonl_is_the_metadata_of_a_folder(job: runner.Job, out: Path, folder: Path) -> None:
    exported = export(job, out, "jsonl", **EVERYTHING)

    assert (out / "metadata.jsonl").read_bytes() == (folder / "metadata.jsonl").read_bytes()
    assert sorted(tree(out)) == ["README.md", "metadata.jsonl"]
    assert (exported.images, exported.bytes) == (7, (out / "metadata.jsonl").stat().st_size)


def test_csv_has_a_column_for_everything(job: runner.Job, out: Path, folder: Path) -> None:
    export(job, out, "csv", **EVERYTHING)

    with (out / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["caption", "n", "image_in_list"]
    assert list(rows[0]) == [*list(lines(folder)[0])[:9], *names]
    for row, line in zip(rows, lines(folder), strict=True):
        assert row["url"] == line["url"]
        assert int(row["width"]) == line["width"]
        assert row["n"] == str(line.get("n", ""))
        assert row["caption"] == (
            json.dumps(line["caption"], ensure_ascii=False) if "caption" in line else ""
        )


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_limit_and_sample_mean_the_same_in_every_format(kind: str, job: runner.Job, out: Path) -> None:
    assert export(job, out, kind, sample=5, limit=3, **EVERYTHING).images == 3
    assert export(job, out, kind, limit=0, **EVERYTHING).images == 0
    assert export(job, out, kind, **EVERYTHING).images == 7


# -- the same every time --


@pytest.mark.parametrize(("kind", "numbers"), [("webdataset", (1, 4)), ("parquet", (2,))])
def test_any_number_of_workers_writes_the_same_bytes(
    kind: str, numbers: Sequence[int], job: runner.Job, tmp_path: Path
) -> None:
    export(job, tmp_path / "here", kind)

    for workers in numbers:
        export(job, tmp_path / f"with{workers}", kind, workers=workers)
        assert tree(tmp_path / f"with{workers}") == tree(tmp_path / "here")


@pytest.mark.parametrize("kind", BY_SHARD)
def test_again_writes_nothing(kind: str, job: runner.Job, out: Path) -> None:
    first = export(job, out, kind)
    before, content = files(out), tree(out)

    assert export(job, out, kind) == first
    assert files(out) == before
    assert tree(out) == content


@pytest.mark.parametrize("kind", BY_SHARD)
def test_another_filter_writes_only_the_shards_that_it_changes(kind: str, job: runner.Job, out: Path) -> None:
    export(job, out, kind, dedup="none", min_side=0)
    before = files(out)

    exported = export(job, out, kind, dedup="none", min_side=100)

    assert {name for name, file in files(out).items() if file != before[name]} == {f"00001.{BY_SHARD[kind]}"}
    assert (exported.images, exported.removed) == (6, 1)


def test_another_quality_writes_only_the_shards_with_something_to_encode(job: runner.Job, out: Path) -> None:
    export(job, out, "webdataset")
    before = files(out)

    export(job, out, "webdataset", quality=50)

    assert {name for name, file in files(out).items() if file != before[name]} == {"00000.tar"}


@pytest.mark.parametrize("kind", BY_SHARD)
def test_a_shard_of_which_nothing_is_kept_has_no_file(kind: str, job: runner.Job, out: Path) -> None:
    export(job, out, kind)
    (out / f".00002.{BY_SHARD[kind]}.part").write_bytes(b"left by a kill")
    (out / "notes.txt").write_text("mine")

    exported = export(job, out, kind, limit=2)

    assert sorted(tree(out)) == [f"00000.{BY_SHARD[kind]}", "README.md", "notes.txt"]
    assert exported.images == 2
    assert exported.removed == 3


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"short")])
@pytest.mark.parametrize("kind", BY_SHARD)
def test_a_missing_or_cut_off_file_is_restored(kind: str, damage: Any, job: runner.Job, out: Path) -> None:
    export(job, out, kind)
    content, before = tree(out), files(out)
    damage(out / f"00001.{BY_SHARD[kind]}")

    export(job, out, kind)

    assert tree(out) == content
    assert {name for name, file in files(out).items() if file == before[name]} == {
        f"00000.{BY_SHARD[kind]}",
        f"00002.{BY_SHARD[kind]}",
    }


def test_an_image_that_no_jpeg_can_hold_is_left_out_and_counted(tmp_path: Path, out: Path) -> None:
    job = make_job(tmp_path / "job", [[(PHOTOS[0], {}), (TOO_LONG, {})], [(TOO_LONG, {})]])

    for _ in range(2):
        exported = export(job, out, "webdataset", **EVERYTHING)
        assert (exported.images, exported.failures) == (1, {"encode": 2})
        assert sorted(tree(out)) == ["00000.tar", "README.md"]


# -- interrupted --


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_between_two_shards_it_goes_on(workers: int, tmp_path: Path, out: Path) -> None:
    job = make_job(tmp_path / "job", [[(photo, {})] for photo in PHOTOS])
    stop = Stop()

    def stop_at_the_first_file(progress: runner.Progress) -> None:
        if list(out.glob("*.tar")):
            stop.ask()

    with pytest.raises(StoppedError):
        export(job, out, "webdataset", stop=stop, progress=stop_at_the_first_file, workers=workers)
    before = files(out)
    assert before
    assert not (out / "README.md").exists()

    export(job, out, "webdataset")

    assert len(list(out.glob("*.tar"))) == len(PHOTOS)
    if workers == 0:
        assert len(before) == 1
        assert files(out).items() > before.items(), "what was written is left alone"


def test_killed_at_any_moment_it_goes_on(tmp_path: Path, out: Path) -> None:
    job = make_job(tmp_path / "job", [[(PHOTOS[seed % 8], {})] for seed in range(40)])
    export(job, tmp_path / "undisturbed", "webdataset", dedup="none")
    command = [sys.executable, "-m", "runner", "export", job.folder.path, out, "--format", "webdataset"]
    child = subprocess.Popen([*command, "--dedup", "none", "--workers", "2"], start_new_session=True)
    while child.poll() is None and not list(out.glob("*.tar")):
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()

    export(job, out, "webdataset", dedup="none")

    assert tree(out) == tree(tmp_path / "undisturbed")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", BY_SHARD)
def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(
    kind: str, workers: int, job: runner.Job, out: Path
) -> None:
    export(job, out, kind, limit=1)
    (out / f".00001.{BY_SHARD[kind]}.part").symlink_to("/dev/full")

    with pytest.raises(DiskFullError, match="free some space"):
        export(job, out, kind, workers=workers)

    assert export(job, out, kind).images == 5


def test_an_image_that_kills_its_worker_is_found_and_left_out(
    job: runner.Job, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(job, out, "webdataset", **EVERYTHING)  # for the hashes and the table
    monkeypatch.setattr(shards, "ProbeStage", LethalProbe)
    folder = job.folder
    with DedupTable(folder.dedup) as table, folder.checkpoint() as checkpoint:
        kept = Kept(table, range(3), ExportOptions())
        contents = Contents(folder.lists(folder.heads()), folder.batches, folder.hashes, kept, Rendering())
        exporter = ShardsExport(ShardStage(contents, LocalFolder(out), LethalTar()), 7, checkpoint)
        for part in exporter.runs():
            run(part.stage, part.work, checkpoint, workers=2)
        exported = exporter.finish()

    assert (exported.images, exported.failures) == (6, {"crashed": 1})
    with tarfile.open(out / "00000.tar") as tar:
        assert tar.getnames() == ["000000000.jpg", "000000000.json"]


def test_what_is_pending_again_stays_in_its_file(job: runner.Job, out: Path) -> None:
    export(job, out, "webdataset")
    before = files(out)
    with ShardFile(shard_file(job.folder.batches, 2)) as batch:
        image = batch.stored(Key(2, 0))
        assert image is not None
        batch.delete([0])
    assert list(job.repair())
    assert job.status().items["pending"] == 1

    assert export(job, out, "webdataset").images == 5
    assert files(out) == before

    with ShardFile(shard_file(job.folder.batches, 2)) as batch:  # as a resume brings it back
        batch.append([image])
    with Checkpoint(job.folder.checkpoint_path) as checkpoint:
        checkpoint.commit("download", [(image.key, image.mark)])
    assert export(job, out, "webdataset").images == 5
    assert files(out) == before
    assert export(job, out, "webdataset", limit=4).images == 4
    assert files(out) != before


# -- how far it is --


def test_progress_counts_images(job: runner.Job, out: Path) -> None:
    for first, new in ((0, 5), (5, 0)):
        heard: list[runner.Progress] = []
        export(job, out, "webdataset", progress=heard.append)

        heard = [progress for progress in heard if progress.stage == "export"]
        assert (heard[0].total, heard[0].done) == (5, first)
        assert (heard[-1].done, heard[-1].new, heard[-1].failed) == (5, new, 0)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("folder", r"5 images \(.* kB\) and metadata.jsonl\."),
        ("webdataset", r"5 images in tar files \(.* kB\)\."),
        ("parquet", r"5 images in parquet files \(.* kB\)\."),
        ("jsonl", r"the metadata of 5 images, metadata.jsonl \(.* kB\)\."),
        ("csv", r"the metadata of 5 images, metadata.csv \(.* bytes\)\."),
    ],
)
def test_the_command_says_what_it_wrote(
    kind: str, said: str, job: runner.Job, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(job.folder.path), str(out), "--format", kind, "--workers", "0"]

    assert main([*arguments, "--no-progress"]) == 0

    assert re.search(f"^{out}: {said}$", capsys.readouterr().out, re.MULTILINE)


def test_parquet_without_pyarrow_says_what_to_install(
    job: runner.Job, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(RunnerError, match=r"pip install 'runner-images\[parquet\]'"):
        export(job, out, "parquet")

    assert not out.exists()


# -- one format to a place --


def test_another_format_in_the_same_place_is_refused(job: runner.Job, out: Path) -> None:
    export(job, out, "webdataset")
    content = tree(out)

    for kind in set(EXPORT_FORMATS) - {"webdataset"}:
        with pytest.raises(
            UsageError, match=f"holds an export as webdataset: choose another place for {kind}"
        ):
            export(job, out, kind)

    assert tree(out) == content
