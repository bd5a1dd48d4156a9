"""The whole export pass: a job as download and hash leave it, exported again and again."""

import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pictures
import pytest
from PIL import Image

from runner.dedup import reduce
from runner.deduptable import DedupTable
from runner.engine.checkpoint import Checkpoint
from runner.engine.items import CRASHED, DONE, Key, Mark, Result
from runner.engine.run import run
from runner.engine.shardfile import ShardFile, shard_file
from runner.errors import DiskFullError, UsageError
from runner.examiner import fingerprint
from runner.export.kept import Kept
from runner.export.output import LocalFolder, claim
from runner.export.stage import ExportStage
from runner.export.update import Exported, finish, prepare
from runner.export_options import ExportOptions, Filters, Rendering, Selection
from runner.hashing import HashStage
from runner.manifest import Row, write_manifests
from runner.repeats import Lists

PHOTOS = [pictures.encode(pictures.photo(seed)) for seed in range(4)]
PNG = pictures.encode(pictures.photo(10), "PNG")
TURNED = pictures.with_orientation(pictures.photo(11), 6, "JPEG")
SMALL = pictures.encode(pictures.photo(12, (64, 48)))
TOO_LONG = pictures.encode(Image.new("L", (65_530, 1)), "PNG")
# Two shards; the first photo is in both, so the policy "bytes" drops (1, 1).
IMAGES = [[PHOTOS[0], PNG, SMALL, TURNED], [PHOTOS[1], PHOTOS[0], PHOTOS[2]]]


@dataclass(frozen=True)
class Job:
    """A job folder with its images stored and hashed."""

    path: Path
    shards: Sequence[int]

    def stage(self, out: Path, rendering: Rendering = Rendering()) -> ExportStage:  # noqa: B008 (frozen)
        return ExportStage(self.path / "batches", self.path / "hashes", LocalFolder(out), rendering)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.path / "checkpoint.lmdb")

    def table(self, dedup: Any = "none", min_side: int = 0, reselect: bool = False) -> DedupTable:
        path = self.path / "dedup.lmdb"
        selection = Selection(dedup, filters=Filters(min_side=min_side))
        reduce(self.path / "hashes", path, selection, reselect=reselect, shards=self.shards)
        return DedupTable(path)

    def export(self, out: Path, *, workers: int = 0, **options: Any) -> Exported:
        policy = {name: options.pop(name) for name in ("dedup", "min_side", "reselect") if name in options}
        chosen = {name: options.pop(name) for name in ("limit", "sample", "seed") if name in options}
        stage = self.stage(out, Rendering(**options))
        with self.table(**policy) as table, self.checkpoint() as checkpoint:
            kept = Kept(table, self.shards, ExportOptions(**chosen))
            claim(stage.out, self.path.resolve(), checkpoint, "folder")
            prepare(stage, kept, checkpoint)
            run(stage, kept.work(), checkpoint, workers=workers)
            return finish(stage, kept, checkpoint, Lists(self.path / "manifests", self.path / "none", 0))


def make_job(path: Path, images: Sequence[Sequence[bytes]] = IMAGES, **columns: Any) -> Job:
    """Shards of equal size, but for the last; every row has the columns."""
    for name in ("manifests", "batches", "hashes"):
        (path / name).mkdir(parents=True)
    urls = (
        f"http://a.example/{shard}/{index}" for shard, row in enumerate(images) for index in range(len(row))
    )
    write_manifests((Row(url, columns) for url in urls), path / "manifests", len(images[0]))
    for shard, bodies in enumerate(images):
        with ShardFile(shard_file(path / "batches", shard)) as batch:
            batch.append(
                [Result(Key(shard, index), Mark(DONE, len(body)), body) for index, body in enumerate(bodies)]
            )
    with Checkpoint(path / "checkpoint.lmdb") as checkpoint:
        work = [(shard, range(len(bodies))) for shard, bodies in enumerate(images)]
        run(HashStage(path / "batches", path / "hashes"), work, checkpoint, workers=0)
    return Job(path, range(len(images)))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path / "job")


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob("*/*"))


def images(out: Path) -> dict[str, tuple[bytes, int, int]]:
    """Name -> content, inode and time of change: what a file must keep to count as untouched."""
    return {
        path.name: (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns)
        for path in out.glob("*/*.jpg")
    }


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (out / "metadata.jsonl").read_text().splitlines()]


