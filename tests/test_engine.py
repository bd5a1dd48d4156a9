"""The engine, with real processes and real LMDB files."""

import ast
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import stages
from waiting import alive, wait_for

import runner.engine
from runner.engine import feed, supervisor
from runner.engine.checkpoint import Checkpoint
from runner.engine.errors import BusyError, StageError, StoppedError, WorkerError
from runner.engine.items import CRASHED, DONE, Key, Mark, Result
from runner.engine.lock import Lock, is_locked
from runner.engine.run import run
from runner.engine.shardfile import ShardFile, read_payloads, shard_file
from runner.engine.stop import Stop

SHARDS = 3
ITEMS = 40
WORK = [(shard, range(ITEMS)) for shard in range(SHARDS)]
WAYS = [(0, None), (1, None), (2, None), (0, 8), (1, 8), (3, 8)]


@pytest.fixture
def checkpoint(tmp_path: Path):
    with Checkpoint(tmp_path / "checkpoint.lmdb") as checkpoint:
        yield checkpoint


def outcomes(checkpoint: Checkpoint) -> Counter[str]:
    return Counter(mark.outcome for shard in range(SHARDS) for _, mark in checkpoint.marks("toy", shard))


def tallied(checkpoint: Checkpoint) -> Counter[str]:
    total: Counter[str] = Counter()
    for tally in checkpoint.tally("toy").values():
        total.update({outcome: count for outcome, (count, _) in tally.items()})
    return total


def check_stored(output: Path, missing: Sequence[int] = ()) -> None:
    """Every item is stored once, with its own payload."""
    for shard in range(SHARDS):
        stored = dict(read_payloads(shard_file(output, shard)))
        wanted = [index for index in range(ITEMS) if index not in missing]
        assert stored == {index: stages.payload(Key(shard, index)) for index in wanted}


@pytest.mark.parametrize(("workers", "slice_size"), WAYS)
def test_every_item_ends_in_one_mark_and_one_payload(tmp_path, checkpoint, workers, slice_size):
    stage = stages.Failing(tmp_path / "out", slice_size)
    seen: list[Mark] = []
    run(stage, WORK, checkpoint, workers=workers, watch=seen.extend)
    failed = len(range(0, ITEMS, 3)) * SHARDS
    expected = {DONE: SHARDS * ITEMS - failed, "odd": failed}
    assert outcomes(checkpoint) == tallied(checkpoint) == expected
    assert Counter(mark.outcome for mark in seen) == expected
    check_stored(tmp_path / "out", missing=range(0, ITEMS, 3))


@pytest.mark.parametrize(("workers", "slice_size"), WAYS)
def test_a_second_run_does_nothing(tmp_path, checkpoint, workers, slice_size):
    stage = stages.Stage(tmp_path / "out", slice_size, log=tmp_path / "log")
    run(stage, WORK, checkpoint, workers=workers)
    assert len((tmp_path / "log").read_text().splitlines()) == SHARDS * ITEMS
    run(stage, WORK, checkpoint, workers=workers)
    assert len((tmp_path / "log").read_text().splitlines()) == SHARDS * ITEMS


@pytest.mark.parametrize(("workers", "slice_size"), WAYS)
def test_payloads_without_a_mark_are_marked_and_not_made_again(tmp_path, checkpoint, workers, slice_size):
    output = tmp_path / "out"
    output.mkdir()
    kept = [Result(Key(1, index), Mark(DONE, 3), b"old") for index in (2, 5, 39)]
    with ShardFile(shard_file(output, 1)) as file:
        file.append(kept)
    run(stages.Stage(output, slice_size, log=tmp_path / "log"), WORK, checkpoint, workers=workers)
    assert outcomes(checkpoint) == {DONE: SHARDS * ITEMS}
    assert len((tmp_path / "log").read_text().splitlines()) == SHARDS * ITEMS - len(kept)
    assert dict(read_payloads(shard_file(output, 1), [2, 5, 39])) == {2: b"old", 5: b"old", 39: b"old"}


@pytest.mark.parametrize("workers", [0, 2])
def test_only_members_are_worked_on(tmp_path, checkpoint, workers):
    run(stages.Stage(tmp_path / "out"), [(2, [1, 30]), (9, [4])], checkpoint, workers=workers)
    assert checkpoint.finished("toy", 2) == {1, 30}
    assert checkpoint.finished("toy", 9) == {4}


