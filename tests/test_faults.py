"""What a machine does to a job: full and read-only disks, limits, signals, streams that are gone."""

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stages
from waiting import alive, wait_for
from webserver import JPEG, Visit, WebServer

from runner import Job, images
from runner.engine import writer
from runner.engine.checkpoint import Checkpoint
from runner.engine.claims import Claims
from runner.engine.errors import DiskFullError, WorkerError
from runner.engine.items import CRASHED, DONE, Key
from runner.engine.run import run
from runner.engine.shardfile import read_payloads, shard_file

BODY = JPEG + bytes(20_000)
COUNT = 400
OPTIONS = ("--allow-private", "--no-progress", "--shard-size", "50", "--workers", "2", "--connections", "16")
RUNNER = [sys.executable, "-m", "runner"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

# Who may mount: root, or anyone in a user namespace of his own.
NAMESPACES = (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"])
OWN_MOUNTS = next(
    (way for way in NAMESPACES if subprocess.run([*way, "true"], check=False).returncode == 0), None
)
needs_mounts = pytest.mark.skipif(OWN_MOUNTS is None, reason="this system lets nobody mount a disk")


def body(visit: Visit) -> bytes:
    return BODY + visit.path.encode()


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer({"*": lambda visit: visit.answer(body(visit))}) as server:
        yield server


@pytest.fixture
def urls(tmp_path: Path, server: WebServer) -> Path:
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(server.url(f"/{number}") for number in range(COUNT)))
    return path


def slowly(server: WebServer) -> None:
    def handler(visit: Visit) -> None:
        visit.server.closing.wait(0.02)
        visit.answer(body(visit))

    server.routes["*"] = handler


def runner(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [*RUNNER, *map(str, arguments)]
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=ENVIRONMENT, **options)
    assert "Traceback" not in done.stderr
    return done


def check_complete(folder: Path, server: WebServer) -> None:
    job = Job.open(folder)
    assert job.status().items == {"total": COUNT, "stored": COUNT, "failed": 0, "pending": 0}
    stored = {item.url: data for item, data in images(job)}
    assert stored == {server.url(f"/{n}"): BODY + f"/{n}".encode() for n in range(COUNT)}
    assert list(job.verify(deep=True)) == []


# -- disks --


def on_own_disk(folder: Path, size: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script beside ``folder``, where a disk of that size is mounted."""
    folder.mkdir()
    quoted = shlex.quote(str(folder))
    lines = (
        f'mount -t tmpfs -o size={size} tmpfs {quoted}\nrunner() {{ {shlex.join(RUNNER)} "$@"; }}\n{script}'
    )
    return subprocess.run(
        [*(OWN_MOUNTS or ()), "sh", "-c", lines],
        text=True,
        capture_output=True,
        check=False,
        env=ENVIRONMENT,
        cwd=folder.parent,
    )


@needs_mounts
@pytest.mark.parametrize("size", ["28k", "40k", "700k", "5m"])
def test_a_full_disk_ends_the_run_and_blames_no_url(tmp_path, urls, server, size):
    start = f"runner start disk/job urls.txt {' '.join(OPTIONS)}"
    script = f"""
        {start}; echo $?
        [ ! -f disk/job/job.json ] || runner status disk/job --json
        mount -o remount,size=64m disk
        if [ -f disk/job/job.json ]; then runner resume disk/job --no-progress; else {start}; fi >&2; echo $?
        mv disk/job moved
    """
    done = on_own_disk(tmp_path / "disk", size, script)
    first, *status, last = done.stdout.splitlines()
    assert (first, last) == ("1", "0"), done.stderr
    assert "room left" in done.stderr
    assert "disk/job" in done.stderr
    assert "Traceback" not in done.stderr
    for line in status:
        assert json.loads(line)["items"]["failed"] == 0
    assert len(server.heads) - COUNT <= 4, done.stderr
    check_complete(tmp_path / "moved", server)


@needs_mounts
def test_a_disk_without_room_for_the_export(tmp_path, urls, server):
    script = """
        export RUNNER_WORKERS=2
        runner start job urls.txt --allow-private --no-progress --shard-size 50 >&2
        runner export job disk/out --no-progress --min-side 1; echo $?
        mount -o remount,size=64m disk
        runner export job disk/out --no-progress --min-side 1 >&2; echo $?
        ls disk/out/*/*.jpg | wc -l
    """
    import pictures

    photos = {f"/{n}": pictures.encode(pictures.photo(n)) for n in range(COUNT // 10)}
    for path, data in photos.items():
        server.routes[path] = lambda visit, data=data: visit.answer(data)
    urls.write_text("\n".join(server.url(path) for path in photos))
    done = on_own_disk(tmp_path / "disk", "100k", script)
    assert done.stdout.split() == ["1", "0", str(len(photos))], done.stderr
    assert "No room left in" in done.stderr
    assert "disk/out" in done.stderr


@needs_mounts
def test_on_a_read_only_disk_a_job_can_be_looked_at_and_nothing_else(tmp_path, urls, server):
    script = f"""
        runner start disk/job urls.txt {" ".join(OPTIONS)} >&2
        rm disk/job/checkpoint.lmdb-lock disk/job/batches/*-lock
        mount -o remount,ro disk
        runner status disk/job >&2; echo $?
        runner ls disk/job > listed; echo $?
        runner verify disk/job --deep >&2; echo $?
        runner hash disk/job; echo $?
        runner start disk/other urls.txt; echo $?
    """
    done = on_own_disk(tmp_path / "disk", "64m", script)
    assert done.stdout.split() == ["0", "0", "0", "1", "1"], done.stderr
    assert len((tmp_path / "listed").read_text().splitlines()) == COUNT
    assert done.stderr.count("Read-only file system") == 2
    assert "Traceback" not in done.stderr


def test_claims_add_up_and_are_dropped(tmp_path):
    with Claims.create(3) as ours:
        theirs = Claims(os.dup(ours.fileno()), 2)
        ours.claim(5)
        with theirs:
            theirs.claim(7)
            assert ours.total() == theirs.total() == 12
        ours.drop(2)
        assert ours.total() == 5


def test_low_space_ends_a_run_only_while_there_is_something_left_to_take_on(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "RESERVE_BYTES", sys.maxsize)
    monkeypatch.setattr(writer, "RESERVE_PART", 1)  # the whole disk: there is always too little room
    with Checkpoint(tmp_path / "checkpoint.lmdb") as checkpoint:
        run(stages.Stage(tmp_path / "out"), [(0, range(1))], checkpoint, workers=0)
        with pytest.raises(DiskFullError, match=str(tmp_path / "out")):
            run(stages.Stage(tmp_path / "out"), [(0, range(40))], checkpoint, workers=0)
        assert 0 < len(checkpoint.finished("toy", 0)) < 4


# -- limits --


def limited(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


def test_with_few_file_descriptors_it_is_slower_and_no_site_is_to_blame(tmp_path, urls, server):
    limit = limited(resource.RLIMIT_NOFILE, 64)
    many = ("--connections", 200)
    done = runner("start", "job", urls, *OPTIONS, *many, cwd=tmp_path, preexec_fn=limit)
    assert done.returncode == 0, done.stderr
    check_complete(tmp_path / "job", server)


def test_with_too_few_file_descriptors_it_says_so(tmp_path, urls, server):
    done = runner(
        "start", "job", urls, *OPTIONS, cwd=tmp_path, preexec_fn=limited(resource.RLIMIT_NOFILE, 30)
    )
    assert done.returncode in (1, 2)
    assert "ulimit -n" in done.stderr
    assert runner("resume", "job", "--no-progress", cwd=tmp_path).returncode == 0
    check_complete(tmp_path / "job", server)


def test_without_address_space_it_says_so(tmp_path, urls, server):
    limit = limited(resource.RLIMIT_AS, 300 << 20)  # less than what the map of one file takes beside Python
    done = runner("start", "job", urls, *OPTIONS, cwd=tmp_path, preexec_fn=limit)
    assert done.returncode == 1
    assert "ulimit -v" in done.stderr
    assert runner("resume", "job", "--no-progress", cwd=tmp_path).returncode == 0
    check_complete(tmp_path / "job", server)


def test_a_stage_out_of_memory_is_no_program_error_and_no_crashed_item(tmp_path):
    with Checkpoint(tmp_path / "checkpoint.lmdb") as checkpoint:
        with pytest.raises(WorkerError, match="Out of memory"):
            run(stages.Hungry(tmp_path / "out"), [(0, range(40))], checkpoint, workers=1)
        assert checkpoint.finished("toy", 0) == set(range(7))


# -- signals --

PARENT = """
import sys
from pathlib import Path
import stages
from runner.engine import store
from runner.engine.checkpoint import Checkpoint
from runner.engine.run import run
store.FIRST_MAP_SIZE = 1 << 15
folder = Path(sys.argv[1])
with Checkpoint(folder / "checkpoint.lmdb") as checkpoint:
    stage = stages.Slow(folder / "out", 8, 0.5, log=folder / "log")
    run(stage, [(s, range(200)) for s in range(2)], checkpoint, workers=2)
"""


def start_parent(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PARENT, str(folder)]
    return subprocess.Popen(command, env=ENVIRONMENT, start_new_session=True)


def log_of(folder: Path) -> list[list[int]]:
    path = folder / "log"
    return (
        [[int(word) for word in line.split()] for line in path.read_text().splitlines()]
        if path.exists()
        else []
    )


def check_toy(folder: Path) -> None:
    with Checkpoint(folder / "checkpoint.lmdb", readonly=True) as checkpoint:
        for shard in range(2):
            assert Counter(mark.outcome for _, mark in checkpoint.marks("toy", shard)) == {DONE: 200}
            stored = dict(read_payloads(shard_file(folder / "out", shard)))
            assert stored == {index: stages.payload(Key(shard, index)) for index in range(200)}


def test_a_tree_that_is_stopped_for_longer_than_its_patience_goes_on_as_if_nothing_was(tmp_path):
    parent = start_parent(tmp_path)
    wait_for(lambda: len(log_of(tmp_path)) > 20)
    os.killpg(parent.pid, signal.SIGSTOP)
    time.sleep(1.2)  # more than twice the patience
    os.killpg(parent.pid, signal.SIGCONT)
    assert parent.wait() == 0
    check_toy(tmp_path)
    assert len({pid for _, _, pid in log_of(tmp_path)}) == 2  # none was replaced
    assert len(log_of(tmp_path)) == 400


def test_a_worker_that_is_stopped_for_longer_than_its_patience_is_replaced(tmp_path):
    parent = start_parent(tmp_path)
    wait_for(lambda: len(log_of(tmp_path)) > 20)
    os.kill(log_of(tmp_path)[-1][2], signal.SIGSTOP)
    assert parent.wait() == 0
    check_toy(tmp_path)
    assert len({pid for _, _, pid in log_of(tmp_path)}) > 2


def test_a_download_that_is_stopped_for_longer_than_its_timeout_blames_no_site(tmp_path, urls, server):
    slowly(server)
    command = [*RUNNER, "start", "job", str(urls), *OPTIONS, "--timeout", "1"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, start_new_session=True) as run:
        wait_for(lambda: len(server.heads) > COUNT // 4)
        os.killpg(run.pid, signal.SIGSTOP)
        time.sleep(2.2)  # more than twice the timeout
        os.killpg(run.pid, signal.SIGCONT)
    assert run.returncode == 0
    check_complete(tmp_path / "job", server)


def test_killed_while_its_maps_grow_it_loses_nothing(tmp_path):
    """The first map has room for 8 pages, so it grows again and again; killed at 5 moments."""
    for lines in range(40, 361, 80):
        parent = start_parent(tmp_path)
        wait_for(lambda n=lines: len(log_of(tmp_path)) >= n)
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
    assert start_parent(tmp_path).wait() == 0
    check_toy(tmp_path)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(pid: int) -> list[int]:
    """They are children of the nursery, which is the parent's only child."""
    (nursery,) = children(pid)
    return children(nursery)


def test_when_the_parent_is_killed_the_workers_go_and_send_nothing_more(tmp_path, urls, server):
    slowly(server)
    parent = subprocess.Popen([*RUNNER, "start", "job", str(urls), *OPTIONS], cwd=tmp_path, env=ENVIRONMENT)
    wait_for(lambda: len(server.heads) > 40)
    workers = workers_of(parent.pid)
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(alive(pid) for pid in workers))
    sent = len(server.heads)
    assert sent < COUNT
    assert runner("status", "job", cwd=tmp_path).returncode == 0
    assert len(server.heads) == sent
    assert runner("resume", "job", "--no-progress", cwd=tmp_path).returncode == 0
    check_complete(tmp_path / "job", server)


def test_killed_while_the_list_is_read_it_starts_again(tmp_path, urls, server):
    command = [*RUNNER, "start", "job", "-", *OPTIONS]
    start = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.PIPE)
    start.stdin.write(urls.read_bytes())
    start.stdin.flush()
    wait_for((tmp_path / "job" / "manifests.partial").exists)
    start.kill()
    start.wait()
    start.stdin.close()
    done = runner("resume", "job", cwd=tmp_path)
    assert done.returncode == 1
    assert "Start it again" in done.stderr
    assert runner("start", "job", urls, *OPTIONS, cwd=tmp_path).returncode == 0
    check_complete(tmp_path / "job", server)


# -- streams --


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_end_no_run(tmp_path, urls, server, closed):
    command = shlex.join([*RUNNER, "start", "job", str(urls), *OPTIONS])
    done = subprocess.run(
        ["sh", "-c", f"exec {command} {closed}"], cwd=tmp_path, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0
    check_complete(tmp_path / "job", server)


def test_a_reader_of_messages_that_goes_away_ends_no_run(tmp_path, urls, server):
    command = [
        *RUNNER,
        "start",
        "job",
        str(urls),
        *(option for option in OPTIONS if option != "--no-progress"),
    ]
    reader, writer = os.pipe()
    os.close(reader)
    start = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, stdout=writer, stderr=writer, check=False)
    os.close(writer)
    assert start.returncode == 0
    check_complete(tmp_path / "job", server)


# -- two of them --


def test_a_copy_made_while_it_ran_is_a_job_too(tmp_path, urls, server):
    """Files of slightly different moments, locks included."""
    slowly(server)
    start = subprocess.Popen([*RUNNER, "start", "job", str(urls), *OPTIONS], cwd=tmp_path, env=ENVIRONMENT)
    wait_for(lambda: len(server.heads) > COUNT // 2)
    start.send_signal(signal.SIGSTOP)
    shutil.copytree(tmp_path / "job", tmp_path / "copy")
    start.send_signal(signal.SIGCONT)
    assert start.wait() == 0
    copy = runner("resume", "copy", "--no-progress", cwd=tmp_path)
    if copy.returncode:
        assert "runner repair copy" in copy.stderr
        assert runner("repair", "copy", cwd=tmp_path).returncode == 0
        assert runner("resume", "copy", "--no-progress", cwd=tmp_path).returncode == 0
    check_complete(tmp_path / "copy", server)
    assert CRASHED not in Job.open(tmp_path / "copy").status().reasons
