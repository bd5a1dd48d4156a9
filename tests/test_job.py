"""The job folder: made whole or not at all, opened or explained."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner.config import JobConfig
from runner.errors import BusyError, JobError, ListError, UsageError
from runner.fetch.options import FetchOptions
from runner.job import JobFolder
from runner.record import FORMAT
from runner.sources.options import DigestColumn, ListOptions


@pytest.fixture
def urls(tmp_path: Path) -> str:
    path = tmp_path / "urls.txt"
    path.write_text("".join(f"http://example.org/{n}.jpg\n" for n in range(25)))
    return str(path)


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_new_job_has_its_shards_and_its_configuration(tmp_path, urls):
    config = JobConfig(shard_size=10, fetch=FetchOptions(timeout=3.5, headers=("A: b",)))
    JobFolder.create(tmp_path / "deep" / "job", [urls], config)
    folder = JobFolder.open(tmp_path / "deep" / "job")
    assert folder.config == config
    assert folder.name == "job"
    assert [(head.shard, head.rows) for head in folder.heads()] == [(0, 10), (1, 10), (2, 5)]
    assert entries(folder.path) == ["job.json", "lock", "manifests"]


def test_how_lists_are_read_is_remembered(tmp_path, urls):
    config = JobConfig.from_options(input_format="txt", columns="all", shuffle=True, seed=7)
    JobFolder.create(tmp_path / "job", [urls], config)
    assert JobFolder.open(tmp_path / "job").config.lists == ListOptions("txt", None, ("all",), None, True, 7)
    assert ListOptions(columns=["a,b", "c"]).columns == ("a,b", "c")
    assert ListOptions(columns=" a, b,").columns == ("a", "b")
    assert ListOptions(verify_hash="a:b:sha512").digest == DigestColumn("a:b", "sha512")


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_list_that_breaks_on_the_way_leaves_nothing(tmp_path, shuffle):
    (tmp_path / "list.json").write_text('["http://a.example/1", "http://a.example/2", oops')
    with pytest.raises(ListError, match="from element 3 on"):
        JobFolder.create(
            tmp_path / "job", [str(tmp_path / "list.json")], JobConfig.from_options(shuffle=shuffle)
        )
    assert entries(tmp_path) == ["list.json"]


def test_nothing_of_what_reading_needs_is_left(tmp_path, urls):
    folder = JobFolder.create(tmp_path / "job", [urls], JobConfig.from_options(shuffle=True))
    assert entries(folder.path) == ["job.json", "lock", "manifests"]


def test_an_existing_job_is_refused_with_the_command_that_goes_on(tmp_path, urls):
    JobFolder.create(tmp_path / "job", [urls], JobConfig())
    with pytest.raises(JobError, match=f"runner resume {tmp_path / 'job'}"):
        JobFolder.create(tmp_path / "job", [urls], JobConfig())


def test_somebody_elses_folder_is_left_alone(tmp_path, urls):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(JobError, match="not empty and not a job"):
        JobFolder.create(tmp_path / "photos", [urls], JobConfig())
    assert entries(tmp_path / "photos") == ["cat.jpg"]


def test_a_file_in_the_way_is_named(tmp_path, urls):
    with pytest.raises(JobError, match="choose another folder"):
        JobFolder.create(Path(urls), [urls], JobConfig())
    with pytest.raises(JobError, match=r"Cannot create .*: Not a directory"):
        JobFolder.create(Path(urls) / "job", [urls], JobConfig())


@pytest.mark.parametrize("text", ["", "\n \n\t\n"])
def test_an_empty_list_leaves_nothing_behind(tmp_path, text):
    (tmp_path / "empty.txt").write_text(text)
    with pytest.raises(ListError):
        JobFolder.create(tmp_path / "job", [str(tmp_path / "empty.txt")], JobConfig())
    assert not (tmp_path / "job").exists()


def test_a_missing_list_leaves_nothing_behind(tmp_path, urls):
    with pytest.raises(ListError, match=r"nowhere\.txt"):
        JobFolder.create(tmp_path / "job", [urls, str(tmp_path / "nowhere.txt")], JobConfig())
    assert not (tmp_path / "job").exists()


def test_a_start_that_was_killed_while_sharding_can_be_started_again(tmp_path, urls):
    job = tmp_path / "job"
    script = "import sys; from pathlib import Path\n"
    script += "from runner.config import JobConfig; from runner.job import JobFolder\n"
    script += "JobFolder.create(Path(sys.argv[1]), ['-'], JobConfig(shard_size=10))"
    command = [sys.executable, "-c", script, str(job)]
    start = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    start.stdin.write(
        Path(urls).read_text() * 2000
    )  # more than a pipe holds: it is being read when this returns
    start.stdin.flush()
    with pytest.raises(JobError, match="just being made"):
        JobFolder.open(job)
    with pytest.raises(BusyError, match=str(start.pid)):
        JobFolder.create(job, [urls], JobConfig())
    start.kill()
    start.wait()
    start.stdin.close()
    with pytest.raises(JobError, match="Start it again: runner start"):
        JobFolder.open(job)
    JobFolder.create(job, [urls], JobConfig())
    assert sum(head.rows for head in JobFolder.open(job).heads()) == 25


def test_what_is_no_job_is_explained(tmp_path):
    with pytest.raises(JobError, match=r"does not exist\. Start a job: runner start"):
        JobFolder.open(tmp_path / "nowhere")
    with pytest.raises(JobError, match="is not a job"):
        JobFolder.open(tmp_path)


def test_a_job_that_lost_its_configuration_is_not_taken_for_an_unfinished_one(tmp_path, urls):
    folder = JobFolder.create(tmp_path / "job", [urls], JobConfig())
    (folder.path / "job.json").unlink()
    folder.checkpoint().close()
    with pytest.raises(JobError, match=r"has lost its job\.json"):
        JobFolder.open(folder.path)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path, urls):
    for do in (JobFolder.open, lambda path: JobFolder.create(path, [urls], JobConfig())):
        with pytest.raises(JobError, match="not UTF-8"):
            do(tmp_path / "bad\udcff")


def test_a_folder_of_the_users_is_not_removed_when_the_list_cannot_be_read(tmp_path):
    (tmp_path / "job").mkdir()
    with pytest.raises(ListError):
        JobFolder.create(tmp_path / "job", [str(tmp_path / "nowhere.txt")], JobConfig())
    assert entries(tmp_path / "job") == []


def test_a_newer_job_asks_for_an_upgrade(tmp_path, urls):
    folder = JobFolder.create(tmp_path / "job", [urls], JobConfig())
    data = json.loads((folder.path / "job.json").read_text())
    data["format"] = FORMAT + 1
    (folder.path / "job.json").write_text(json.dumps(data))
    with pytest.raises(JobError, match="upgrade runner"):
        JobFolder.open(folder.path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "workers": 8, "shard_size": 0}']
)
def test_a_damaged_configuration_is_named(tmp_path, urls, text):
    folder = JobFolder.create(tmp_path / "job", [urls], JobConfig())
    (folder.path / "job.json").write_text(text)
    with pytest.raises(JobError, match=r"job\.json is damaged"):
        JobFolder.open(folder.path)


@pytest.mark.parametrize("name", ["workers", "shards", "shard_size"])
def test_a_configuration_that_a_hand_or_a_disk_has_changed_is_not_trusted(tmp_path, urls, name):
    folder = JobFolder.create(tmp_path / "job", [urls], JobConfig())
    data = json.loads((folder.path / "job.json").read_text())
    data[name] += 1
    (folder.path / "job.json").write_text(json.dumps(data))
    with pytest.raises(JobError, match="changed by hand: restore it"):
        JobFolder.open(folder.path)


def test_a_job_may_be_moved(tmp_path, urls):
    folder = JobFolder.create(tmp_path / "job", [urls], JobConfig())
    folder.path.rename(tmp_path / "moved")
    assert JobFolder.open(tmp_path / "moved").name == "moved"


@pytest.mark.parametrize(
    "options",
    [
        {"workers": -1},
        {"workers": 100_000},
        {"shard_size": 0},
        {"timeout": 0.0},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"max_bytes": 10**18},
        {"ca_bundle": "/nowhere.pem"},
        {"colour": "red"},
        {"input_format": "xml"},
        {"columns": ""},
        {"columns": ()},
        {"verify_hash": "sha256"},
        {"verify_hash": "sum:crc32"},
        {"verify_hash": ":md5"},
        {"seed": -1},
        {"seed": 1 << 64},
    ],
)
def test_options_that_make_no_sense_are_usage_errors(options):
    with pytest.raises(UsageError):
        JobConfig.from_options(**options)
