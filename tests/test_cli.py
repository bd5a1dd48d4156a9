"""The command line as a user has it: real commands, a real server, real signals."""

import csv
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pictures
import pytest
from jobs import tree
from PIL import Image
from waiting import wait_for
from webserver import Visit, WebServer, answer, hang, redirect

PHOTOS = {f"/{n}.jpg": pictures.encode(pictures.photo(n)) for n in range(6)}
COPY = PHOTOS["/0.jpg"]
SMALL = pictures.encode(pictures.photo(20, (64, 48)))
HTML = b"<html><body>not here</body></html>"


@pytest.fixture
def site() -> Iterator[WebServer]:
    routes = {path: answer(body, headers=["Content-Type: image/jpeg"]) for path, body in PHOTOS.items()}
    routes |= {
        "/copy.jpg": answer(COPY),
        "/small.jpg": answer(SMALL),
        "/broken.jpg": answer(COPY[:3000]),
        "/page.jpg": answer(HTML, headers=["Content-Type: image/jpeg"]),
        "/moved.jpg": redirect("/1.jpg"),
    }
    with WebServer(routes) as server:
        yield server


@pytest.fixture
def urls(tmp_path: Path, site: WebServer) -> Path:
    names = [*PHOTOS, "/copy.jpg", "/small.jpg", "/broken.jpg", "/page.jpg", "/moved.jpg", "/none.jpg"]
    lines = [site.url(name) for name in names]
    path = tmp_path / "urls.txt"
    path.write_text("\n".join([*lines, "", "no url at all", "ftp://example.org/a.jpg", lines[0] + "#again"]))
    return path


@pytest.fixture
def job(cli, urls) -> str:
    """A finished download."""
    assert cli("start", "cats", urls, "--allow-private", "--workers", 0)[0] == 0
    return "cats"


