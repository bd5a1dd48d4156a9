"""The band search against brute force, and the promises of the star selection."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from runner import hamming
from runner.hamming import Hashes, leaders, near_matches, near_pairs
from runner.paircache import PairCache, Pairs, Positions


def flipped(random: np.random.Generator, hashes: Hashes, bits: int) -> Hashes:
    """The hashes with up to so many random bits flipped in each."""
    for _ in range(bits):
        hashes = hashes ^ (np.uint64(1) << random.integers(0, 64, len(hashes), dtype=np.uint64))
    return hashes


def distinct(hashes: Hashes) -> Hashes:
    """Each hash once, in an order that says nothing about its bits."""
    once = np.array(sorted(set(hashes.tolist())), dtype=np.uint64)
    np.random.default_rng(5).shuffle(once)
    return once


def uniform(count: int, seed: int = 1) -> Hashes:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def clustered() -> Hashes:
    random = np.random.default_rng(2)
    centres = uniform(40)
    return np.concatenate([flipped(random, random.choice(centres, 70), bits) for bits in range(9)])


def ball() -> Hashes:
    return flipped(np.random.default_rng(3), np.full(500, 0x5A5A_C3C3_0FF0_1234, dtype=np.uint64), 4)


def constant_bits() -> Hashes:
    return np.concatenate((uniform(100), uniform(500) & np.uint64(0xFFFF) | np.uint64(0xABCD << 40)))


SHAPES: list[tuple[str, Hashes]] = [
    (name, distinct(hashes))
    for name, hashes in [
        ("nothing", np.empty(0, dtype=np.uint64)),
        ("one", uniform(1)),
        ("extremes", np.array([0, 2**64 - 1, 1, 2**63, 2**63 + 1, 3], dtype=np.uint64)),
        ("uniform", uniform(700)),
        ("clustered", clustered()),
        ("ball", ball()),
        ("low bits only", uniform(450) & np.uint64(0xFFF)),
        ("high bits only", uniform(450) & np.uint64(0xFFF << 52)),
        ("four bits", np.arange(16, dtype=np.uint64) << np.uint64(20)),
        ("mostly constant bits", constant_bits()),
        ("skewed bits", uniform(400) & uniform(400, 8) & uniform(400, 9) & uniform(400, 10)),
    ]
]
shapes = pytest.mark.parametrize("hashes", [hashes for _, hashes in SHAPES], ids=[name for name, _ in SHAPES])


def within(left: Hashes, right: Hashes, radius: int) -> npt.NDArray[np.bool_]:
    """By brute force: whether each of the left is so near to each of the right."""
    return np.bitwise_count(left[:, None] ^ right[None, :]) <= radius


def marked(chunks: Iterable[Pairs], rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """The same table, made of the pairs that a search has found."""
    found = np.zeros((rows, columns), dtype=bool)
    for one, other in chunks:
        assert not found[one, other].any(), "a pair comes once"
        found[one, other] = True
        assert len(np.unique(one * columns + other)) == len(one), "a pair comes once"
    return found


def listed(chunks: Iterable[Pairs]) -> list[tuple[int, int]]:
    return [pair for one, other in chunks for pair in zip(one.tolist(), other.tolist(), strict=True)]


@pytest.fixture
def bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Always search by blocks, also where comparing all pairs would be cheaper."""
    monkeypatch.setattr(hamming, "PAIR_COST", 1e9)


@shapes
@pytest.mark.usefixtures("bands")
@pytest.mark.parametrize("radius", range(9))
def test_pairs_equal_brute_force(hashes: Hashes, radius: int) -> None:
    found = marked(near_pairs(hashes, radius), len(hashes), len(hashes))
    assert (found == np.triu(within(hashes, hashes, radius), 1)).all()


@shapes
@pytest.mark.usefixtures("bands")
@pytest.mark.parametrize("radius", [0, 1, 4])
def test_long_runs_are_searched_by_their_other_bits(
    hashes: Hashes, radius: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hamming, "LONG_RUN", 8)
    monkeypatch.setattr(hamming, "SCAN_ROWS", 7)
    test_pairs_equal_brute_force(hashes[:100], radius)


@shapes
@pytest.mark.parametrize("radius", [0, 1, 4, 7])
def test_matches_between_two_sets_equal_brute_force(
    hashes: Hashes, radius: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hamming, "LONG_RUN", 20)
    others = distinct(np.concatenate((hashes[::3], uniform(300, 4))))
    found = marked(near_matches(hashes, others, radius), len(hashes), len(others))
    assert (found == within(hashes, others, radius)).all()


