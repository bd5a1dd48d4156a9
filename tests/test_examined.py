"""The table of what was found in equal bytes, with real processes."""

import multiprocessing
import random

import pytest

from runner import examined
from runner.examined import Examined

FORK = multiprocessing.get_context("fork")


def keys(count: int) -> list[bytes]:
    return [random.Random(number).randbytes(32) for number in range(count)]


def test_what_one_process_found_another_knows() -> None:
    table = Examined()
    first, second = keys(2)
    child = FORK.Process(target=table.put, args=(first, b"found"))
    child.start()
    child.join()
    assert table.get(first) == b"found"
    assert table.get(second) is None


def test_an_entry_takes_the_place_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examined, "SLOTS", 1)
    table = Examined()
    first, second = keys(2)
    table.put(first, b"the longer one")
    table.put(second, b"short")
    assert table.get(first) is None
    assert table.get(second) == b"short"


def test_what_is_too_long_is_not_remembered() -> None:
    table = Examined()
    (key,) = keys(1)
    table.put(key, b"x" * 92)
    assert table.get(key) is None
    table.put(key, b"x" * 91)
    assert table.get(key) == b"x" * 91


def write_again_and_again(table: Examined, key: bytes, found: bytes) -> None:
    for _ in range(20_000):
        table.put(key, found)


def test_processes_that_write_the_same_place_mix_nothing_up() -> None:
    table = Examined()
    (key,) = keys(1)
    texts = [b"a" * 91, b"b" * 60]
    children = [FORK.Process(target=write_again_and_again, args=(table, key, text)) for text in texts]
    for child in children:
        child.start()
    seen = {table.get(key) for _ in range(20_000)}
    for child in children:
        child.join()
    assert seen <= {None, *texts}


def test_a_damaged_entry_is_not_known() -> None:
    table = Examined()
    (key,) = keys(1)
    table.put(key, b"found")
    at = table._place(key)
    for position in range(32 + 1 + 4 + 5):
        table.put(key, b"found")
        table._memory[at + position] ^= 1
        assert table.get(key) is None
