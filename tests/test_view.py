"""The images of a job as a sequence: order, slices, look-ups, filters; pickled, forked, in threads."""

import multiprocessing
import pickle
import resource
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pictures
import pytest

import runner
from runner import Images, Job
from runner.engine.items import DONE, Key, Mark, Result
from runner.engine.shardfile import ShardFile, shard_file
from runner.errors import DamagedError, JobError, StoreError, UsageError
from runner.manifest import Row, write_manifests
from runner.view import StoredItem

ROWS = 10  # in three shards of 4, 4 and 2
STORED = [0, 1, 3, 4, 6, 8, 9]
PHOTOS = [pictures.encode(pictures.photo(seed)) for seed in range(3)]
SMALL = pictures.encode(pictures.photo(5, (80, 60)))


def url(row: int) -> str:
    return f"http://Pictures.example/{row}.jpg"


def make_job(path: Path, bodies: dict[int, bytes], rows: int = ROWS, shard_size: int = 4) -> Job:
    """A job in which these rows of the list are stored; the others have failed."""
    urls = path.with_suffix(".txt")
    urls.write_text("".join(url(row) + "\n" for row in range(rows)))
    job = Job.create(path, [urls], shard_size=shard_size, workers=0)
    store(job, range(rows), bodies)
    return job


def store(job: Job, rows: Sequence[int], bodies: dict[int, bytes]) -> None:
    job.folder.batches.mkdir(exist_ok=True)
    marks = {}
    payloads = defaultdict(list)
    for row in rows:
        key = Key(*divmod(row, job.folder.config.shard_size))
        marks[key] = Mark("http_404")
        if row in bodies:
            marks[key] = Mark(DONE, len(bodies[row]), (200, 1, "image/jpeg", None))
            payloads[key.shard].append(Result(key, marks[key], bodies[row]))
    for shard, results in payloads.items():
        with ShardFile(shard_file(job.folder.batches, shard)) as batch:
            batch.append(results)
    with job.folder.checkpoint() as checkpoint:
        checkpoint.commit("download", marks.items())


def body(row: int) -> bytes:
    return b"image %d" % row


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path / "job", {row: body(row) for row in STORED})


def rows_of(images: Iterator[tuple[StoredItem, bytes]] | Images) -> list[int]:
    """The rows of the list, once it is sure that each came with its own bytes and URL."""
    rows = []
    for item, data in images:
        rows.append(item.shard * 4 + item.index)
        assert (item.url, item.columns, data) == (url(rows[-1]), {}, body(rows[-1]))
    return rows


def test_it_is_a_sequence_of_what_is_stored(job: Job) -> None:
    images = Images(job)
    assert len(images) == len(STORED)
    assert rows_of(images) == rows_of(runner.images(job)) == STORED
    assert rows_of(images[position] for position in range(len(images))) == STORED
    assert rows_of([images[-1], images[-len(images)]]) == [STORED[-1], STORED[0]]
    for position in (len(images), -len(images) - 1):
        with pytest.raises(IndexError, match=f"no image {position}: there are {len(images)} images"):
            images[position]


def test_a_slice_is_a_view_of_its_own(job: Job) -> None:
    images = Images(job.folder.path)
    for part in (slice(2, 5), slice(None, None, 3), slice(-2, None), slice(5, 2)):
        assert rows_of(images[part]) == STORED[part]
    odd, even = images[1::2], images[::2]
    assert sorted(rows_of(odd) + rows_of(even)) == STORED
    assert even.by_url(url(STORED[2]))[1] == body(STORED[2])
    with pytest.raises(KeyError):
        odd.by_url(url(STORED[2]))
    with pytest.raises(ValueError, match="forward"):
        images[::-1]


def test_it_is_asked_by_url_however_that_is_written(job: Job) -> None:
    images = Images(job)
    for row in STORED:
        for way in (url(row), f"HTTP://pictures.EXAMPLE:80/{row}.jpg#top"):
            item, data = images.by_url(way)
            assert (item.shard * 4 + item.index, data) == (row, body(row))
    for absent in (url(2), url(0).upper(), "no url"):
        with pytest.raises(KeyError):
            images.by_url(absent)


