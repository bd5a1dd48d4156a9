"""Jobs that go on living: lists added, failures asked for again, settings changed."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pictures
import pytest
from jobs import tree
from webserver import JPEG, WebServer, answer, in_turn

from runner import Job
from runner.engine.lock import Lock
from runner.errors import BusyError, DamagedError, JobError, ListError, UsageError
from runner.fetch.policy import DOUBTFUL, TRANSIENT
from runner.fetch.reasons import exists, reason

OPTIONS = ("--allow-private", "--workers", 0)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer({"*": answer(JPEG), "/missing.jpg": answer(status="404 Not Found")}) as server:
        yield server


def txt(path: Path, *urls: str) -> str:
    path.write_text("\n".join(urls))
    return str(path)


def table(path: Path, *rows: tuple[str, ...]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("url", "caption"), *rows])
    return str(path)


def example(*numbers: int) -> list[str]:
    return [f"http://example.org/{number}.jpg" for number in numbers]


def status(cli) -> dict[str, object]:
    return json.loads(cli("status", "job", "--json")[1])


def listed(job: Job) -> list[dict[str, object]]:
    return [item.to_json() for item in job.items()]


# -- add --


def test_what_is_new_in_a_list_is_fetched_and_the_rest_counted(cli, server, tmp_path):
    first = txt(tmp_path / "first.txt", server.url("/1"), server.url("/2"), server.url("/1"))
    assert cli("start", "job", first, *OPTIONS)[0] == 0
    more = txt(tmp_path / "more.txt", server.url("/2#top"), "", server.url("/3"), server.url("/3"))
    code, out, err = cli("add", "job", more)
    assert code == 0
    assert "4 lines, that is 1 new URL in 1 shard, 2 repeats, 1 blank." in err
    assert "3 URLs, 3 stored" in out
    assert server.counts() == {"/1": 1, "/2": 1, "/3": 1}
    now = status(cli)
    assert now["items"] == {"total": 3, "stored": 3, "failed": 0, "pending": 0}
    assert now["shards"] == {"total": 2, "complete": 2}
    assert now["repeats"] == 3
    lines = Job.open("job").folder.lines(Job.open("job").folder.heads())
    assert (lines.lines, lines.blank) == (7, 1)


def test_a_list_with_nothing_new_is_counted_too(cli, server, tmp_path):
    urls = txt(tmp_path / "urls.txt", server.url("/1"), server.url("/2"))
    cli("start", "job", urls, *OPTIONS)
    for repeats in (2, 4):
        code, out, err = cli("add", "job", urls)
        assert code == 0
        assert "0 new URLs in 0 shards, 2 repeats" in err
        assert "Nothing is left to download." in out
        assert status(cli)["repeats"] == repeats
    assert status(cli)["shards"] == {"total": 1, "complete": 1}
    assert cli("verify", "job")[0] == 0


def test_a_list_without_a_url_leaves_the_job_as_it_is(cli, server, tmp_path):
    cli("start", "job", txt(tmp_path / "urls.txt", server.url("/1")), *OPTIONS)
    before = tree(tmp_path / "job" / "manifests")
    for wrong in (txt(tmp_path / "empty.txt", "", ""), "nowhere.txt"):
        assert cli("add", "job", wrong)[0] == 1
    assert tree(tmp_path / "job" / "manifests") == before
    assert status(cli)["repeats"] == 0
    assert not (tmp_path / "job" / "manifests.partial").exists()


def test_a_list_is_added_as_the_first_one_was_read_or_as_told(tmp_path):
    first = table(tmp_path / "first.csv", ("http://example.org/1", "one"))
    job = Job.create(tmp_path / "job", first, url_col="url", columns="none")
    (tmp_path / "links.csv").write_text("link,caption\nhttp://example.org/2,two\n")
    with pytest.raises(ListError, match="no column url"):
        job.add(tmp_path / "links.csv")
    job.add(tmp_path / "links.csv", url_col="link", columns="all")
    assert [item.columns for item in job.items()] == [{}, {"caption": "two"}]
    assert job.add(table(tmp_path / "more.csv", ("http://example.org/3", "three"))).items == 1
    assert list(job.items())[-1].columns == {}
    with pytest.raises(UsageError, match="--verify-hash is frozen"):
        job.add(first, verify_hash="caption:md5")
    with pytest.raises(UsageError, match="no option called colour"):
        job.add(first, colour="red")


def test_a_text_list_is_added_to_a_job_of_tables(tmp_path):
    digest = "ab" * 32
    first = tmp_path / "a.csv"
    first.write_text(f"link,sum\nhttp://a/1,{digest}\n")
    job = Job.create(tmp_path / "job", first, url_col="link", columns=["sum"], verify_hash="sum:sha256")
    more = txt(tmp_path / "more.txt", "http://a/2")
    for given, words in [
        ({"url_col": "link"}, "leave out --url-col, or"),
        ({"columns": "sum"}, "leave out --columns, or"),
        ({"url_col": "link", "columns": ["sum"]}, "leave out --url-col and --columns, or"),
    ]:
        with pytest.raises(ListError, match=f"is a text list, which has no columns: {words}"):
            job.add(more, **given)
    assert job.add(more, columns="all").items == 1
    assert job.add(txt(tmp_path / "last.txt", "http://a/3"), columns="none").items == 1
    assert [item.get("sum") for item in listed(job)] == [digest, None, None]


def test_shards_stay_in_the_size_of_the_job_and_old_items_keep_their_keys(tmp_path):
    job = Job.create(tmp_path / "job", txt(tmp_path / "a.txt", *example(0, 1, 2)), shard_size=2)
    other = Job.open(tmp_path / "job")
    assert job.add(txt(tmp_path / "b.txt", *example(3, 2, 4, 5, 0))) == (3, 2, 0, 2)
    keys = {item.url: (item.shard, item.index) for item in job.items()}
    expected = [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (3, 0)]
    assert keys == dict(zip(example(*range(6)), expected, strict=True))
    assert other.status().shards["total"] == 4  # opened before, and up to date all the same


ADD = """
import os, signal, sys
from runner import Job
count = int(sys.argv[3])
def kill(event, arguments):
    global count
    if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        count -= 1
        if count < 0:
            os.kill(os.getpid(), signal.SIGKILL)