def star(hashes: Hashes, rank: Positions, radius: int) -> list[int]:
    """Star selection as one would write it down."""
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    kept: list[int] = []
    for here in range(len(hashes)):
        if (distance[here, kept] > radius).all():
            kept.append(here)
    nearest = sorted(kept, key=lambda k: rank[k])  # of several that are as near the first
    return [nearest[at] for at in distance[:, nearest].argmin(axis=1)] if kept else []


@shapes
@pytest.mark.parametrize("radius", [0, 2, 4, 8])
@pytest.mark.parametrize("crowded", [False, True])
def test_star_selection(hashes: Hashes, radius: int, crowded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if crowded:  # as if no pair list of this size fitted in memory
        monkeypatch.setattr(hamming, "PAIRS_ALLOWED", 30)
    hashes = hashes[:350]
    rank = np.random.default_rng(6).permutation(len(hashes))
    assert leaders(hashes, rank, radius).tolist() == star(hashes, rank, radius)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs each comparison looked at."""
    counts: list[int] = []
    within = hamming._within

    def counting(one: Hashes | np.uint64, other: Hashes, radius: int) -> npt.NDArray[np.bool_]:
        counts.append(len(other))
        return within(one, other, radius)

    monkeypatch.setattr(hamming, "_within", counting)
    return counts


# -- a search that is killed --


def killed_after(chunks: Iterator[Pairs], pairs: int) -> None:
    """Take so many pairs, and no more."""
    while pairs > 0:
        pairs -= len(next(chunks)[0])
    chunks.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("found", [0, 1, 60, 400])
@pytest.mark.usefixtures("bands")
def test_it_goes_on_behind_the_last_finished_table(found: int, tmp_path: Path, compared: list[int]) -> None:
    hashes = distinct(clustered())
    cache = PairCache(tmp_path / "cache")
    whole = listed(near_pairs(hashes, 4))
    everything = sum(compared)
    killed_after(near_pairs(hashes, 4, cache), found)
    tables = len(list(tmp_path.glob("cache/*")))
    compared.clear()

    assert listed(near_pairs(hashes, 4, cache)) == whole
    assert (sum(compared) < everything) == (tables > 0)
    compared.clear()
    assert listed(near_pairs(hashes, 4, cache)) == whole
    assert compared == []

    cache.clear()
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("bands")
def test_what_another_search_found_is_not_taken(tmp_path: Path) -> None:
    cache = PairCache(tmp_path / "cache")
    hashes = distinct(clustered())
    for others, radius in ((hashes, 4), (hashes[::-1].copy(), 4), (hashes, 3), (hashes[:300], 4)):
        assert listed(near_pairs(others, radius, cache)) == listed(near_pairs(others, radius))


@pytest.mark.usefixtures("bands")
@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[:-4], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _: b"", lambda _: b"x"],
)
def test_a_spoilt_table_is_searched_again(spoil: Callable[[bytes], bytes], tmp_path: Path) -> None:
    cache = PairCache(tmp_path / "cache")
    hashes = distinct(clustered())
    whole = listed(near_pairs(hashes, 4, cache))
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(spoil(file.read_bytes()))

    assert listed(near_pairs(hashes, 4, cache)) == whole


def test_without_a_place_to_write_to_it_searches_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    hashes = distinct(clustered())

    assert listed(near_pairs(hashes, 4, PairCache(tmp_path / "cache"))) == listed(near_pairs(hashes, 4))


# -- what it costs --


def test_a_giant_crowd_is_not_quadratic(compared: list[int]) -> None:
    """30,000 hashes around one, a good part of all pairs near: few are looked at, the promises are kept."""
    crowd = distinct(flipped(np.random.default_rng(7), np.full(30_000, 99, dtype=np.uint64), 4))
    leader = leaders(crowd, np.arange(len(crowd)), 4)
    assert sum(compared) < len(crowd) ** 2 / 2 / 10
    assert (np.bitwise_count(crowd ^ crowd[leader]) <= 4).all()
    kept = crowd[np.unique(leader)]
    assert not listed(near_pairs(kept, 4))


def test_skewed_bits_are_not_quadratic(compared: list[int]) -> None:
    """Of 50,000 hashes 30,000 agree in 40 bits."""
    alike = uniform(30_000) & np.uint64(0xFFFFFF) | np.uint64(0xABCDEF1234 << 24)
    hashes = distinct(np.concatenate((uniform(20_000, 8), alike)))
    leaders(hashes, np.arange(len(hashes)), 4)
    assert sum(compared) < len(hashes) ** 2 / 2 / 10


def test_uniform_hashes_are_hardly_compared(compared: list[int]) -> None:
    leaders(uniform(50_000), np.arange(50_000), 4)
    assert sum(compared) < 50 * 50_000


@pytest.mark.parametrize("radius", [-1, 9])
def test_radius_out_of_range_is_refused(radius: int) -> None:
    with pytest.raises(ValueError, match="radius"):
        list(near_pairs(uniform(3), radius))
