import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from runner import digesttable
from runner.digesttable import DigestTable
from runner.seen import FEW, NEW, SeenUrls


def test_a_repeat_has_the_number_of_the_first_of_its_kind() -> None:
    seen = SeenUrls()
    block = ["http://a/1", "http://a/2", "http://a/1", "http://a/3", "http://a/1"]
    assert seen.add(block) == [NEW, NEW, 0, NEW, 0]
    assert seen.add(["http://a/4", "http://a/3"]) == [NEW, 2]
    assert len(seen) == 4


def test_urls_are_equal_when_their_normal_forms_are() -> None:
    seen = SeenUrls()
    assert seen.add(["HTTP://A:80/x#1", "http://a/x", "http://a/X"]) == [NEW, 0, NEW]


def test_any_text_can_be_added() -> None:
    seen = SeenUrls()
    block = ["", "\ud800", "\x00", "ü", "x" * 100_000]
    assert set(seen.add(block)) == {NEW}
    assert seen.add(block) == [0, 1, 2, 3, 4]


def test_an_empty_block() -> None:
    assert SeenUrls().add([]) == []


def test_many_blocks_agree_with_a_python_dict() -> None:
    draw = random.Random(3)
    seen, known = SeenUrls(), {}
    for _ in range(300):
        block = [f"http://a/{draw.randrange(60_000)}" for _ in range(draw.randrange(400))]
        expected = []
        for url in block:
            expected.append(known.get(url, NEW))
            known.setdefault(url, len(known))
        assert seen.add(block) == expected
    assert len(seen) == len(known) > FEW


def test_digests_that_share_a_word_are_told_apart() -> None:
    draw = random.Random(4)
    digests, known = DigestTable(), {}
    highs = [0, 1, 2**60 - 1, 2**60, 2**63, 2**64 - 1]
    for _ in range(50):
        block = [(draw.choice(highs), draw.choice(highs) ^ draw.randrange(20)) for _ in range(30)]
        expected = []
        for digest in block:
            expected.append(known.get(digest, NEW))
            known.setdefault(digest, len(known))
        high, low = np.array(block, dtype=np.uint64).T
        assert digests.add(high, low).tolist() == expected
    assert len(digests) == len(known)


def test_memory_is_under_24_bytes_per_digest() -> None:
    generator = np.random.default_rng(5)
    digests = DigestTable()
    tracemalloc.start()
    try:
        for _ in range(100):
            high, low = generator.integers(0, 2**64, size=(2, 10_000), dtype=np.uint64)
            digests.add(high, low)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(digests) == 1_000_000
    assert peak < 24 * len(digests)


def test_of_many_digests_most_are_in_files_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digesttable, "_FILED_FROM", 256)
    generator = np.random.default_rng(6)
    digests = DigestTable(tmp_path)
    blocks = [generator.integers(0, 2**64, size=(2, 2_000), dtype=np.uint64) for _ in range(150)]
    tracemalloc.start()
    try:
        assert all((digests.add(*block) == NEW).all() for block in blocks)
        held, _ = tracemalloc.get_traced_memory()
        assert digests.add(*blocks[70]).tolist() == list(range(140_000, 142_000))
    finally:
        tracemalloc.stop()
    assert held < 2 * len(digests)
    assert list(tmp_path.iterdir()) == []