def spawn(folder: Path, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "runner", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(command, cwd=folder, start_new_session=True, **pipes)


def test_from_a_list_to_a_folder(cli, site, urls, tmp_path):
    code, out, _ = cli("start", "cats", urls, "--allow-private", "--workers", 2)
    assert code == 0
    assert "14 URLs, 10 stored" in out
    assert "runner export cats OUT" in out

    code, out, _ = cli("status", "cats", "--json")
    status = json.loads(out)
    assert status["job"] == "cats"
    assert status["state"] == "complete"
    assert status["items"] == {"total": 14, "stored": 10, "failed": 4, "pending": 0}
    assert status["reasons"] == {"not_image": 1, "http_404": 1, "invalid_url": 1, "scheme": 1}
    assert status["shards"] == {"total": 1, "complete": 1}
    assert status["repeats"] == 1
    assert status["bytes"] == sum(map(len, [*PHOTOS.values(), COPY, SMALL, COPY[:3000], PHOTOS["/1.jpg"]]))
    assert status["hash"] is None
    assert status["dedup"] is None

    code, out, _ = cli("export", "cats", "jpegs", "--workers", 2)
    assert code == 0
    assert "Of 10 images 6 are kept" in out
    lines = [json.loads(line) for line in (tmp_path / "jpegs" / "metadata.jsonl").read_text().splitlines()]
    assert [line["url"] for line in lines] == [site.url(path) for path in PHOTOS]
    assert [line["duplicates"] for line in lines] == [1, 1, 0, 0, 0, 0]
    for line, body in zip(lines, PHOTOS.values(), strict=True):
        assert (tmp_path / "jpegs" / line["file_name"]).read_bytes() == body

    status = json.loads(cli("status", "cats", "--json")[1])
    assert status["hash"] == {"hashed": 9, "undecodable": 1, "pending": 0}
    assert status["dedup"] == {"unique": 6, "duplicates": 2}


def test_ls_tells_of_every_url(cli, site, job):
    found = [json.loads(line) for line in cli("ls", job, "--json")[1].splitlines()]
    assert [item["index"] for item in found] == list(range(14))
    assert found[0] == {
        "url": site.url("/0.jpg"),
        "shard": 0,
        "index": 0,
        "state": "stored",
        "reason": None,
        "http_status": 200,
        "attempts": 1,
        "bytes": len(PHOTOS["/0.jpg"]),
        "content_type": "image/jpeg",
        "final_url": site.url("/0.jpg"),
    }
    moved = next(item for item in found if item["url"].endswith("moved.jpg"))
    assert moved["final_url"] == site.url("/1.jpg")
    missing = next(item for item in found if item["url"].endswith("none.jpg"))
    assert (missing["state"], missing["reason"], missing["http_status"]) == ("failed", "http_404", 404)

    assert cli("ls", job, "--state", "failed", "--urls")[1].splitlines() == [
        site.url("/page.jpg"),
        site.url("/none.jpg"),
        "no url at all",
        "ftp://example.org/a.jpg",
    ]
    assert cli("ls", job, "--reason", "http_404", "--urls")[1] == site.url("/none.jpg") + "\n"
    assert len(cli("ls", job)[1].splitlines()) == 14


def test_ls_adds_what_the_hash_pass_found(cli, site, job):
    cli("export", job, "jpegs", "--workers", 0)
    found = {
        item["url"].rpartition("/")[2]: item
        for item in map(json.loads, cli("ls", job, "--json", "--state", "stored")[1].splitlines())
    }
    assert found["0.jpg"]["decode"] == "ok"
    assert (found["0.jpg"]["width"], found["0.jpg"]["height"], found["0.jpg"]["format"]) == (192, 144, "JPEG")
    assert len(found["0.jpg"]["phash"]) == 16
    assert found["0.jpg"]["duplicate_of"] is None
    assert found["copy.jpg"]["duplicate_of"] == [0, 0]
    assert found["copy.jpg"]["sha256"] == found["0.jpg"]["sha256"]
    assert found["broken.jpg"]["decode"] == "truncated"
    assert found["broken.jpg"]["phash"] is None
    broken = COPY[:3000]
    assert found["broken.jpg"]["sha256"] == hashlib.sha256(broken).hexdigest()
    assert found["broken.jpg"]["bytes"] == len(broken)


def test_a_finished_job_is_resumed_without_a_request(cli, site, job):
    before = len(site.heads)
    code, out, _ = cli("resume", job)
    assert code == 0
    assert "Nothing is left to download" in out
    assert len(site.heads) == before


def test_an_export_repeated_changes_nothing_and_a_dry_run_writes_nothing(cli, job, tmp_path):
    code, out, _ = cli("export", job, "jpegs", "--dry-run", "--workers", 0)
    assert code == 0
    assert (
        "Of 10 images 6 are kept; left out: 2 duplicates, 1 undecodable (truncated 1), 1 by min-side." in out
    )
    assert "6 images would be in jpegs; nothing was written" in out
    assert not (tmp_path / "jpegs").exists()
    cli("export", job, "jpegs", "--workers", 0)
    before = tree(tmp_path / "jpegs")
    cli("export", job, "jpegs", "--workers", 0)
    assert tree(tmp_path / "jpegs") == before


def test_what_is_pending_again_after_a_repair_stays_exported(cli, job, tmp_path):
    cli("export", job, "jpegs", "--workers", 0)
    before = {name for name in tree(tmp_path / "jpegs") if name.endswith(".jpg")}
    (tmp_path / job / "batches" / "00000.lmdb").unlink()
    assert cli("verify", job)[0] == 1
    assert cli("repair", job)[0] == 0
    assert cli("export", job, "jpegs", "--workers", 0)[0] == 0
    assert before == {name for name in tree(tmp_path / "jpegs") if name.endswith(".jpg")}


def test_other_filters_add_and_remove_the_difference(cli, job, tmp_path):
    cli("export", job, "jpegs", "--workers", 0)
    before = tree(tmp_path / "jpegs")
    cli("export", job, "jpegs", "--workers", 0, "--min-side", 10, "--dedup", "none")
    after = tree(tmp_path / "jpegs")
    assert len(after) == len(before) + 3  # the copy, the one that was moved to, the small one
    cli("export", job, "jpegs", "--workers", 0)
    assert tree(tmp_path / "jpegs") == before


def test_a_dry_run_says_how_many_every_filter_leaves_out(cli, job):
    code, out, _ = cli(
        *("export", job, "jpegs", "--dry-run", "--workers", 0, "--formats", "png,webp", "--max-bytes", "9MB"),
        *("--sample", 0),
    )
    assert code == 0
    assert "0 duplicates, 1 undecodable (truncated 1), 1 by min-side, 8 by formats, 0 by max-bytes." in out


def test_a_dry_run_counts_what_sample_and_limit_leave(cli, job):
    out = cli("export", job, "jpegs", "--dry-run", "--workers", 0, "--sample", 4, "--limit", 3)[1]
    assert "Of these only 3 are wanted (--sample, --limit)." in out
    assert "3 images would be in jpegs" in out


def test_images_are_resized_and_encoded_as_told(cli, job, tmp_path):
    code, out, _ = cli(
        *("export", job, "small", "--workers", 0, "--encode", "webp", "--quality", 40),
        *("--resize", "border", "--size", 64),
    )
    assert code == 0
    assert "6 images" in out
    files = sorted((tmp_path / "small").glob("*/*"))
    assert [file.suffix for file in files] == [".webp"] * 6
    with Image.open(files[0]) as image:
        assert image.size == (64, 64)


def test_dups_tells_who_stands_for_whom(cli, site, job):
    code, out, _ = cli("dups", job, "--workers", 0)
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["keep", "drop"] * 2
    assert lines[0].split() == ["keep", "00000", "0", "0", "bits", "192x144", site.url("/0.jpg")]
    assert lines[1].split()[-1] == site.url("/copy.jpg")
    clusters = [json.loads(line) for line in cli("dups", job, "--json", "--workers", 0)[1].splitlines()]
    assert [cluster["representative"]["url"] for cluster in clusters] == [
        line.split()[-1] for line in lines[::2]
    ]
    assert clusters[0]["members"][0]["distance"] == 0
    assert cli("dups", job, "--workers", 0, "--dedup", "none")[1] == ""


def test_options_come_from_the_environment_too(cli, urls, monkeypatch):
    monkeypatch.setenv("RUNNER_ALLOW_PRIVATE", "yes")
    monkeypatch.setenv("RUNNER_WORKERS", "0")
    monkeypatch.setenv("RUNNER_MAX_BYTES", "4KB")
    monkeypatch.setenv("RUNNER_HEADER", "X-Test: 1")
    assert cli("start", "cats", urls, "--shard-size", 5)[0] == 0
    status = json.loads(cli("status", "cats", "--json")[1])
    assert status["shards"]["total"] == 3
    assert status["reasons"]["too_large"] > 0
    config = json.loads(Path("cats/job.json").read_text())
    assert config["fetch"]["max_bytes"] == 4000
    assert config["fetch"]["headers"] == ["X-Test: 1"]


def test_a_rate_is_so_many_requests_per_unit_of_time(cli, urls):
    assert cli("start", "cats", urls, "--no-progress", "--rate", "6000/m")[0] == 0
    assert json.loads(Path("cats/job.json").read_text())["fetch"]["rate"] == 100


def test_the_environment_is_checked_like_the_command_line(cli, urls, monkeypatch, capsys):
    for name, value in (("WORKERS", "many"), ("TRANSPORT", "pigeon"), ("INSECURE", "perhaps")):
        monkeypatch.setenv(f"RUNNER_{name}", value)
        with pytest.raises(SystemExit) as caught:
            cli("start", "cats", urls)
        assert caught.value.code == 2
        assert f"RUNNER_{name}" in capsys.readouterr().err
        monkeypatch.delenv(f"RUNNER_{name}")


def test_the_environment_of_another_command_is_no_concern(cli, job, monkeypatch):
    monkeypatch.setenv("RUNNER_NEAR", "nonsense")
    monkeypatch.setenv("RUNNER_WORKERS", "")
    assert cli("status", job)[0] == 0


def test_a_caption_column_of_the_environment_is_for_webdatasets_alone(cli, job, monkeypatch):
    monkeypatch.setenv("RUNNER_CAPTION_COL", "text")
    assert cli("export", job, "out", "--workers", 0)[0] == 0

    code, _, error = cli("export", job, "tars", "--workers", 0, "--format", "webdataset")
    assert (code, "no column called 'text'" in error) == (2, True)

    code, _, error = cli("export", job, "list", "--workers", 0, "--format", "csv", "--caption-col", "text")
    assert (code, "--format webdataset" in error) == (2, True)


def test_private_addresses_are_refused_by_default(cli, site, urls):
    assert cli("start", "cats", urls, "--workers", 0)[0] == 0
    assert json.loads(cli("status", "cats", "--json")[1])["reasons"]["blocked_address"] == 12
    assert site.connections == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["start", "new", "nowhere.txt"], 1, "nowhere.txt"),
        (["start", "cats", "urls.txt"], 1, "runner resume cats"),
        (["start", "urls.txt", "urls.txt"], 1, "choose another folder"),
        (["start", "new", "urls.txt", "--timeout", "0"], 2, "--timeout"),
        (["start", "new", "urls.txt", "--workers", "-1"], 2, "--workers"),
        (["start", "new", "urls.txt", "--columns", "caption"], 1, "which has no columns"),
        (["start", "new", "urls.txt", "--verify-hash", "sha256"], 2, "COLUMN:sha256"),
        (["start", "new", "urls.txt", "--input-format", "json"], 1, "no JSON array"),
        (["resume", "nowhere"], 1, "runner start nowhere LIST"),
        (["hash", "cats", "--workers", "-1"], 2, "--workers"),
        (["status", "urls.txt"], 1, "is not a job"),
        (["export", "cats", "urls.txt"], 2, "is not a folder"),
        (["export", "cats", "cats/out"], 2, "overlaps"),
        (["export", "cats", "jpegs", "--near", "99"], 2, "radius"),
        (["export", "cats", "jpegs", "--quality", "0"], 2, "quality"),
        (["export", "cats", "jpegs", "--min-side", "-5"], 2, "--min-side"),
        (["export", "cats", "jpegs", "--max-aspect", "nan"], 2, "--max-aspect"),
    ],
)
def test_an_error_of_the_user_is_one_sentence_and_an_exit_code(cli, job, arguments, code, words):
    found, out, err = cli(*arguments, *(["--workers", "0"] if arguments[0] == "export" else []))
    assert found == code
    assert out == ""
    message = err.splitlines()[-1]
    assert message.startswith("runner: ")
    assert words in message
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_gently_and_nothing_finished_is_fetched_again(cli, tmp_path, number, code):
    def slow(visit: Visit) -> None:
        visit.server.closing.wait(0.05)
        visit.answer(COPY)

    with WebServer({"*": slow, "/hang": hang}) as server:
        lines = [server.url("/hang"), *(server.url(f"/{n}") for n in range(80))]
        (tmp_path / "many.txt").write_text("\n".join(lines))
        arguments = ("start", "cats", "many.txt", "--allow-private", "--workers", 2, "--connections", 2)
        run = spawn(tmp_path, *arguments, "--shard-size", 40, "--timeout", 30)
        wait_for(lambda: len(server.heads) > 20)
        os.killpg(run.pid, number)  # a terminal sends Ctrl-C to all processes
        _, err = run.communicate(timeout=30)
        assert run.returncode == code
        assert "runner resume cats" in err
        assert "Traceback" not in err
        status = json.loads(cli("status", "cats", "--json")[1])
        assert status["state"] == "stopped"
        finished = status["items"]["stored"]
        assert finished > 0

        server.routes["/hang"] = answer(COPY)
        assert cli("resume", "cats", "--workers", 0)[0] == 0
        assert json.loads(cli("status", "cats", "--json")[1])["items"]["stored"] == 81
        again = sum(server.hits(f"/{n}") > 1 for n in range(80))
        assert again <= 4  # no more than were in flight


