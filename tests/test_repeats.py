import random
import tracemalloc

import numpy as np

from runner.repeats import DigestSet, SeenUrls


def test_the_first_of_equal_urls_is_no_repeat() -> None:
    seen = SeenUrls()
    block = ["http://a/1", "http://a/2", "http://a/1", "http://a/3", "http://a/1"]
    assert seen.add(block).tolist() == [False, False, True, False, True]
    assert seen.add(["http://a/4", "http://a/3"]).tolist() == [False, True]
    assert len(seen) == 4


def test_urls_are_equal_when_their_normal_forms_are() -> None:
    seen = SeenUrls()
    assert seen.add(["HTTP://A:80/x#1", "http://a/x", "http://a/X"]).tolist() == [False, True, False]


def test_any_text_can_be_added() -> None:
    seen = SeenUrls()
    block = ["", "\ud800", "\x00", "ü", "x" * 100_000]
    assert not seen.add(block).any()
    assert seen.add(block).all()


def test_an_empty_block() -> None:
    assert SeenUrls().add([]).tolist() == []


def test_many_blocks_agree_with_a_python_set() -> None:
    draw = random.Random(3)
    seen, known = SeenUrls(), set()
    for _ in range(300):
        block = [f"http://a/{draw.randrange(60_000)}" for _ in range(draw.randrange(400))]
        expected = []
        for url in block:
            expected.append(url in known)
            known.add(url)
        assert seen.add(block).tolist() == expected
    assert len(seen) == len(known)


def test_numbers_that_share_a_word_are_told_apart() -> None:
    draw = random.Random(4)
    numbers, known = DigestSet(), set()
    highs = [0, 1, 2**60 - 1, 2**60, 2**63, 2**64 - 1]
    for _ in range(50):
        block = [(draw.choice(highs), draw.choice(highs) ^ draw.randrange(20)) for _ in range(30)]
        expected = []
        for number in block:
            expected.append(number in known)
            known.add(number)
        high, low = np.array(block, dtype=np.uint64).T
        assert numbers.add(high, low).tolist() == expected
    assert len(numbers) == len(known)


def test_memory_is_under_20_bytes_per_number() -> None:
    generator = np.random.default_rng(5)
    numbers = DigestSet()
    tracemalloc.start()
    try:
        for _ in range(100):
            high, low = generator.integers(0, 2**64, size=(2, 10_000), dtype=np.uint64)
            numbers.add(high, low)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(numbers) == 1_000_000
    assert peak < 20 * len(numbers)