# -- what is in it --


def test_each_kept_image_is_a_file_and_a_line(job: Job, out: Path) -> None:
    exported = job.export(out)

    names = [
        f"0000{shard}/0000{shard}000{index}.jpg"
        for shard, row in enumerate(IMAGES)
        for index in range(len(row))
    ]
    files = contents(out)
    assert sorted(files) == [*names, "metadata.jsonl"]
    assert [line["file_name"] for line in lines(out)] == names
    assert exported == Exported(7, sum(len(files[name]) for name in names), 0, {})


def test_upright_jpegs_are_the_very_bytes(job: Job, out: Path) -> None:
    job.export(out)

    assert contents(out)["00000/000000000.jpg"] == PHOTOS[0]
    assert contents(out)["00001/000010002.jpg"] == PHOTOS[2]


def test_a_line_tells_of_the_file_and_of_the_bytes_as_served(job: Job, out: Path) -> None:
    job.export(out)

    for line, body in zip(lines(out), [body for row in IMAGES for body in row], strict=True):
        with Image.open(out / line["file_name"]) as image:
            assert image.format == "JPEG"
            assert (line["width"], line["height"]) == image.size
        assert line["sha256"] == fingerprint(body).sha256.hex()
        assert line["url"] == f"http://a.example/{line['shard']}/{line['index']}"


def test_a_line_counts_the_images_it_stands_for(job: Job, out: Path) -> None:
    job.export(out, dedup="bytes")

    assert {line["index"]: line["duplicates"] for line in lines(out) if line["shard"] == 0} == {
        0: 1,
        1: 0,
        2: 0,
        3: 0,
    }


def test_columns_of_the_list_are_carried(tmp_path: Path, out: Path) -> None:
    make_job(tmp_path / "job", [PHOTOS], caption="a cat", width=3).export(out)

    assert [(line["caption"], line["width_in_list"], line["width"]) for line in lines(out)] == [
        ("a cat", 3, 192)
    ] * 4


def test_an_image_that_no_jpeg_can_hold_is_a_failure_of_its_own(tmp_path: Path, out: Path) -> None:
    job = make_job(tmp_path / "job", [[PHOTOS[0], TOO_LONG, PHOTOS[1]]])

    assert job.export(out).failures == {"encode": 1}
    assert job.export(out).failures == {"encode": 1}

    assert [line["index"] for line in lines(out)] == [0, 2]
    assert len(images(out)) == 2


def test_worker_processes_write_the_same_bytes(job: Job, tmp_path: Path) -> None:
    job.export(tmp_path / "here")
    job.export(tmp_path / "there", workers=2)

    assert contents(tmp_path / "here") == contents(tmp_path / "there")


# -- again --


def test_again_changes_nothing(job: Job, out: Path) -> None:
    first = job.export(out)
    files, before = contents(out), images(out)

    assert job.export(out) == first

    assert contents(out) == files
    assert images(out) == before


def test_another_policy_removes_exactly_the_difference(job: Job, out: Path) -> None:
    job.export(out)
    before = images(out)

    exported = job.export(out, dedup="bytes", min_side=100)

    gone = {"000000002.jpg", "000010001.jpg"}
    assert images(out) == {name: file for name, file in before.items() if name not in gone}
    assert exported.removed == 2
    assert [Path(line["file_name"]).name for line in lines(out)] == sorted(before.keys() - gone)


def test_another_policy_adds_exactly_the_difference(job: Job, out: Path) -> None:
    job.export(out, dedup="bytes", min_side=100)
    before = images(out)

    job.export(out)

    assert len(images(out)) == 7
    assert images(out).items() >= before.items()


def test_a_limit_takes_the_first_in_item_order(job: Job, out: Path) -> None:
    for limit in (5, 2, 0, 7, 100):
        exported = job.export(out, limit=limit)

        first = [(shard, index) for shard, row in enumerate(IMAGES) for index in range(len(row))][:limit]
        assert exported.images == len(first) == len(images(out))
        assert [(line["shard"], line["index"]) for line in lines(out)] == first


def test_a_shard_without_images_has_no_folder(job: Job, out: Path) -> None:
    job.export(out)
    job.export(out, limit=4)

    assert sorted(path.name for path in out.iterdir()) == ["00000", "metadata.jsonl"]