@pytest.mark.parametrize("slice_size", [None, 8])
def test_an_item_that_kills_its_worker_twice_is_marked_crashed_and_costs_nothing_else(
    tmp_path, checkpoint, slice_size
):
    run(stages.Deadly(tmp_path / "out", slice_size), WORK, checkpoint, workers=2)
    assert outcomes(checkpoint) == {DONE: SHARDS * (ITEMS - 1), CRASHED: SHARDS}
    check_stored(tmp_path / "out", missing=[7])


@pytest.mark.parametrize("slice_size", [None, 8])
def test_those_in_flight_beside_the_guilty_one_are_found_innocent(tmp_path, checkpoint, slice_size):
    run(stages.DeadlyWide(tmp_path / "out", slice_size), WORK, checkpoint, workers=2)
    assert outcomes(checkpoint) == {DONE: SHARDS * (ITEMS - 1), CRASHED: SHARDS}
    check_stored(tmp_path / "out", missing=[7])


def test_a_worker_that_shows_no_sign_of_life_is_replaced(tmp_path, checkpoint):
    run(stages.Spinning(tmp_path / "out", patience=1.5), WORK[:1], checkpoint, workers=2)
    assert outcomes(checkpoint) == {DONE: ITEMS - 1, CRASHED: 1}


def test_a_worker_that_ends_because_it_is_told_to_convicts_nobody(tmp_path, checkpoint):
    log, stop, pids = tmp_path / "log", Stop(), []

    def next_pid() -> int | None:
        lines = log.read_text().splitlines() if log.exists() else []
        stuck = [int(line.split()[2]) for line in lines if line.split()[1] == "7"]
        return stuck[-1] if len(stuck) > len(pids) else None

    def kill_then_stop(marks: Sequence[Mark]) -> None:
        pid = next_pid()
        if pid is not None:
            pids.append(pid)
            if len(pids) == 1:
                os.kill(pid, signal.SIGKILL)
            else:
                stop.ask()

    stage = stages.Spinning(tmp_path / "out", log=log)
    with pytest.raises(StoppedError):
        run(stage, WORK[:1], checkpoint, workers=1, watch=kill_then_stop, stop=stop)
    assert len(pids) == 2
    assert CRASHED not in outcomes(checkpoint)


def nursery_of(worker: int) -> int:
    parent = int(Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert b"nursery" in Path(f"/proc/{parent}/cmdline").read_bytes()
    return parent


@pytest.mark.parametrize("with_its_worker", [False, True])
def test_a_killed_nursery_takes_nobody_with_it_and_is_replaced(tmp_path, checkpoint, with_its_worker):
    log, killed = tmp_path / "log", []

    def workers() -> list[int]:
        return [int(line.split()[2]) for line in log.read_text().splitlines()]

    def kill_once(marks: Sequence[Mark]) -> None:
        if log.exists() and not killed:
            worker = workers()[0]
            killed.extend([nursery_of(worker), worker][: 1 + with_its_worker])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    run(stages.Slow(tmp_path / "out", log=log), WORK, checkpoint, workers=1, watch=kill_once)
    assert killed
    assert len(set(workers())) == 1 + with_its_worker
    assert outcomes(checkpoint) == {DONE: SHARDS * ITEMS}
    check_stored(tmp_path / "out")


def test_a_nursery_is_not_asked_for_the_workers_of_the_one_before(tmp_path, checkpoint, capfd):
    log, gate = tmp_path / "log", tmp_path / "gate"
    rounds: list[list[int]] = []  # the workers seen before each round of kills

    def workers() -> list[int]:
        lines = log.read_text().splitlines() if log.exists() else []
        return list(dict.fromkeys(int(line.split()[2]) for line in lines))

    def kill(marks: Sequence[Mark]) -> None:
        seen = workers()
        if not rounds and len(seen) == 2:
            victims = [nursery_of(seen[0]), seen[0]]
        elif len(rounds) == 1 and len(seen) == 3:  # the first of the new nursery is at work
            victims = [seen[1]]
            gate.touch()
        else:
            return
        rounds.append(seen)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)

    # More shards than one worker asks for ahead: something is left for those that are started anew.
    work = [(shard, range(ITEMS)) for shard in range(2 * SHARDS)]
    run(stages.Gated(tmp_path / "out", log=log, gate=gate), work, checkpoint, workers=2, watch=kill)
    assert len(rounds) == 2
    assert tallied(checkpoint).total() == 2 * SHARDS * ITEMS
    assert "Traceback" not in capfd.readouterr().err


