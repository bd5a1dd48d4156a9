"""The store and the shard file: growth, order, reading beside a writer, damage explained."""

import ctypes
import mmap
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from runner.engine import shardfile, store
from runner.engine.checkpoint import Checkpoint
from runner.engine.errors import StoreError
from runner.engine.files import leave_cache
from runner.engine.items import DONE, Key, Mark, Result
from runner.engine.shardfile import LARGE_BYTES, ShardFile, read_payloads
from runner.engine.store import Store

PAGE = 4096
FREE_BYTES = 64 * PAGE  # which the next commits fill, whatever the size of the file


def result(index: int, payload: bytes) -> Result:
    return Result(Key(0, index), Mark(DONE, len(payload), ("detail", index)), payload)


READ = """
import sys
import subprocess
import sys
from pathlib import Path
from runner.engine import store
store.FIRST_MAP_SIZE = 1 << 16
from runner.engine.shardfile import ShardFile
with ShardFile(Path(sys.argv[1]), readonly=True) as file:
    for line in sys.stdin:
        print(sum(payload == bytes([index]) * 50_000 for index, payload in file.payloads()), flush=True)
"""


def test_the_map_grows_and_readers_in_other_processes_follow(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FIRST_MAP_SIZE", 1 << 16)
    path = tmp_path / "00000.lmdb"
    with ShardFile(path) as writer:
        writer.append([result(0, bytes(50_000))])
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", READ, str(path)], **pipes) as reader:
            for index in range(1, 20):
                writer.append([result(index, bytes([index]) * 50_000)])
                reader.stdin.write("look\n")
                reader.stdin.flush()
                assert int(reader.stdout.readline()) == index + 1


def test_payloads_come_in_order_whether_asked_for_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(shardfile, "READ_AHEAD_BYTES", 64)  # several blocks
    path = tmp_path / "00000.lmdb"
    payloads = {index: f"payload {index}".encode() * (index % 7) for index in range(0, 300, 3)}
    with ShardFile(path) as file:
        file.append([result(index, payload) for index, payload in reversed(payloads.items())])
    assert list(read_payloads(path)) == list(payloads.items())
    assert list(read_payloads(path, [9, 4, 3, 297])) == [(index, payloads[index]) for index in (3, 9, 297)]


def test_a_payload_keeps_its_mark(tmp_path):
    with ShardFile(tmp_path / "00000.lmdb") as file:
        file.append([result(5, b"five")])
        assert file.marks()[5] == Mark(DONE, 4, ("detail", 5))


@pytest.mark.parametrize(
    ("size", "together", "limit"),
    [
        (700, 128, 1.3),
        (1400, 64, 1.3),
        (2100, 128, 1.1),
        (5000, 16, 1.1),
        (20_000, 3, 1.1),
        (70_000, 128, 1.1),
    ],
)
def test_it_takes_little_more_room_than_the_bytes_that_it_keeps(tmp_path, size, together, limit):
    """However few are committed together, and in the order in which a download ends."""
    count = 4_000_000 // size
    late = random.Random(size)
    order = sorted(range(count), key=lambda index: index + late.uniform(0, 100))
    path = tmp_path / "00000.lmdb"
    with ShardFile(path) as file:
        for start in range(0, count, together):
            file.append([result(index, bytes(size)) for index in order[start : start + together]])
    assert sum(len(payload) for _, payload in read_payloads(path)) == count * size
    assert path.stat().st_size <= limit * count * size + FREE_BYTES


def cached(path: Path) -> float:
    """The part of a file that the system holds in memory."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        flags = ctypes.create_string_buffer(-(-len(pages) // PAGE))
        start = ctypes.c_char.from_buffer(pages)
        failed = ctypes.CDLL(None).mincore(ctypes.byref(start), ctypes.c_size_t(len(pages)), flags)
        del start  # which holds the map
    assert not failed
    return sum(flag & 1 for flag in flags.raw[:-1]) / (len(flags) - 1)


def test_large_chunks_leave_memory_and_small_ones_stay(tmp_path):
    other = tmp_path / "other"
    other.write_bytes(bytes(1 << 22))
    with other.open("rb") as file:
        os.fsync(file.fileno())
    leave_cache(other, other.stat().st_size)
    if cached(other) > 0.1:
        pytest.skip("a file system that is in memory as a whole")
    parts = []
    for size in (LARGE_BYTES // 32, LARGE_BYTES // 8):
        path = tmp_path / f"{size}.lmdb"
        for first in range(0, 256, 16):
            with ShardFile(path) as file:  # each anew, since what it has mapped stays
                file.append([result(index, bytes(size)) for index in range(first, first + 16)])
        parts.append(cached(path))
        with ShardFile(path, readonly=True) as file:
            assert file.payload(3) == bytes(size)
    little, much = parts
    assert little > 0.9
    assert much < 0.2  # the last chunk


def test_long_and_short_payloads_are_told_apart_and_the_last_stored_counts(tmp_path):
    path = tmp_path / "00000.lmdb"
    sizes = (0, 1, 70_000, 30_000, 65_536, 40_000, 200_000, 3)
    payloads = {index: bytes([index]) * size for index, size in enumerate(sizes)}
    with ShardFile(path) as file:
        file.append([result(index, b"another") for index in payloads])
        file.append([result(index, payload) for index, payload in payloads.items()])
        file.append([result(9, b"nine")])
        file.delete([9])
    assert dict(read_payloads(path)) == payloads
    with ShardFile(path, readonly=True) as file:
        assert file.stored(Key(0, 2)) == result(2, payloads[2])
        assert file.stored(Key(0, 9)) is None


def test_whichever_page_is_lost_most_is_rescued(tmp_path):
    """Also that which names the packs: they are found without it."""
    path, damaged, new = (tmp_path / name / "00000.lmdb" for name in ("whole", "damaged", "new"))
    for folder in (path, damaged, new):
        folder.parent.mkdir()
    payloads = {index: bytes([index]) * 500 for index in range(150)}
    with ShardFile(path) as file:
        file.append([result(index, payload) for index, payload in payloads.items()])
    data = path.read_bytes()
    for at in range(2 * PAGE, len(data), PAGE):
        damaged.write_bytes(data[:at] + bytes(PAGE) + data[at + PAGE :])
        new.unlink(missing_ok=True)
        shardfile.rescue(damaged, new)
        rescued = dict(read_payloads(new))
        assert rescued.items() <= payloads.items()
        assert len(rescued) > 50  # a page has the labels of 80


@pytest.mark.parametrize("pages", [1, 10, 20])
def test_a_file_cut_off_within_its_last_value_is_named_and_ends_no_process(tmp_path, pages):
    path = tmp_path / "00000.lmdb"
    with ShardFile(path) as file:
        for index in range(3):
            file.append([result(index, bytes(90_000))])
    os.truncate(path, path.stat().st_size - pages * PAGE)
    with pytest.raises(StoreError, match=r"00000\.lmdb is damaged"):
        list(read_payloads(path))


@pytest.mark.parametrize(("key", "label"), [(b"\0\0\0\1", b"short"), (b"\0\0\1", bytes(40))])
def test_a_label_that_is_none_is_named(tmp_path, key, label):
    path = tmp_path / "00000.lmdb"
    with ShardFile(path) as file:
        file.append([result(0, b"payload")])
    with Store(path, ("packs", "labels")) as store:
        store.write(lambda txn: store.put(txn, "labels", key, label))
    with ShardFile(path, readonly=True) as file:
        for read in (lambda: list(file.payloads()), file.marks, file.problem):
            with pytest.raises(StoreError, match=r"00000\.lmdb is damaged"):
                read()


def test_a_file_that_is_missing_or_no_lmdb_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"gone\.lmdb is damaged: it is missing"):
        Store(tmp_path / "gone.lmdb", ("a",), readonly=True)
    (tmp_path / "noise.lmdb").write_bytes(b"noise" * 5000)
    with pytest.raises(StoreError, match=r"noise\.lmdb"):
        Store(tmp_path / "noise.lmdb", ("a",))


def test_a_failed_change_leaves_nothing(tmp_path):
    with Store(tmp_path / "a.lmdb", ("a",)) as file:

        def change(txn):
            file.put(txn, "a", b"key", b"value")
            raise KeyError

        with pytest.raises(KeyError):
            file.write(change)
        with file.read() as txn:
            assert file.get(txn, "a", b"key") is None


@pytest.fixture
def checkpoint(tmp_path: Path):
    with Checkpoint(tmp_path / "checkpoint.lmdb") as checkpoint:
        yield checkpoint


def test_marks_and_tally_agree_through_repeats_changes_and_forgetting(checkpoint):
    checkpoint.commit(
        "toy", [(Key(1, 0), Mark(DONE, 10)), (Key(1, 1), Mark("timeout")), (Key(2, 0), Mark(DONE, 5))]
    )
    checkpoint.commit("toy", [(Key(1, 0), Mark(DONE, 10))])  # the same receipt again
    assert checkpoint.tally("toy") == {1: {DONE: (1, 10), "timeout": (1, 0)}, 2: {DONE: (1, 5)}}
    checkpoint.commit("toy", [(Key(1, 1), Mark(DONE, 7))])
    assert checkpoint.tally("toy")[1] == {DONE: (2, 17)}
    checkpoint.forget("toy", [Key(1, 0), Key(9, 9)])
    assert checkpoint.tally("toy")[1] == {DONE: (1, 7)}
    assert dict(checkpoint.marks("toy", 1)) == {1: Mark(DONE, 7)}
    assert checkpoint.finished("toy", 2) == {0}


def test_stages_do_not_see_each_other(checkpoint):
    checkpoint.commit("toy", [(Key(1, 0), Mark(DONE))])
    checkpoint.commit("toys", [(Key(1, 5), Mark(DONE))])
    assert checkpoint.finished("toy", 1) == {0}
    assert checkpoint.finished("toys", 1) == {5}
    assert checkpoint.tally("other") == {}


def test_notes_are_kept(tmp_path):
    with Checkpoint(tmp_path / "a.lmdb") as checkpoint:
        assert checkpoint.note("recipe") is None
        checkpoint.set_note("recipe", b"exact")
    with Checkpoint(tmp_path / "a.lmdb", readonly=True) as checkpoint:
        assert checkpoint.note("recipe") == b"exact"