def test_another_quality_writes_only_what_is_encoded(job: Job, out: Path) -> None:
    job.export(out)
    before = images(out)

    job.export(out, quality=50)

    changed = {name for name, file in images(out).items() if file != before[name]}
    assert changed == {"000000001.jpg", "000000003.jpg"}


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"short")])
def test_a_missing_or_cut_off_file_is_restored(damage: Any, job: Job, out: Path) -> None:
    job.export(out)
    files, before = contents(out), images(out)
    damage(out / "00000/000000001.jpg")

    job.export(out)

    assert contents(out) == files
    assert {name for name, file in images(out).items() if file != before[name]} == {"000000001.jpg"}


def test_what_a_worker_died_of_is_tried_again(job: Job, out: Path) -> None:
    with job.checkpoint() as checkpoint:
        checkpoint.commit(job.stage(out).name, [(Key(0, 1), Mark(CRASHED))])

    assert job.export(out).images == 7


def test_other_files_in_the_folder_are_left_alone(job: Job, out: Path) -> None:
    job.export(out)
    mine = {"README.txt": b"mine", "00001/notes.txt": b"mine", "00009/000090000.jpg": b"mine"}
    for name, data in mine.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(data)

    job.export(out, limit=1)

    assert contents(out).items() >= mine.items()
    assert len(contents(out)) == len(mine) + 2


def test_each_folder_has_its_own_marks(job: Job, tmp_path: Path) -> None:
    job.export(tmp_path / "all")
    job.export(tmp_path / "few", limit=2)

    assert len(images(tmp_path / "all")) == 7
    assert len(images(tmp_path / "few")) == 2
    assert job.export(tmp_path / "all").removed == 0


def test_a_folder_is_the_same_however_it_is_spelt(job: Job, tmp_path: Path) -> None:
    job.export(tmp_path / "out")
    before = images(tmp_path / "out")
    (tmp_path / "link").symlink_to(tmp_path / "out")

    job.export(tmp_path / "link")

    assert images(tmp_path / "out") == before


def test_another_encoding_replaces_every_file(job: Job, out: Path) -> None:
    job.export(out)
    before = contents(out)

    exported = job.export(out, encode="png")

    assert exported.images == 7
    assert exported.removed == 0
    assert names(out) == [Path(name).name.replace(".jpg", ".png") for name in sorted(before)][:-1]
    assert contents(out)["00000/000000001.png"] == PNG, "what is a PNG already is written as it is"
    assert [line["file_name"] for line in lines(out)] == sorted(contents(out))[:-1]

    job.export(out)
    assert contents(out) == before


@pytest.mark.parametrize("resize", ["keep_ratio", "keep_ratio_largest", "border", "center_crop"])
@pytest.mark.parametrize("encode", ["jpg", "png", "webp"])
def test_a_line_tells_the_size_of_the_file_written(resize: str, encode: str, job: Job, out: Path) -> None:
    job.export(out, resize=resize, size=96, encode=encode)

    assert len(lines(out)) == 7
    for line in lines(out):
        with Image.open(out / line["file_name"]) as image:
            assert image.size == (line["width"], line["height"])
            assert 96 in image.size


def test_only_what_another_size_changes_is_written_again(job: Job, out: Path) -> None:
    job.export(out)
    before = images(out)

    job.export(out, resize="keep_ratio", size=100, only_bigger=True)

    same = {name for name, file in images(out).items() if file == before[name]}
    assert same == {"000000002.jpg"}, "the one that is no bigger"


def test_a_sample_is_the_same_every_time_and_part_of_a_larger_one(job: Job, out: Path) -> None:
    samples = []
    for size in (0, 3, 3, 5, 7, 100):
        assert job.export(out, sample=size).images == min(size, 7)
        samples.append(set(names(out)))
    assert samples[1] == samples[2]
    assert all(smaller <= larger for smaller, larger in pairwise(samples))

    job.export(out, sample=3, seed=1)
    assert set(names(out)) != samples[1]
    job.export(out, sample=5, limit=2)
    assert names(out) == sorted(samples[3])[:2]


# -- more shards --


def test_what_was_exported_stays_when_a_larger_copy_is_added(tmp_path: Path, out: Path) -> None:
    small, large = (pictures.encode(pictures.photo(1, size)) for size in ((128, 96), (384, 288)))
    both = make_job(tmp_path / "job", [[small, PHOTOS[2]], [large, PHOTOS[3]]])
    replace(both, shards=[0]).export(out, dedup="near")
    before = images(out)

    both.export(out, dedup="near")

    assert images(out).items() > before.items()
    assert names(out) == ["000000000.jpg", "000000001.jpg", "000010001.jpg"]
    assert lines(out)[0]["duplicates"] == 1