def test_killed_and_resumed_it_loses_nothing(cli, tmp_path):
    def slow(visit: Visit) -> None:
        visit.server.closing.wait(0.05)
        visit.answer(COPY + visit.path.encode())

    with WebServer({"*": slow}) as server:
        (tmp_path / "many.txt").write_text("\n".join(server.url(f"/{n}") for n in range(400)))
        start = (
            "start",
            "cats",
            "many.txt",
            "--allow-private",
            "--workers",
            2,
            "--shard-size",
            100,
            "--connections",
            4,
        )
        for turn in range(3):
            run = spawn(tmp_path, *(start if turn == 0 else ("resume", "cats", "--workers", 2)))
            wait_for(lambda goal=100 * (turn + 1): len(server.heads) > goal)
            status = json.loads(cli("status", "cats", "--json")[1])
            assert status["state"] == "running"
            assert sum(status["items"].values()) == 2 * status["items"]["total"]
            code, _, err = cli("resume", "cats")
            assert code == 1
            assert f"process {run.pid} on " in err
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
        assert cli("resume", "cats", "--workers", 2)[0] == 0
        from runner import Job, images

        stored = {item.url: body for item, body in images(Job.open("cats"))}
        assert stored == {server.url(f"/{n}"): COPY + f"/{n}".encode() for n in range(400)}