def test_workers_that_cannot_be_started_end_the_run(tmp_path, checkpoint, capfd):
    with pytest.raises(WorkerError, match=r"toy stage cannot be started \(exit code 1\)"):
        run(stages.Unprepared(tmp_path / "out"), WORK, checkpoint, workers=2)
    assert "no_such_module" in capfd.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
def test_a_program_error_ends_the_run_with_its_traceback_and_keeps_what_is_finished(
    tmp_path, checkpoint, workers
):
    with pytest.raises(StageError, match="a bug of ours") as caught:
        run(stages.Buggy(tmp_path / "out"), WORK, checkpoint, workers=workers)
    assert "in work" in caught.value.details
    assert outcomes(checkpoint)[DONE] >= 7
    assert CRASHED not in outcomes(checkpoint)
    run(stages.Stage(tmp_path / "out"), WORK, checkpoint, workers=workers)
    assert outcomes(checkpoint) == {DONE: SHARDS * ITEMS}


def test_in_process_a_program_error_is_itself(tmp_path, checkpoint):
    with pytest.raises(KeyError):
        run(stages.Buggy(tmp_path / "out"), WORK, checkpoint, workers=0)
    assert checkpoint.finished("toy", 0) == set(range(7))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_straggler_holds_up_neither_its_shard_nor_the_next(tmp_path, checkpoint, workers):
    stage = stages.Wide(tmp_path / "out", log=tmp_path / "log", straggler=Key(0, 0), others=119)
    run(stage, WORK, checkpoint, workers=workers)
    order = [tuple(map(int, line.split()[:2])) for line in (tmp_path / "log").read_text().splitlines()]
    assert order[-1] == (0, 0)
    assert sorted(order) == [(shard, index) for shard in range(SHARDS) for index in range(ITEMS)]
    check_stored(tmp_path / "out")


@pytest.mark.parametrize(("workers", "slice_size"), WAYS)
def test_what_was_put_by_is_worked_on_later(tmp_path, checkpoint, workers, slice_size):
    stage = stages.PuttingBy(tmp_path / "out", slice_size, log=tmp_path / "log")
    run(stage, WORK, checkpoint, workers=workers)
    assert outcomes(checkpoint) == {DONE: SHARDS * ITEMS}
    assert len((tmp_path / "log").read_text().splitlines()) == SHARDS * ITEMS
    check_stored(tmp_path / "out")