def test_reselect_chooses_the_larger_copy(tmp_path: Path, out: Path) -> None:
    small, large = (pictures.encode(pictures.photo(1, size)) for size in ((128, 96), (384, 288)))
    both = make_job(tmp_path / "job", [[small, PHOTOS[2]], [large, PHOTOS[3]]])
    replace(both, shards=[0]).export(out, dedup="near")

    exported = both.export(out, dedup="near", reselect=True)

    assert exported.removed == 1
    assert names(out) == ["000000001.jpg", "000010000.jpg", "000010001.jpg"]


# -- safety and interruption --


def test_a_folder_with_other_files_is_refused_and_left_alone(job: Job, out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("years")

    with pytest.raises(UsageError, match="not empty"):
        job.export(out)

    assert contents(out) == {"thesis.tex": b"years"}


def written_without_marks(job: Job, out: Path) -> Iterator[Result | None]:
    """What a run does that is killed before its first marks are committed."""
    stage = job.stage(out)
    with job.table() as table, job.checkpoint() as checkpoint:
        claim(stage.out, job.path.resolve(), checkpoint, "folder")
        prepare(stage, Kept(table, job.shards, ExportOptions()), checkpoint)
    yield from stage.process(stage.read(0, [1, 2]))
    (out / ".00000.part/000000003.jpg").write_bytes(b"half")


def test_killed_before_the_first_mark_it_goes_on(job: Job, tmp_path: Path, out: Path) -> None:
    assert len(list(written_without_marks(job, out))) == 2

    job.export(out)
    job.export(tmp_path / "undisturbed")

    assert contents(out) == contents(tmp_path / "undisturbed")


def test_what_a_killed_run_wrote_and_is_kept_no_longer_goes(job: Job, tmp_path: Path, out: Path) -> None:
    assert len(list(written_without_marks(job, out))) == 2

    job.export(out, limit=1)
    job.export(tmp_path / "undisturbed", limit=1)

    assert contents(out) == contents(tmp_path / "undisturbed")


def test_killed_before_a_new_shard_has_its_name_nothing_is_written_again(job: Job, out: Path) -> None:
    stage = job.stage(out)
    with job.table() as table, job.checkpoint() as checkpoint:
        kept = Kept(table, job.shards, ExportOptions())
        claim(stage.out, job.path.resolve(), checkpoint, "folder")
        run(stage, kept.work(), checkpoint, workers=0)
    assert not list(out.glob("0*"))
    written = {path.name: path.stat().st_ino for path in out.glob(".*/*")}
    assert len(written) == 7

    job.export(out)

    assert {path.name: path.stat().st_ino for path in out.glob("0*/*")} == written


def test_killed_after_the_run_the_next_export_does_the_rest(job: Job, tmp_path: Path, out: Path) -> None:
    job.export(out)
    listed = lines(out)
    stage = job.stage(out)
    with job.table("bytes") as table, job.checkpoint() as checkpoint:
        kept = Kept(table, job.shards, ExportOptions())
        claim(stage.out, job.path.resolve(), checkpoint, "folder")
        prepare(stage, kept, checkpoint)
        run(stage, kept.work(), checkpoint, workers=0)

    assert lines(out) == listed
    assert all((out / line["file_name"]).exists() for line in listed)
    job.export(out, dedup="bytes")
    job.export(tmp_path / "undisturbed", dedup="bytes")
    assert contents(out) == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(workers: int, job: Job, out: Path) -> None:
    obstacle = out / ".00001.part/000010002.jpg"
    with job.checkpoint() as checkpoint:
        claim(job.stage(out).out, job.path.resolve(), checkpoint, "folder")
    obstacle.parent.mkdir(parents=True)
    obstacle.symlink_to("/dev/full")

    with pytest.raises(DiskFullError, match="free some space"):
        job.export(out, workers=workers)
    assert not (out / "metadata.jsonl").exists()
    obstacle.unlink()

    assert job.export(out, workers=workers).images == 7


# -- settings --


def test_the_stage_travels_to_a_worker(job: Job, out: Path) -> None:
    stage = job.stage(out)

    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage.name.startswith("export:")
    assert stage.name != job.stage(out / "other").name
