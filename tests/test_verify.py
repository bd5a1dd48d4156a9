"""Files cut off, flipped, rolled back, lost: named by verify, mended by repair, never silently wrong."""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pictures
import pytest
from webserver import WebServer, answer

from runner import Job, examiner, images
from runner.cli import main
from runner.engine.pages import read_meta
from runner.errors import DamagedError, JobError, RunnerError
from runner.verify import summarize

PAGE = 4096
PHOTOS = {f"/{n}.jpg": pictures.encode(pictures.photo(n)) for n in range(24)}
COPIES = {f"/copy{n}.jpg": PHOTOS[f"/{n}.jpg"] for n in range(4)}
BODIES = PHOTOS | COPIES
FILES = ("checkpoint.lmdb", "batches/00001.lmdb", "hashes/00001.lmdb", "dedup.lmdb")


@dataclass(frozen=True)
class Site:
    """A finished job, an older copy of it, and the export that it gives."""

    server: WebServer
    finished: Path
    older: Path
    export: dict[str, bytes]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with WebServer({path: answer(body) for path, body in BODIES.items()}) as server:
        paths = [*BODIES, "/none1.jpg", "/none2.jpg", "/none3.jpg"]
        (folder / "urls.txt").write_text("\n".join(server.url(path) for path in paths))
        urls = [str(folder / "urls.txt")]
        job = Job.create(folder / "job", urls, shard_size=8, workers=0, allow_private=True)
        server.routes["/21.jpg"] = answer(status="404 Not Found")  # fails in the older copy alone
        job.download()
        job.export(folder / "first", workers=0)
        shutil.copytree(folder / "job", folder / "older")
        server.routes["/21.jpg"] = answer(BODIES["/21.jpg"])
        shutil.rmtree(folder / "job")
        job = Job.create(folder / "job", urls, shard_size=8, workers=0, allow_private=True)
        job.download()
        job.export(folder / "out", workers=0)
        yield Site(server, folder / "job", folder / "older", tree(folder / "out"))


@pytest.fixture
def job(site: Site, tmp_path: Path) -> Job:
    shutil.copytree(site.finished, tmp_path / "job")
    return Job.open(tmp_path / "job")


def half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def one_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:PAGE])


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def last_pages(path: Path) -> None:
    """From the root on, which is among the last; the very last may be free."""
    path.write_bytes(path.read_bytes()[: read_meta(path).tables.root * PAGE])


def pages(change: Callable[[bytearray, int, random.Random], None]) -> Callable[[Path], None]:
    """Damage to 20 pages (or all but the first two of a smaller file)."""

    def damage(path: Path) -> None:
        chance = random.Random(path.name)
        data = bytearray(path.read_bytes())
        count = len(data) // PAGE
        for page in chance.sample(range(2, count), min(20, count - 2)):
            change(data, page * PAGE, chance)
        path.write_bytes(data)

    return damage


def noise(data: bytearray, at: int, chance: random.Random) -> None:
    data[at : at + PAGE] = chance.randbytes(PAGE)


def zeros(data: bytearray, at: int, chance: random.Random) -> None:
    data[at : at + PAGE] = bytes(PAGE)


def one_bit(data: bytearray, at: int, chance: random.Random) -> None:
    data[at + chance.randrange(PAGE)] ^= 1 << chance.randrange(8)


FAULTS: dict[str, Callable[[Path], None]] = {
    "half": half,
    "one page": one_page,
    "nothing": nothing,
    "last pages": last_pages,
    "noise": pages(noise),
    "zeros": pages(zeros),
    "bits": pages(one_bit),
    "missing": Path.unlink,
}
# What this leaves is a job that was never exported.
HARMLESS = {("dedup.lmdb", "missing")}


def check_bodies(site: Site, job: Job) -> None:
    stored = {item.url: body for item, body in images(job)}
    assert stored == {site.server.url(path): body for path, body in BODIES.items()}
    items = job.status().items
    assert items == {"total": len(BODIES) + 3, "stored": len(BODIES), "failed": 3, "pending": 0}


def check_that_it_is_never_silently_wrong(site: Site, job: Job, out: Path) -> None:
    """Every step ends as it should, or says which file is damaged."""
    message = None
    try:
        job.status()
        job.download()
        job.export(out, workers=0)
    except RunnerError as error:
        message = str(error)
    if message is None:
        check_bodies(site, job)
        assert tree(out) == site.export
    else:
        assert ".lmdb" in message or "runner verify" in message


def mend(site: Site, job: Job, out: Path) -> None:
    list(job.repair())
    assert list(job.verify(deep=True)) == []
    job.download()
    check_bodies(site, job)
    job.export(out, workers=0)
    assert tree(out) == site.export
    assert list(job.verify(deep=True)) == []


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_mended(site, job, tmp_path, name, fault):
    FAULTS[fault](job.folder.path / name)
    found = list(job.verify(deep=True))
    if fault != "bits":  # which may have hit bytes that are not in use
        assert bool(found) == ((name, fault) not in HARMLESS)
    shutil.copytree(job.folder.path, tmp_path / "copy")
    check_that_it_is_never_silently_wrong(site, Job.open(tmp_path / "copy"), tmp_path / "out1")
    mend(site, job, tmp_path / "out2")


@pytest.mark.parametrize("names", [*((name,) for name in FILES), FILES[1:], FILES[:1] + FILES[2:]])
def test_files_of_another_time_are_told_from_those_of_now(site, job, tmp_path, names):
    for name in names:
        shutil.copy(site.older / name, job.folder.path / name)
    shutil.copytree(job.folder.path, tmp_path / "copy")
    check_that_it_is_never_silently_wrong(site, Job.open(tmp_path / "copy"), tmp_path / "out1")
    mend(site, job, tmp_path / "out2")


