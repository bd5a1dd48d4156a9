"""Files that passed the check are read in a process of their own: whatever was changed in them, it lives."""

import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.engine.errors import DamagedError
from runner.engine.pages import BRANCH, HEAD, LEAF, METAS
from runner.engine.soundness import check_pages, check_readable, find_damage
from runner.engine.store import Store

PAGE = 4096
META_BYTES = 152
MUTATIONS = 500
SHORT = {f"{n:04}".encode(): bytes([n % 256]) * (n % 60) for n in range(400)}
LONG = {f"{n:04}".encode(): bytes([n]) * 6000 for n in range(12)}

READ = """
import sys
from pathlib import Path
from runner.engine.errors import StoreError
from runner.engine.store import Store

def read(path):
    with Store(path, ("short", "long"), readonly=True) as store, store.read() as txn:
        for table in ("short", "long"):
            for n in range(400):
                store.get(txn, table, f"{n:04}".encode())
            for key, value in store.cursor(txn, table) or ():
                bytes(key), bytes(value)

for line in sys.stdin:
    try:
        read(Path(line.rstrip()))
        print("read", flush=True)
    except StoreError:
        print("refused", flush=True)
"""


class Reader:
    """A process that reads all of a file through LMDB, without the check."""

    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([sys.executable, "-c", READ], **pipes)

    def says(self, path: Path) -> str:
        """Nothing if it dies of it."""
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip()

    def end(self) -> int:
        self._process.communicate()
        return self._process.returncode


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.end()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A file with branches, leaves, long values, and pages that are free."""
    path = tmp_path_factory.mktemp("whole") / "whole.lmdb"
    with Store(path, ("short", "long")) as store:
        for table, rows in (("short", SHORT), ("long", LONG), ("long", LONG)):

            def change(txn, table=table, rows=rows):
                for key, value in rows.items():
                    store.put(txn, table, key, value)

            store.write(change)
    return path.read_bytes()


@pytest.fixture
def path(whole, tmp_path) -> Path:
    path = tmp_path / "file.lmdb"
    path.write_bytes(whole)
    return path


def tree_pages(data: bytes) -> list[int]:
    heads = {at: HEAD.unpack_from(data, at) for at in range(METAS * PAGE, len(data), PAGE)}
    return [
        at for at, (number, _, kind, *_) in heads.items() if number * PAGE == at and kind in (BRANCH, LEAF)
    ]


def some_field(data: bytes, chance: random.Random) -> int:
    """Two bytes that mean something: in a meta page, or in the head, a place or a node of a tree page."""
    kind = chance.choice(["meta", "head", "place", "node", "node"])
    if kind == "meta":
        return chance.choice([0, PAGE]) + chance.randrange(0, META_BYTES, 2)
    page = chance.choice(tree_pages(data))
    if kind == "head":
        return page + chance.randrange(0, HEAD.size, 2)
    place = page + chance.randrange(HEAD.size, HEAD.unpack_from(data, page)[3], 2)
    if kind == "place":
        return place
    return min(page + struct.unpack_from("=H", data, place)[0] + chance.randrange(0, 20, 2), page + PAGE - 2)


def mutate(whole: bytes, chance: random.Random) -> bytes:
    data = bytearray(whole)
    at = some_field(whole, chance)
    old = struct.unpack_from("=H", whole, at)[0]
    bit = old ^ 1 << chance.randrange(16)
    new = chance.choice([0, 1, 2, 0xFFFF, old + 1, old - 1, bit, bit, chance.randrange(1 << 16)])
    struct.pack_into("=H", data, at, new & 0xFFFF)
    return bytes(data)


def test_what_passed_the_check_ends_no_process_that_reads_it(whole, path, reader):
    answers = []
    for seed in range(MUTATIONS):
        path.write_bytes(mutate(whole, random.Random(seed)))
        try:
            check_readable(path)
        except DamagedError:
            continue
        answers.append(reader.says(path))
        assert answers[-1], f"mutation {seed} ended the process: {reader.end()}"
    # In most fields that are none of ours to look at a change does no harm: bytes of keys and values.
    assert 50 < answers.count("read") < MUTATIONS - 100


def a_value_beyond_the_end(data: bytearray) -> None:
    """In the newest leaf that names the long value which is changed here."""
    for page in tree_pages(data):
        end, key = HEAD.unpack_from(data, page)[3], b"0003"
        for (place,) in struct.iter_unpack("=H", data[page + HEAD.size : page + end]):
            at = page + place
            length, flags, width = struct.unpack_from("=IHH", data, at)
            if (length, flags, data[at + 8 : at + 8 + width]) == (6000, 1, key):
                struct.pack_into("=I", data, at, 60 * PAGE)


def test_a_value_that_goes_beyond_the_file_is_found_before_it_ends_the_process(whole, path, reader):
    data = bytearray(whole)
    a_value_beyond_the_end(data)
    path.write_bytes(data)
    with pytest.raises(DamagedError, match="a value is not where it should be"):
        check_readable(path)
    assert reader.says(path) == ""
    assert reader.end() < 0


def test_a_page_that_a_tree_has_twice_is_found(whole, path):
    data = bytearray(whole)
    branch = next(page for page in tree_pages(whole) if HEAD.unpack_from(whole, page)[2] == BRANCH)
    first, second = (branch + place for place in struct.unpack_from("=HH", data, branch + HEAD.size))
    data[first : first + 4] = data[second : second + 4]
    path.write_bytes(data)
    with pytest.raises(DamagedError, match="is not what its tree takes it for"):
        check_readable(path)


def test_a_table_that_lost_an_entry_is_found(whole, path):
    path.write_bytes(whole.replace(struct.pack("=Q", len(SHORT)), struct.pack("=Q", len(SHORT) + 1)))
    with pytest.raises(DamagedError, match="a table has 400 entries, and tells of 401"):
        check_readable(path)


@pytest.mark.parametrize("pages", [3, 20])
def test_every_check_finds_that_the_end_is_missing(whole, path, pages):
    path.write_bytes(whole[: -pages * PAGE])
    assert find_damage(path)
    for check in (check_readable, check_pages):
        with pytest.raises(DamagedError):
            check(path)


def test_what_lmdb_left_passes_every_check(path):
    assert find_damage(path) is None
    check_readable(path)
    check_pages(path)
    path.write_bytes(b"")
    check_readable(path)