job = Job.open(sys.argv[1])
sys.addaudithook(kill)
job.add(sys.argv[2], timeout=3)
os._exit(0)
"""


def add_and_die(job: Path, urls: str, steps: int) -> bool:
    """Add a list in another process, killed before it changes a name for the ``steps``-th time."""
    child = os.fork()
    if child == 0:
        sys.argv = ["add", str(job), urls, str(steps)]
        exec(ADD, {})
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_moment_an_addition_is_all_there_or_not_at_all(tmp_path):
    first = table(tmp_path / "a.csv", ("http://example.org/1", "one"), ("http://example.org/1", "uno"))
    more = [(f"http://example.org/{n % 7}", f"caption {n}") for n in range(14)]
    added = table(tmp_path / "b.csv", *more)
    Job.create(tmp_path / "before", first, shard_size=2)
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    Job.open(tmp_path / "after").add(added)
    before, after = (listed(Job.open(tmp_path / name)) for name in ("before", "after"))
    assert len(after) == 7
    assert after[0]["repeats"] == [{"caption": "uno"}, {"caption": "caption 1"}, {"caption": "caption 8"}]
    seen = []
    killed = True
    while killed:
        folder = tmp_path / f"killed{len(seen)}"
        shutil.copytree(tmp_path / "before", folder)
        killed = add_and_die(folder, added, len(seen))
        found = listed(Job.open(folder))
        assert found in (before, after)
        seen.append(found == after)
        job = Job.open(folder)
        assert (job.folder.config.fetch.timeout == 3) == seen[-1]  # the settings come with the list
        assert list(job.verify(deep=True)) == []
        assert listed(job) == found
        if found == before:
            job.add(added)
        assert listed(job) == after
        assert tree(folder / "manifests") == tree(tmp_path / "after" / "manifests")
        assert job.status().repeats == Job.open(tmp_path / "after").status().repeats
        assert not (folder / "manifests.partial").exists()
    assert len(seen) > 10
    assert seen == sorted(seen)  # there is one moment at which it becomes part of the job
    assert not seen[0]
    assert seen[-2]


def test_what_a_killed_addition_left_is_not_mixed_with_another_list(tmp_path):
    job = Job.create(tmp_path / "job", table(tmp_path / "a.csv", ("http://example.org/1", "one")))
    wrong = table(tmp_path / "b.csv", ("http://example.org/2", "two"), ("http://example.org/1", "wrong"))
    assert add_and_die(job.folder.path, wrong, 3)
    job.add(table(tmp_path / "c.csv", ("http://example.org/8", "eight"), ("http://example.org/9", "nine")))
    assert [(item.url[-1], item.repeats) for item in job.items()] == [("1", []), ("8", []), ("9", [])]


def test_while_a_run_is_on_whoever_would_write_is_told_who_has_the_job(cli, server, tmp_path):
    urls = txt(tmp_path / "urls.txt", server.url("/1"), server.url("/missing.jpg"))
    cli("start", "job", urls, *OPTIONS)
    with Lock(tmp_path / "job" / "lock"):
        for command in (
            ("add", "job", urls),
            ("retry", "job"),
            ("resume", "job", "--timeout", 3),
            ("dups", "job"),
            ("export", "job", "out", "--dry-run"),
        ):
            code, _, err = cli(*command)
            assert code == 1
            assert f"job is in use by process {os.getpid()} on " in err
            assert "Wait for it, or stop it: what it has done is kept." in err
        code, _, err = cli("start", "job", urls)
        assert code == 1
        assert f"process {os.getpid()} on " in err
        assert "runner status job --watch" in err
        assert "runner add job LIST" in err
    code, _, err = cli("start", "job", urls)
    assert "runner resume job" in err
    assert "runner add job LIST" in err


def test_a_record_older_than_the_manifests_is_refused(tmp_path):
    job = Job.create(tmp_path / "job", txt(tmp_path / "a.txt", *example(1)))
    old = (tmp_path / "job" / "job.json").read_bytes()
    job.add(txt(tmp_path / "b.txt", *example(2)))
    (tmp_path / "job" / "job.json").write_bytes(old)
    with pytest.raises(JobError, match="older than the manifests"):
        job.add(txt(tmp_path / "c.txt", *example(3)))
    (tmp_path / "job" / "manifests" / "00001.jsonl").unlink()
    assert job.add(txt(tmp_path / "c.txt", *example(3))).items == 1


def test_a_new_shard_never_gets_the_images_of_a_lost_one(cli, server, tmp_path):
    cli("start", "job", txt(tmp_path / "a.txt", server.url("/1")), *OPTIONS)
    shutil.copytree(tmp_path / "job", tmp_path / "copy")
    cli("add", "job", txt(tmp_path / "b.txt", server.url("/2")))
    for name in ("job.json", "manifests"):
        path = tmp_path / "job" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        (tmp_path / "copy" / name).rename(path)
    code, _, err = cli("add", "job", txt(tmp_path / "c.txt", server.url("/3")))
    assert code == 1
    assert "shard 1" in err
    assert cli("verify", "job")[0] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_while_it_reads_a_list_it_adds_nothing(cli, server, tmp_path, number):
    cli("start", "job", txt(tmp_path / "a.txt", server.url("/1")), *OPTIONS)
    command = [sys.executable, "-m", "runner", "add", "job", "-"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, text=True, **pipes) as run:
        run.stdin.write(server.url("/2\n") * 20_000)  # more than a pipe holds: it is being read
        run.stdin.flush()
        run.send_signal(number)
        _, err = run.communicate()
    assert run.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert "the job is as it was before" in err
    assert status(cli)["items"]["total"] == 1
    assert cli("add", "job", txt(tmp_path / "b.txt", server.url("/2")))[0] == 0
    assert status(cli)["items"]["stored"] == 2


# -- columns of repeats --


def test_columns_of_repeats_are_kept_beside_their_item(cli, server, tmp_path):
    rows = [("/1", "one"), ("/2", "two"), ("/1", "uno"), ("/1", "one"), ("/1#a", "eins"), ("/1", "uno")]
    first = table(tmp_path / "a.csv", *((server.url(path), caption) for path, caption in rows))
    cli("start", "job", first, *OPTIONS)
    cli("add", "job", table(tmp_path / "b.csv", (server.url("/2"), "deux"), (server.url("/3"), "three")))
    found = [json.loads(line) for line in cli("ls", "job", "--json")[1].splitlines()]
    assert [(item["url"], item["caption"], item.get("repeats")) for item in found] == [
        (server.url("/1"), "one", [{"caption": "uno"}, {"caption": "eins"}]),
        (server.url("/2"), "two", [{"caption": "deux"}]),
        (server.url("/3"), "three", None),
    ]
    assert status(cli)["repeats"] == 5


def test_columns_of_repeats_in_a_shuffled_list(tmp_path):
    rows = [(f"http://example.org/{n % 50}", f"caption {n}") for n in range(150)]
    job = Job.create(tmp_path / "job", table(tmp_path / "a.csv", *rows), shuffle=True, shard_size=7)
    for item in job.items():
        number = int(item.url.rpartition("/")[2])
        captions = [item.columns["caption"], *(columns["caption"] for columns in item.repeats)]
        assert captions == [f"caption {number + more}" for more in (0, 50, 100)]


def test_the_same_list_again_makes_no_file_grow(tmp_path):
    rows = [(f"http://example.org/{n % 50}", f"caption {n}") for n in range(150)]
    job = Job.create(tmp_path / "job", table(tmp_path / "a.csv", *rows))
    before = listed(job)
    sizes = []
    for _ in range(3):
        job.add(tmp_path / "a.csv")
        sizes.append((tmp_path / "job" / "repeats.lmdb").stat().st_size)
    assert listed(job) == before
    assert sizes[0] == sizes[-1]


def test_lists_without_columns_make_no_such_file(tmp_path):
    job = Job.create(tmp_path / "job", txt(tmp_path / "a.txt", *example(1, 2, 1)))
    job.add(tmp_path / "a.txt")
    assert not (tmp_path / "job" / "repeats.lmdb").exists()


@pytest.mark.parametrize("harm", ["cut", "bits"])
def test_a_damaged_file_of_repeats_is_named_and_mended(tmp_path, harm):
    rows = [(f"http://example.org/{n % 400}", f"caption {n}") for n in range(4000)]
    job = Job.create(tmp_path / "job", table(tmp_path / "a.csv", *rows))
    whole = listed(job)
    path = tmp_path / "job" / "repeats.lmdb"
    data = bytearray(path.read_bytes())
    if harm == "cut":
        del data[len(data) // 2 :]
    else:
        at = data.index(b"caption 1234")
        data[at] ^= 1
    path.write_bytes(data)
    assert [finding.path for finding in job.verify()] == [path]
    with pytest.raises(DamagedError):
        list(job.items())
    assert any("repeats.lmdb.damaged" in line for line in job.repair())
    assert list(job.verify()) == []
    kept = listed(job)
    assert [item["url"] for item in kept] == [item["url"] for item in whole]
    for item, original in zip(kept, whole, strict=True):
        assert all(columns in original["repeats"] for columns in item.get("repeats", []))
    if harm == "bits":
        assert sum(len(item["repeats"]) for item in kept) == 3599


# -- export --


def test_what_is_exported_stays_when_better_copies_are_added(cli, tmp_path):
    small, large = pictures.photo(1, (200, 150)), pictures.photo(1, (400, 300))
    routes = {
        "/small.jpg": answer(pictures.encode(small)),
        "/large.jpg": answer(pictures.encode(large)),
        "/other.jpg": answer(pictures.encode(pictures.photo(2, (300, 300)))),
    }
    with WebServer(routes) as server:
        cli("start", "job", txt(tmp_path / "a.txt", server.url("/small.jpg")), *OPTIONS)
        cli("export", "job", "out", "--workers", 0)
        added = [server.url("/large.jpg"), server.url("/other.jpg")]
        cli("add", "job", txt(tmp_path / "b.txt", *added))
        assert cli("export", "job", "out", "--workers", 0)[0] == 0
        lines = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
        assert [(line["url"], line["duplicates"]) for line in lines] == [
            (server.url("/small.jpg"), 1),
            (server.url("/other.jpg"), 0),
        ]
        cli("export", "job", "out", "--workers", 0, "--reselect")
        lines = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
        assert [line["url"] for line in lines] == added
        assert status(cli)["hash"] == {"hashed": 3, "undecodable": 0, "pending": 0}


# -- retry --


@pytest.fixture
def failing(server: WebServer, tmp_path: Path, cli) -> WebServer:
    """A job with failures; the server has recovered since."""
    server.routes["/500"] = in_turn(answer(status="500 Oh"), answer(JPEG))
    server.routes["/503"] = in_turn(answer(status="503 Busy"), answer(JPEG))
    server.routes["/410"] = in_turn(answer(status="410 Gone"), answer(JPEG))
    server.routes["/empty"] = answer()
    paths = ["/good", "/500", "/503", "/410", "/empty", "/missing.jpg"]
    urls = txt(tmp_path / "urls.txt", *map(server.url, paths), "no url")
    assert cli("start", "job", urls, *OPTIONS, "--retries", 0, "--shard-size", 2)[0] == 0
    return server


def test_retry_asks_again_for_what_may_pass(cli, failing):
    code, out, err = cli("retry", "job")
    assert code == 0
    assert "Pending again: http_500 1, http_503 1. 4 stay failed" in err
    assert "3 stored" in out
    now = status(cli)
    assert now["items"] == {"total": 7, "stored": 3, "failed": 4, "pending": 0}
    assert now["reasons"] == {"http_410": 1, "http_404": 1, "empty": 1, "invalid_url": 1}
    assert (failing.hits("/good"), failing.hits("/500"), failing.hits("/410")) == (1, 2, 1)
    code, out, err = cli("retry", "job")
    assert code == 0
    assert "Nothing to retry. 4 stay failed" in err
    assert cli("verify", "job")[0] == 0


def test_retry_for_chosen_reasons_alone(cli, failing):
    assert cli("retry", "job", "--reason", "http_410", "--reason", "http_404")[0] == 0
    assert status(cli)["reasons"] == {
        "http_500": 1,
        "http_503": 1,
        "http_404": 1,
        "empty": 1,
        "invalid_url": 1,
    }
    code, _, err = cli("retry", "job", "--reason", "dns")
    assert code == 0
    assert "Nothing to retry" in err


def test_a_dry_run_says_what_and_why_and_does_nothing(cli, failing, tmp_path):
    code, out, _ = cli("retry", "job", "--dry-run")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines["http_500"].split()[:3] == ["http_500", "1", "again"]
    assert "the server had a fault" in lines["http_500"]
    assert lines["http_404"].split()[:3] == ["http_404", "1", "no"]
    assert out.splitlines()[-1] == "2 of 6 failed URLs would be asked for again (dry run)."
    assert "1 of 6 failed URLs" in cli("retry", "job", "--dry-run", "--reason", "empty")[1]
    assert status(cli)["items"]["failed"] == 6


def test_an_unknown_reason_is_a_usage_error_that_names_those_there_are(cli, failing, capsys):
    for wrong in ("http", "http_999999", "http_<code>", "slow", ""):
        with pytest.raises(SystemExit) as caught:
            cli("retry", "job", "--reason", wrong, "--timeout", 3)
        assert caught.value.code == 2
        assert "timeout, " in capsys.readouterr().err
        with pytest.raises(UsageError, match="timeout, "):
            Job.open("job").retry([wrong])
    assert status(cli)["items"]["failed"] == 6


def test_stopped_between_forgetting_and_fetching_a_resume_goes_on(cli, failing):
    verdicts = Job.open("job").retry()
    assert {verdict.reason for verdict in verdicts if verdict.again} == {"http_500", "http_503"}
    assert status(cli)["items"] == {"total": 7, "stored": 1, "failed": 4, "pending": 2}
    assert cli("resume", "job")[0] == 0
    assert status(cli)["items"]["stored"] == 3


def test_what_is_asked_again_at_once_may_also_pass_later() -> None:
    assert all(reason(name).passes for name in TRANSIENT | DOUBTFUL)
    assert [exists(name) for name in ("http_404", "http_599", "http_99", "http_4xx")] == [1, 1, 0, 0]
    assert reason("http_599").passes
    assert not reason("http_404").passes


# -- settings --


def test_settings_given_to_resume_are_recorded(cli, server, tmp_path):
    cli("start", "job", txt(tmp_path / "a.txt", server.url("/1")), *OPTIONS, "--header", "X-A: 1")
    code, _, err = cli("resume", "job", "--timeout", 3, "--header", "X-B: 2", "--workers", 0)
    assert code == 0
    assert "--header, --timeout as given now" in err
    assert "X-B" not in err
    cli("add", "job", txt(tmp_path / "b.txt", server.url("/2")), "--user-agent", "tester")
    head = server.heads[-1].decode()
    assert "X-B: 2" in head
    assert "X-A" not in head
    assert "User-Agent: tester" in head
    fetch = Job.open("job").folder.config.fetch
    assert (fetch.timeout, fetch.headers, fetch.user_agent) == (3, ("X-B: 2",), "tester")
    cli("resume", "job", "--user-agent", "", "--header", "")
    fetch = Job.open("job").folder.config.fetch
    assert fetch.headers == ()
    assert fetch.user_agent.startswith("runner/")
    assert cli("resume", "job", "--timeout", 3)[2] == ""  # it is so already


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--max-bytes", "1GB"), "50000000"),
        (("--shard-size", "5"), "10000"),
        (("--ignore-robots-tag",), "not given"),
        (("--url-col", "link"), "not given"),
        (("--columns", "a,b"), "all"),
        (("--shuffle",), "not given"),
    ],
)
@pytest.mark.parametrize("command", ["resume", "retry"])
def test_what_defines_the_data_is_frozen(cli, server, tmp_path, command, option, words):
    cli("start", "job", txt(tmp_path / "a.txt", server.url("/1")), *OPTIONS)
    before = (tmp_path / "job" / "job.json").read_bytes()
    code, _, err = cli(command, "job", *option, "--timeout", 3)
    assert code == 2
    assert f"{option[0]} is frozen" in err
    assert f"here it is {words}" in err
    assert "start a new job" in err
    assert (tmp_path / "job" / "job.json").read_bytes() == before


def test_what_is_frozen_may_be_given_as_it_is(cli, server, tmp_path):
    cli("start", "job", txt(tmp_path / "a.txt", server.url("/1")), *OPTIONS)
    same = ("--allow-private", "--shard-size", 10_000, "--columns", "all", "--max-bytes", 50_000_000)
    assert cli("resume", "job", *same)[0] == 0


def test_settings_given_with_a_list_that_is_refused_are_not_recorded(cli, server, tmp_path):
    cli("start", "job", txt(tmp_path / "a.txt", server.url("/1")), *OPTIONS)
    before = (tmp_path / "job" / "job.json").read_bytes()
    assert cli("add", "job", "nofile.txt", "--timeout", 44)[0] == 1
    assert cli("add", "job", "a.txt", "--timeout", 44, "--shard-size", 3)[0] == 2
    assert (tmp_path / "job" / "job.json").read_bytes() == before
    assert "--timeout as given now" in cli("add", "job", "a.txt", "--timeout", 44)[2]


def test_an_empty_text_given_to_start_is_none(cli, server, tmp_path):
    start = ("start", "job", txt(tmp_path / "a.txt", server.url("/1")), "--proxy", "", "--header", "")
    assert cli(*start, *OPTIONS)[0] == 0
    assert Job.open("job").folder.config.fetch.headers == ()


def test_settings_that_make_no_sense_change_nothing(cli, server, tmp_path):
    cli("start", "job", txt(tmp_path / "a.txt", server.url("/1")), *OPTIONS)
    before = (tmp_path / "job" / "job.json").read_bytes()
    for wrong in (("--timeout", 0), ("--workers", -1), ("--proxy", "a b"), ("--ca-bundle", "nowhere.pem")):
        code, _, err = cli("resume", "job", *wrong)
        assert code == 2
        assert wrong[0] in err
    assert (tmp_path / "job" / "job.json").read_bytes() == before
    with pytest.raises(UsageError, match="no option called colour"):
        Job.open("job").change(colour="red")


def test_the_environment_changes_what_may_change_and_never_what_is_frozen(cli, server, tmp_path, monkeypatch):
    cli("start", "job", txt(tmp_path / "a.txt", server.url("/1")), *OPTIONS)
    monkeypatch.setenv("RUNNER_MAX_BYTES", "1")
    monkeypatch.setenv("RUNNER_SHARD_SIZE", "nonsense")
    monkeypatch.setenv("RUNNER_TIMEOUT", "4")
    assert cli("resume", "job")[0] == 0
    fetch = Job.open("job").folder.config.fetch
    assert (fetch.max_bytes, fetch.timeout) == (50_000_000, 4)


def test_a_file_of_authorities_that_is_gone_can_be_replaced(cli, server, tmp_path):
    authorities = tmp_path / "ca.pem"
    shutil.copy(Path(__file__).parent / "data" / "localhost.pem", authorities)
    urls = txt(tmp_path / "a.txt", server.url("/1"))
    cli("start", "job", urls, *OPTIONS, "--ca-bundle", authorities)
    authorities.unlink()
    assert cli("status", "job")[0] == 0
    code, _, err = cli("resume", "job")
    assert code == 2
    assert "ca.pem" in err
    assert cli("resume", "job", "--ca-bundle", "")[0] == 0


def test_change_waits_for_nobody(tmp_path):
    job = Job.create(tmp_path / "job", txt(tmp_path / "a.txt", *example(1)))
    assert job.change(timeout=10.0, retries=2) == []
    assert job.change(timeout=11, retries=2) == ["timeout"]
    with Lock(job.folder.lock_path), pytest.raises(BusyError):
        job.change(timeout=12)


# -- ls --urls --


def test_listed_urls_can_be_fed_to_another_job_whatever_they_hold(cli, server, tmp_path):
    odd = ["/a b", "/tab\there", "/new\nline", "/cr\rlf\r\n2", "/ü", "/\udcfe", "/\ud800", "/%0A", "/,\"'<>"]
    lines = [json.dumps({"url": server.url(path)}) for path in odd]
    (tmp_path / "odd.jsonl").write_text("\n".join(lines))
    cli("start", "job", "odd.jsonl", *OPTIONS)
    out = cli("ls", "job", "--urls")[1]
    assert out.count("\n") == len(odd)
    (tmp_path / "again.txt").write_bytes(out.encode())
    cli("start", "other", "again.txt", *OPTIONS)
    again = list(Job.open("other").items())
    assert len(again) == len(odd)
    for item, path in zip(again, odd, strict=True):
        if path.isprintable() or "\t" in path:
            assert item.url == server.url(path)
    assert cli("ls", "other", "--urls")[1] == out