def test_equal_digests_do_not_make_equal_urls(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.view._digest", lambda _: 7)
    images = Images(job)
    assert [images.by_url(url(row))[1] for row in STORED] == [body(row) for row in STORED]
    with pytest.raises(KeyError):
        images.by_url(url(2))


def test_an_item_knows_its_columns_and_travels_with_them(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", {0: body(0)}, rows=1)
    manifest = job.folder.manifests / "00000.jsonl"
    write_manifests([Row(url(0), {"caption": "Größe 猫"})], manifest.parent, 4)
    item, _ = Images(job)[0]
    assert item.columns == {"caption": "Größe 猫"}
    packed = pickle.dumps(item)
    manifest.unlink()
    again = pickle.loads(packed)
    assert (again.shard, again.index, again.url, again.columns) == (0, 0, url(0), item.columns)
    assert url(0) in repr(again)


def test_it_shows_what_was_stored_when_it_was_made(job: Job) -> None:
    images = Images(job)
    store(job, [2, 5], {2: body(2), 5: body(5)})
    assert rows_of(images) == STORED
    assert rows_of(Images(job)) == sorted([*STORED, 2, 5])


def test_a_job_without_images_is_an_empty_sequence(tmp_path: Path) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text(url(0))
    images = Images(Job.create(tmp_path / "job", [urls]))
    assert len(images) == 0
    assert list(images) == []
    with pytest.raises(KeyError):
        images.by_url(url(0))


def test_what_an_export_would_keep(tmp_path: Path) -> None:
    bodies = {0: PHOTOS[0], 1: PHOTOS[1], 4: PHOTOS[0], 5: b"no image", 8: SMALL, 9: PHOTOS[2]}
    job = make_job(tmp_path / "job", bodies)
    with pytest.raises(JobError, match="6 images are not hashed yet"):
        Images(job, kept=True)
    job.hash()

    def kept(**options: object) -> list[int]:
        return [item.shard * 4 + item.index for item, _ in Images(job, kept=True, **options)]

    assert kept() == [0, 1, 9]
    assert kept(dedup="none") == [0, 1, 4, 9]
    assert kept(min_side=0) == [0, 1, 8, 9]
    assert kept(min_side=0, max_side=100) == [8]
    report = job.export(tmp_path / "out", min_side=0)
    assert report.wanted == len(kept(min_side=0))
    assert kept(min_side=0) == [0, 1, 8, 9]


def test_options_that_say_nothing_of_what_is_kept_are_refused(job: Job) -> None:
    with pytest.raises(UsageError, match="kept=True goes with min_side"):
        Images(job, min_side=3)
    with pytest.raises(UsageError, match="limit"):
        Images(job, kept=True, limit=3)


def damage(job: Job, row: int) -> None:
    """Change a byte of a stored image, behind LMDB's back."""
    path = shard_file(job.folder.batches, row // 4)
    data = path.read_bytes()
    path.write_bytes(data.replace(body(row), body(row)[:-1] + b"?"))


def test_damaged_bytes_are_found_out_on_demand(job: Job) -> None:
    damage(job, 3)
    assert Images(job)[2][1] != body(3)
    with pytest.raises(DamagedError):
        Images(job, verify=True)[2]
    with pytest.raises(DamagedError):
        list(Images(job))


def test_a_damaged_checkpoint_is_no_list_of_images(job: Job) -> None:
    path = job.folder.checkpoint_path
    path.write_bytes(path.read_bytes().replace(b"\x93\xa4done", b"\x93\xa4dome"))
    with pytest.raises(DamagedError):
        Images(job)


def test_bytes_that_are_gone_are_an_error(job: Job) -> None:
    images = Images(job)
    with ShardFile(shard_file(job.folder.batches, 0)) as batch:
        batch.delete([1])
    with pytest.raises(StoreError, match=r"\(0, 1\) are missing"):
        images[1]
    with pytest.raises(StoreError, match=r"\(0, 1\) are missing"):
        list(images)


def test_few_files_are_open_at_a_time(tmp_path: Path) -> None:
    rows = 60
    job = make_job(tmp_path / "job", {row: body(row) for row in range(rows)}, rows, shard_size=1)
    images = Images(job)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = sum(1 for _ in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 50, limits[1]))
    try:
        for _ in range(2):
            found = [(item.url, data) for item, data in (images[row] for row in range(rows))]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == [(url(row), body(row)) for row in range(rows)]


def check_all(images: Images, answers: "multiprocessing.Queue[list[int]]") -> None:
    answers.put(rows_of(images[position] for position in reversed(range(len(images)))))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("used_before", [False, True])
def test_processes_share_it(job: Job, method: str, used_before: bool) -> None:
    images = Images(job)
    if used_before:
        assert images.by_url(url(4))[0].url == url(4)
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    children = [context.Process(target=check_all, args=(images, answers)) for _ in range(2)]
    for child in children:
        child.start()
    assert rows_of(images) == STORED
    assert [answers.get(timeout=60) for _ in children] == [STORED[::-1]] * 2
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert rows_of([images[3]]) == [STORED[3]]


def test_a_pickled_one_has_its_index_of_urls(job: Job) -> None:
    images = Images(job)
    small = len(pickle.dumps(images))
    images.by_url(url(0))
    again = pickle.loads(pickle.dumps(images))
    assert again.by_url(url(9))[1] == body(9)
    assert small < 1000


def test_threads_share_it(job: Job) -> None:
    images = Images(job)
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(rows_of(images[:]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [STORED] * 4