def test_what_is_intact_is_kept(site, job, tmp_path):
    half(job.folder.batches / "00001.lmdb")
    one_page(job.folder.hashes / "00002.lmdb")
    before = len(site.server.heads)
    list(job.repair())
    pending = job.status().items["pending"]
    assert 0 < pending < 8
    job.download()
    assert len(site.server.heads) - before == pending
    check_bodies(site, job)


def test_without_a_checkpoint_nothing_stored_is_fetched_or_hashed_again(site, job, tmp_path, monkeypatch):
    """And the job still knows the folders that it has exported to."""
    out = tmp_path / "out"
    job.export(out, workers=0)
    job.folder.checkpoint_path.unlink()
    (finding,) = job.verify(deep=True)
    assert (finding.path, finding.key) == (job.folder.checkpoint_path, None)
    before = site.server.counts()
    job.download()
    again = site.server.counts() - before
    assert set(again) == {"/none1.jpg", "/none2.jpg", "/none3.jpg"}
    check_bodies(site, job)
    assert list(job.verify(deep=True)) == []
    monkeypatch.delattr(examiner, "fingerprint")
    job.export(out, workers=0)
    assert tree(out) == site.export


@pytest.mark.parametrize("fault", [half, nothing, Path.unlink])
def test_notes_are_kept_twice(site, job, tmp_path, fault):
    out, notes = tmp_path / "out", job.folder.path / "checkpoint.notes"
    job.export(out, workers=0)
    fault(notes)
    (finding,) = job.verify()
    assert finding.path == notes
    list(job.repair())
    assert list(job.verify()) == []
    job.folder.checkpoint_path.unlink()
    job.download()
    job.export(out, workers=0)
    assert tree(out) == site.export


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_wrong_with_many_items_is_one_line(job, deep):
    (job.folder.batches / "00001.lmdb").unlink()
    lines = list(summarize(job.verify(deep=deep)))
    missing = "it is marked as done, and what was stored is missing (8 items: 0, 1, 2, 3, 4, ...)"
    assert f"{job.folder.checkpoint_path}: shard 1, download: {missing}" in lines
    assert len(lines) == 3  # and its hashes, in their file and in the checkpoint


def test_a_byte_of_an_image_that_changed_is_found_by_deep_and_by_the_hash_pass(site, job, tmp_path):
    path = job.folder.batches / "00000.lmdb"
    data = path.read_bytes()
    body = BODIES["/3.jpg"]
    at = data.index(body) + len(body) // 2
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert list(job.verify()) == []
    (finding,) = job.verify(deep=True)
    assert (finding.path, finding.key, finding.stage) == (path, (0, 3), "download")
    with pytest.raises(DamagedError, match=r"00000\.lmdb"):
        list(images(job))
    shutil.rmtree(job.folder.hashes)
    job.folder.hashes.mkdir()
    with pytest.raises(DamagedError):
        job.hash(workers=0)
    mend(site, job, tmp_path / "out")


def test_a_hash_of_other_bytes_is_found(site, job, tmp_path):
    """Batch and checkpoint restored from a copy; the hashes are of what was fetched in between."""
    for name in ("batches/00000.lmdb", "checkpoint.lmdb"):
        shutil.copy(site.finished / name, job.folder.path / name)
    source, target = (job.folder.hashes / f"0000{n}.lmdb" for n in (1, 0))
    shutil.copy(source, target)
    problems = {finding.problem for finding in job.verify(deep=True)}
    assert "it was hashed when other bytes were stored" in problems
    mend(site, job, tmp_path / "out")


def another_url(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"copy", b"cope", 1))


@pytest.mark.parametrize("fault", [half, nothing, Path.unlink, another_url])
def test_a_manifest_cannot_be_made_again_and_every_command_says_so(job, fault):
    path = job.folder.manifests / "00003.jsonl"  # the last: none that follows tells of it
    fault(path)
    assert path in {finding.path for finding in job.verify()}
    job.folder.checkpoint_path.unlink()  # so that there is something to download
    for work in (job.repair, job.items, lambda: [job.download()]):
        with pytest.raises(JobError, match=path.name):
            list(work())


def test_on_the_command_line(site, job, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "job", "--deep"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    half(job.folder.batches / "00001.lmdb")
    for command in (["resume", "job"], ["export", "job", "out", "--workers", "0"]):
        assert main(command) == 1
        assert "batches/00001.lmdb is damaged" in (message := capsys.readouterr().err)
        assert message.endswith("Mend the job: runner repair job\n")
    assert main(["verify", "job"]) == 1
    assert "batches/00001.lmdb" in capsys.readouterr().out
    assert main(["repair", "job"]) == 0
    assert "runner resume job" in capsys.readouterr().out
    assert main(["repair", "job"]) == 0
    assert "Nothing had to be mended" in capsys.readouterr().out
    assert main(["verify", "job"]) == 0
    assert main(["resume", "job", "--workers", "0"]) == 0
    check_bodies(site, job)


def test_a_copy_of_a_job_is_a_job(site, job, tmp_path):
    job.folder.path.rename(tmp_path / "moved")
    moved = Job.open(tmp_path / "moved")
    assert list(moved.verify(deep=True)) == []
    moved.download()
    moved.export(tmp_path / "out", workers=0)
    assert tree(tmp_path / "out") == site.export