def test_a_reader_that_has_enough_is_no_error(job, tmp_path):
    run = spawn(tmp_path, "ls", job, "--json")
    run.stdout.close()
    err = run.stderr.read()
    run.stderr.close()
    assert run.wait() == 0
    assert err == ""


@pytest.mark.parametrize("command", ["status", "ls", "verify", "resume"])
def test_an_output_that_takes_nothing_is_named(job, tmp_path, command):
    with Path("/dev/full").open("w") as full:
        run = spawn(tmp_path, command, job, stdout=full)
        _, err = run.communicate(timeout=30)
    assert run.returncode == 1
    assert err.startswith("runner: Cannot write to standard output: No space left on device.")
    assert err.count("\n") == 1


def modules_of(folder: Path, *arguments: str) -> set[str]:
    """What a command has loaded when it ends."""
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    code += "from runner.cli import main; main(sys.argv[1:])"
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    loaded = set(run.stderr.split())
    assert "runner.cli.main" in loaded
    return loaded


@pytest.fixture
def exported(cli, job) -> str:
    """A job with a dedup table, and nothing left to do."""
    assert cli("export", job, "jpegs", "--workers", 0)[0] == 0
    return job


@pytest.mark.parametrize("arguments", [["--version"], ["status", "cats"]], ids=str)
def test_to_look_loads_nothing_that_works(exported, tmp_path, arguments):
    """What fetches, decodes, reads lists, runs workers or draws a bar is slow to load."""
    slow = {"numpy", "scipy", "PIL", "imagehash", "pycurl", "requests", "pyarrow", "fsspec", "tqdm"}
    slow |= {"certifi", "idna", "brotli", "multiprocessing", "subprocess", "socket", "hashlib", "email"}
    slow |= {"runner.sources.reading", "runner.fetch.policy", "runner.engine.run"}
    assert not modules_of(tmp_path, *arguments) & slow