@pytest.mark.parametrize(("most_open", "first_odd"), [(1, ITEMS // 2), (2, ITEMS), (9, ITEMS * SHARDS // 2)])
def test_only_so_many_shards_are_open_at_a_time(tmp_path, checkpoint, monkeypatch, most_open, first_odd):
    monkeypatch.setattr(feed, "MOST_OPEN", most_open)
    run(stages.PuttingBy(tmp_path / "out", log=tmp_path / "log"), WORK, checkpoint, workers=0)
    order = [int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines()]
    assert [index % 2 for index in order].index(1) == first_odd
    check_stored(tmp_path / "out")


@pytest.mark.parametrize("slice_size", [None, 8])
def test_nobody_suspects_what_was_put_by(tmp_path, checkpoint, slice_size):
    stage = stages.DeadlyPuttingBy(tmp_path / "out", slice_size, log=tmp_path / "log")
    run(stage, WORK, checkpoint, workers=2)
    assert outcomes(checkpoint) == {DONE: SHARDS * (ITEMS - 1), CRASHED: SHARDS}
    check_stored(tmp_path / "out", missing=[7])


def test_what_is_put_by_when_the_run_is_to_stop_stays_pending(tmp_path, checkpoint):
    stop = Stop()
    stage = stages.PuttingBy(tmp_path / "out", log=tmp_path / "log")
    with pytest.raises(StoppedError):
        run(stage, WORK, checkpoint, workers=0, watch=lambda marks: stop.ask(), stop=stop)
    run(stage, WORK, checkpoint, workers=2)
    assert len((tmp_path / "log").read_text().splitlines()) == SHARDS * ITEMS
    check_stored(tmp_path / "out")


def test_asked_twice_it_ends_at_once_whatever_a_worker_does(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr(supervisor, "EXIT_SECONDS", 600)  # which one request would leave the worker
    log, stop = tmp_path / "log", Stop()

    def stop_twice(marks: Sequence[Mark]) -> None:
        if log.exists() and not stop.asked:
            os.kill(int(log.read_text().split()[2]), signal.SIGSTOP)
            stop.ask()
            stop.ask()

    stage = stages.Slow(tmp_path / "out", log=log, patience=600, pause=0.03)
    with pytest.raises(StoppedError):
        run(stage, WORK, checkpoint, workers=1, watch=stop_twice, stop=stop)
    run(stages.Stage(tmp_path / "out"), WORK, checkpoint, workers=2)
    assert outcomes(checkpoint) == {DONE: SHARDS * ITEMS}
    check_stored(tmp_path / "out")


@pytest.mark.parametrize(("workers", "slice_size"), [(0, None), (2, None), (2, 8)])
def test_asked_to_stop_it_keeps_what_is_finished_and_the_next_run_completes(
    tmp_path, checkpoint, workers, slice_size
):
    stop = Stop()
    stage = stages.Slow(tmp_path / "out", slice_size, log=tmp_path / "log", pause=0.03)

    def stop_early(marks: Sequence[Mark]) -> None:
        if marks:
            stop.ask()

    with pytest.raises(StoppedError):
        run(stage, WORK, checkpoint, workers=workers, watch=stop_early, stop=stop)
    finished = outcomes(checkpoint)[DONE]
    assert 0 < finished < SHARDS * ITEMS
    assert len((tmp_path / "log").read_text().splitlines()) == finished
    stage = stages.Stage(tmp_path / "out", slice_size, log=tmp_path / "log")
    run(stage, WORK, checkpoint, workers=workers)
    assert len((tmp_path / "log").read_text().splitlines()) == SHARDS * ITEMS
    check_stored(tmp_path / "out")


PARENT = """
import sys
from pathlib import Path
import stages
from runner.engine.checkpoint import Checkpoint
from runner.engine.run import run
folder, slice_size = Path(sys.argv[1]), eval(sys.argv[2])
with Checkpoint(folder / "checkpoint.lmdb") as checkpoint:
    stage = stages.Slow(folder / "out", slice_size, log=folder / "log")
    run(stage, [(s, range(40)) for s in range(3)], checkpoint, workers=2)
"""


def start_parent(folder: Path, slice_size: int | None) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PARENT, str(folder), repr(slice_size)]
    return subprocess.Popen(command, env=env, start_new_session=True)


@pytest.mark.parametrize("slice_size", [None, 8])
@pytest.mark.parametrize("whom", ["tree", "parent"])
def test_killed_at_any_moment_it_goes_on_and_loses_nothing(tmp_path, slice_size, whom):
    log = tmp_path / "log"
    pids: set[int] = set()
    for lines in (5, 30, 60):
        parent = start_parent(tmp_path, slice_size)
        wait_for(lambda n=lines: log.exists() and len(log.read_text().splitlines()) >= n)
        if whom == "tree":
            os.killpg(parent.pid, signal.SIGKILL)
        else:
            parent.kill()
        parent.wait()
        pids.update(int(line.split()[2]) for line in log.read_text().splitlines())
        wait_for(lambda: not any(alive(pid) for pid in pids))  # workers end when their parent is gone
    assert start_parent(tmp_path, slice_size).wait() == 0
    with Checkpoint(tmp_path / "checkpoint.lmdb") as checkpoint:
        assert outcomes(checkpoint) == tallied(checkpoint) == {DONE: SHARDS * ITEMS}
    check_stored(tmp_path / "out")


def test_the_lock_names_its_owner_and_dies_with_it(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    script = "import sys; from pathlib import Path; from runner.engine.lock import Lock\n"
    script += "with Lock(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "locked\n"
    assert is_locked(path)
    with pytest.raises(BusyError, match=f"process {holder.pid} on "):
        Lock(path)
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert not is_locked(path)
    with Lock(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_the_engine_imports_only_the_standard_library_and_what_it_stores_with():
    allowed = set(sys.stdlib_module_names) | {"lmdb", "msgpack", "zlib_ng"}
    for file in Path(runner.engine.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level < 2, f"{file.name} reaches out of the engine"
                names = set() if node.level else {str(node.module).split(".")[0]}
            else:
                continue
            assert names <= allowed, f"{file.name} imports {names - allowed}"