@pytest.mark.parametrize("command", ["ls", "hash"])
def test_what_has_no_arrays_to_work_on_loads_no_numpy(exported, tmp_path, command):
    assert not modules_of(tmp_path, command, exported) & {"numpy", "scipy", "imagehash"}


def test_a_ctrl_c_while_modules_are_loaded_is_no_traceback(job, tmp_path):
    """One of them, loaded for every command, is replaced by one in which it comes."""
    (tmp_path / "msgpack.py").write_text(
        "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(30)"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    run = spawn(tmp_path, "status", job, env={**os.environ, "PYTHONPATH": path})
    assert run.communicate(timeout=30) == ("", "")
    assert run.returncode == 130


def test_failed_urls_can_be_fed_to_another_job(cli, site, job, tmp_path):
    (tmp_path / "again.txt").write_text(cli("ls", job, "--state", "failed", "--urls")[1])
    site.routes["/none.jpg"] = answer(COPY)
    assert cli("start", "more", "again.txt", "--allow-private", "--workers", 0)[0] == 0
    items = json.loads(cli("status", "more", "--json")[1])["items"]
    assert items == {"total": 4, "stored": 1, "failed": 3, "pending": 0}


def test_lists_come_from_standard_input(site, urls, tmp_path):
    run = spawn(tmp_path, "start", "cats", "-", "--allow-private", "--workers", 1, stdin=subprocess.PIPE)
    out, _ = run.communicate(urls.read_text())
    assert run.returncode == 0
    assert "14 URLs, 10 stored" in out


def test_a_closed_standard_input_is_named(tmp_path):
    command = f"exec {shlex.quote(sys.executable)} -m runner start cats - <&-"
    ended = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "standard input is closed" in ended.stderr


def test_without_a_terminal_progress_is_plain_lines_and_can_be_silenced(site, urls, tmp_path):
    run = spawn(tmp_path, "start", "loud", urls, "--allow-private", "--workers", 1)
    assert "download: 14 of 14" in run.communicate()[1]
    run = spawn(tmp_path, "start", "quiet", urls, "--allow-private", "--workers", 1, "--no-progress")
    assert "download:" not in run.communicate()[1]


def test_a_list_with_columns_from_start_to_export(cli, site, tmp_path):
    good = hashlib.sha256(PHOTOS["/0.jpg"]).hexdigest()
    rows = [
        ["link", "caption", "sha256", "licence"],
        [site.url("/0.jpg"), "a cat, sitting", good, "CC0"],
        [site.url("/1.jpg"), "a dog", good, "CC0"],
        [site.url("/2.jpg"), "no digest", "", "CC0"],
        ["", "no link", "", ""],
        ["one field"],
    ]
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    options = ["--url-col", "link", "--columns", "caption", "--verify-hash", "sha256:sha256", "--shuffle"]
    code, out, _ = cli("start", "cats", "list.csv", *options, "--allow-private", "--workers", 0)
    assert code == 0
    assert "5 URLs, 2 stored" in out
    assert "hash_mismatch 1" in out
    items = [json.loads(line) for line in cli("ls", "cats", "--json")[1].splitlines()]
    assert all((item["shard"], item["index"]) == (0, n) for n, item in enumerate(items))
    by_caption = {item.get("caption"): item for item in items}
    assert by_caption["a dog"]["reason"] == "hash_mismatch"
    assert by_caption["a cat, sitting"]["sha256_in_list"] == good
    malformed = sorted((item for item in items if "line" in item), key=lambda item: item["line"])
    assert [(item["reason"], item["list"], item["line"]) for item in malformed] == [
        ("invalid_url", "list.csv", 5),
        ("invalid_url", "list.csv", 6),
    ]
    assert malformed[1]["error"] == "1 field where the head names 4"
    assert cli("export", "cats", "jpegs", "--workers", 0)[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "jpegs" / "metadata.jsonl").read_text().splitlines()]
    assert {line["caption"] for line in lines} == {"a cat, sitting", "no digest"}
    assert {line["sha256_in_list"] for line in lines} == {good, ""}
    assert all("licence" not in line for line in lines)


def test_what_is_no_list_leaves_no_folder(cli, tmp_path):
    (tmp_path / "list.parquet").write_bytes(HTML)
    code, _, err = cli("start", "cats", "list.parquet")
    assert code == 1
    assert "list.parquet is no parquet file but a web page" in err.splitlines()[-1]
    assert not (tmp_path / "cats").exists()


@pytest.mark.parametrize("options", [["--shuffle"], ["--input-format", "parquet"]])
def test_a_start_that_is_killed_while_it_reads_is_cleaned_up_by_the_next(cli, urls, tmp_path, options):
    run = spawn(tmp_path, "start", "cats", "-", *options, stdin=subprocess.PIPE)
    run.stdin.write("x" * 10_000)
    run.stdin.flush()
    wait_for((tmp_path / "cats" / "lists.partial").exists)
    run.kill()
    run.wait()
    run.stdin.close()
    assert cli("start", "cats", urls, "--allow-private", "--workers", 0)[0] == 0
    assert not (tmp_path / "cats" / "lists.partial").exists()
