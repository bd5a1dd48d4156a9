"""The reduce, on real LMDB files: who stands for whom, and that nothing but the images decides it."""

import hashlib
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lmdb
import pytest
from pictures import encode, photo, solid, text_line, with_alpha

from runner import dedup, hamming
from runner.dedup import preview, reduce
from runner.deduptable import DedupTable, Reduction
from runner.engine.items import DONE, Key, Mark, Result
from runner.engine.shardfile import ShardFile, shard_file
from runner.errors import StoreError, UsageError
from runner.examiner import fingerprint
from runner.export_options import Filters, Selection
from runner.fingerprint import Fingerprint
from runner.paircache import PairCache, Pairs

Records = dict[Key, Fingerprint]
EVERYTHING = Filters(min_side=0)
PHOTO = 0x0F0F_3C3C_5555_33CC  # half of its bits set, as a photograph has it


def record(
    content: object, phash: int = PHOTO, *, side: int = 200, height: int | None = None, contrast: float = 40.0
) -> Fingerprint:
    """What the hash pass would say of a made-up image; equal ``content`` means equal bytes."""
    return Fingerprint(
        sha256=hashlib.sha256(repr((content, phash, side, height, contrast)).encode()).digest(),
        size=1000,
        width=side,
        height=height or side,
        format="JPEG",
        mode="RGB",
        orientation=1,
        phash=phash.to_bytes(8),
        contrast=contrast,
        levels=200,
    )


def swapped(phash: int, swaps: int, seed: int = 0) -> int:
    """A hash at a distance of twice so many bits, with as many bits set."""
    pick = random.Random(seed)
    ones = pick.sample([bit for bit in range(64) if phash >> bit & 1], swaps)
    zeros = pick.sample([bit for bit in range(64) if not phash >> bit & 1], swaps)
    for bit in ones + zeros:
        phash ^= 1 << bit
    return phash


def distance(one: Fingerprint, other: Fingerprint) -> int:
    return (int.from_bytes(one.phash) ^ int.from_bytes(other.phash)).bit_count()


class Job:
    """A folder with hashes and a table."""

    def __init__(self, folder: Path) -> None:
        self.hashes = folder / "hashes"
        self.hashes.mkdir(parents=True)
        self.table = folder / "dedup.lmdb"
        self.shards: set[int] = set()

    def add(self, records: Records) -> None:
        for shard in {key.shard for key in records}:
            self.shards.add(shard)
            with ShardFile(shard_file(self.hashes, shard)) as file:
                file.append(
                    Result(key, Mark(DONE), found.pack())
                    for key, found in records.items()
                    if key.shard == shard
                )

    def reduce(self, selection: Selection, *, reselect: bool = False, order: Sequence[int] = ()) -> Reduction:
        return reduce(
            self.hashes, self.table, selection, reselect=reselect, shards=order or sorted(self.shards)
        )

    def kept(self) -> dict[Key, int]:
        with DedupTable(self.table) as table:
            return {Key(s, index): count for s in sorted(self.shards) for index, count in table.kept(s)}

    def duplicates(self) -> dict[Key, Key]:
        with DedupTable(self.table) as table:
            return {Key(s, i): key for s in sorted(self.shards) for i, key in table.duplicates(s).items()}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def listed(records: Iterable[Fingerprint]) -> Records:
    return {Key(0, index): found for index, found in enumerate(records)}


def near(radius: int = 4, filters: Filters = EVERYTHING) -> Selection:
    return Selection("near", radius, filters)


# --- who is chosen ---------------------------------------------------------------------------------------


def test_most_pixels_then_lowest_key_is_kept(job: Job) -> None:
    job.add(
        {
            Key(0, 4): record("a", side=300),
            Key(0, 9): record("b", side=400),
            Key(1, 0): record("c", side=400),
            Key(1, 7): record("d", side=10),
        }
    )
    assert job.reduce(near()) == Reduction(1, 3, {"min_side": 0})
    assert job.kept() == {Key(0, 9): 3}
    assert job.duplicates() == dict.fromkeys([Key(0, 4), Key(1, 0), Key(1, 7)], Key(0, 9))


def test_policies_differ_in_what_they_call_equal(job: Job) -> None:
    same = record("same")
    job.add(listed([same, same, record("same hash"), record("near", swapped(PHOTO, 2))]))
    kept = {}
    for policy in ("none", "bytes", "phash", "near"):
        job.reduce(Selection(policy, 4, EVERYTHING))
        kept[policy] = [key.index for key in job.kept()]
    assert kept == {"none": [0, 1, 2, 3], "bytes": [0, 2, 3], "phash": [0, 3], "near": [0]}


def test_radius_zero_is_equal_hashes_and_odd_radii_round_down(job: Job) -> None:
    job.add(listed(record(n, swapped(PHOTO, n, seed=n)) for n in (0, 0, 1, 2, 3)))
    outcomes = {radius: (job.reduce(near(radius)), job.kept(), job.duplicates())[1:] for radius in range(9)}
    assert outcomes[1] == outcomes[0]
    assert outcomes[5] == outcomes[4] != outcomes[3]
    job.reduce(Selection("phash", 4, EVERYTHING))
    assert (job.kept(), job.duplicates()) == outcomes[0]


def test_chains_do_not_merge(job: Job) -> None:
    middle = swapped(PHOTO, 2, seed=1)
    end = swapped(middle, 2, seed=5)
    assert (PHOTO ^ end).bit_count() > 4
    job.add(listed([record("a", PHOTO, side=400), record("b", middle, side=300), record("c", end, side=200)]))
    job.reduce(near())
    assert job.kept() == {Key(0, 0): 1, Key(0, 2): 0}
    assert job.duplicates() == {Key(0, 1): Key(0, 0)}


def test_a_duplicate_names_the_nearest_that_is_kept(job: Job) -> None:
    dropped = swapped(PHOTO, 2, seed=1)
    nearer = next(h for seed in range(99) if (PHOTO ^ (h := swapped(dropped, 1, seed))).bit_count() > 4)
    job.add(
        listed([record("a", PHOTO, side=400), record("b", dropped, side=300), record("c", nearer, side=200)])
    )
    job.reduce(near())
    assert job.duplicates() == {Key(0, 1): Key(0, 2)}


def crowd(count: int = 400) -> Records:
    """Made-up images around a few hashes, of a few sizes, some of equal bytes, in three shards."""
    pick = random.Random(4)
    centres = [swapped(PHOTO, 9, seed) for seed in range(30)]
    made = {}
    for number in range(count):
        phash = swapped(pick.choice(centres), pick.randint(0, 3), seed=pick.randint(0, 50))
        content = pick.randint(0, 3)
        made[Key(pick.randint(0, 2), number)] = record(content, phash, side=pick.choice([150, 200, 300]))
    return made


@pytest.mark.parametrize("radius", [0, 2, 4, 6, 8])
def test_star_promises(job: Job, radius: int) -> None:
    images = crowd()
    job.add(images)
    outcome = job.reduce(near(radius))
    kept, duplicates = job.kept(), job.duplicates()
    assert (len(kept), len(duplicates)) == (outcome.unique, outcome.duplicates)
    assert kept.keys() | duplicates.keys() == images.keys()
    assert not kept.keys() & duplicates.keys()
    assert all(distance(images[a], images[b]) > radius for a in kept for b in kept if a < b)
    for key, leader in duplicates.items():
        nearest = min(distance(images[key], images[other]) for other in kept)
        assert distance(images[key], images[leader]) == nearest <= radius
    assert kept == {key: list(duplicates.values()).count(key) for key in kept}


# --- guards ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda content: record(content, 1 << 63),  # flat: one bit set
        lambda content: record(content, contrast=9.9),
        lambda content: record(content)._replace(levels=47),
    ],
    ids=["flat", "little contrast", "few levels"],
)
@pytest.mark.parametrize("policy", ["phash", "near"])
def test_pictures_without_detail_merge_by_equal_bytes_only(
    job: Job, policy: str, make: Callable[[str], Fingerprint]
) -> None:
    job.add(listed([make("a"), make("a"), make("b"), record("photo"), record("other photo")]))
    job.reduce(Selection(policy, 8, EVERYTHING))
    assert job.kept() == {Key(0, 0): 1, Key(0, 2): 0, Key(0, 3): 1}


def test_real_pictures(job: Job) -> None:
    """Copies go, strangers stay: solid colours and one-line placeholders share hashes but are not copies."""
    pictures = {
        "photo": encode(photo(1)),
        "photo again": encode(photo(1)),
        "photo, coarse": encode(photo(1), quality=40),
        "photo, small": encode(photo(1).resize((150, 112))),
        "photo, webp": encode(photo(1), "WEBP", lossless=False, quality=70),
        "photo, png": encode(photo(1), "PNG"),
        "half transparent": encode(with_alpha(photo(1), 20), "PNG"),
        "other photo": encode(photo(2)),
        "red": encode(solid("red")),
        "blue": encode(solid("blue")),
        "blue again": encode(solid("blue")),
        "404": encode(text_line("404")),
        "Error": encode(text_line("Error")),
    }
    names = list(pictures)
    found = listed(fingerprint(data) for data in pictures.values())
    assert found[Key(0, names.index("404"))].phash == found[Key(0, names.index("Error"))].phash
    job.add(found)
    job.reduce(Selection())
    assert {names[k.index]: names[v.index] for k, v in job.duplicates().items()} == {
        "photo again": "photo",
        "photo, coarse": "photo",
        "photo, small": "photo",
        "photo, webp": "photo",
        "photo, png": "photo",
        "blue again": "blue",
    }


# --- filters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        ({"min_side": 200}, {"square", "wide"}),
        ({"max_side": 300}, {"square", "small"}),
        ({"min_area": 200 * 200}, {"square", "wide"}),
        ({"max_area": 200 * 200}, {"square", "small"}),
        ({"max_aspect": 2.0}, {"square", "wide"}),
        ({"formats": ("png", "gif")}, {"wide"}),
        ({"min_bytes": 1000}, {"square", "wide"}),
        ({"max_bytes": 1000}, {"square", "small"}),
    ],
)
def test_each_filter(job: Job, limit: dict[str, Any], kept: set[str]) -> None:
    images = {
        "square": record("square", side=200),
        "wide": record("wide", side=400, height=200)._replace(format="PNG", size=1001),
        "small": record("small", side=9, height=3)._replace(size=999),
    }
    job.add(listed(images.values()))
    filters = Filters(**({"min_side": 0} | limit))
    outcome = job.reduce(Selection("none", filters=filters))
    assert {list(images)[key.index] for key in job.kept()} == kept
    assert outcome.filtered == {"min_side": 0} | {next(iter(limit)): 3 - len(kept)}


def test_filters_come_before_the_choice(job: Job) -> None:
    """The largest is left out, so it must not suppress the smaller one that stays."""
    job.add(listed([record("huge", side=900), record("fits", side=300), record("tiny", side=99)]))
    outcome = job.reduce(near(filters=Filters(max_area=500 * 500)))
    assert outcome == Reduction(1, 0, {"min_side": 1, "max_area": 1})
    assert job.kept() == {Key(0, 1): 0}


def test_each_filter_counts_what_it_left_out_first(job: Job) -> None:
    job.add(
        listed(
            [
                record(1, side=100, height=300),
                record(2, side=100, height=301),
                record(3, side=301, height=100),
                record(4, side=99, height=5000),
                record(5, side=200, height=201),
            ]
        )
    )
    limits = Filters(min_side=100, max_aspect=3.0, max_area=200 * 200)
    outcome = job.reduce(Selection("none", 4, limits))
    assert outcome == Reduction(1, 0, {"min_side": 1, "max_aspect": 2, "max_area": 1})
    assert job.kept() == {Key(0, 0): 0}


# --- frozen representatives ------------------------------------------------------------------------------


def test_what_was_kept_stays_when_images_are_added(job: Job) -> None:
    job.add({Key(0, 0): record("small", side=200)})
    job.reduce(near())
    job.add({Key(1, 0): record("larger", side=800), Key(1, 1): record("near", swapped(PHOTO, 1), side=900)})
    job.reduce(near())
    assert job.kept() == {Key(0, 0): 2}
    job.reduce(near(), reselect=True)
    assert job.kept() == {Key(1, 1): 2}


def test_another_selection_starts_afresh(job: Job) -> None:
    job.add({Key(0, 0): record("small", side=200)})
    job.reduce(near(4))
    job.add({Key(1, 0): record("larger", side=800)})
    job.reduce(near(2))
    assert job.kept() == {Key(1, 0): 1}


def test_repeating_it_changes_nothing_even_after_additions(job: Job) -> None:
    images = crowd()
    job.add({key: found for key, found in images.items() if key.shard == 0})
    job.reduce(near())
    first = job.kept()
    job.add({key: found for key, found in images.items() if key.shard > 0})
    job.reduce(near())
    assert first.keys() <= job.kept().keys()
    before = job.kept(), job.duplicates(), job.table.read_bytes()
    job.reduce(near())
    assert (job.kept(), job.duplicates(), job.table.read_bytes()) == before


# --- nothing but the images decides ----------------------------------------------------------------------


def test_order_of_shards_and_of_writing_play_no_part(tmp_path: Path) -> None:
    images = crowd()
    tables = set()
    for seed in range(4):
        shuffled = list(images.items())
        random.Random(seed).shuffle(shuffled)
        job = Job(tmp_path / str(seed))
        for start in range(0, len(shuffled), 97):
            job.add(dict(shuffled[start : start + 97]))
        job.reduce(near(), order=random.Random(seed).sample([0, 1, 2], 3))
        tables.add(job.table.read_bytes())
    assert len(tables) == 1


def test_a_kill_while_writing_leaves_the_old_table(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.add(crowd())
    job.reduce(near())
    before = job.table.read_bytes()
    written = []

    def killed(*arguments: object) -> None:
        written.append(arguments)
        if len(written) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(dedup, "_append", killed)
    with pytest.raises(KeyboardInterrupt):
        job.reduce(near(2))
    assert job.table.read_bytes() == before
    monkeypatch.undo()
    job.table.with_name("dedup.lmdb.tmp").write_bytes(b"what a kill -9 leaves behind")
    job.reduce(near(2))
    assert {path.name for path in job.table.parent.iterdir()} <= {"hashes", "dedup.lmdb", "dedup.lmdb-lock"}


def test_sums_that_only_begin_alike_are_not_equal(job: Job) -> None:
    made = [record(n, swapped(PHOTO, 9, n)) for n in range(4)]
    made = [found._replace(sha256=b"samestart" * 2 + bytes([7 * n % 4]) * 14) for n, found in enumerate(made)]
    job.add(listed([*made, made[2]]))
    job.reduce(Selection("bytes", 4, EVERYTHING))
    assert job.duplicates() == {Key(0, 4): Key(0, 2)}


# --- the table -------------------------------------------------------------------------------------------


def test_table_maps_hashes_to_representatives(job: Job) -> None:
    flat = record("flat", 0)
    job.add(listed([record("a"), record("b", swapped(PHOTO, 1)), flat, flat]))
    job.reduce(near())
    job_of_table = lmdb.open(
        str(job.table), subdir=False, readonly=True, lock=False, max_dbs=5, lib_version=0
    )
    with job_of_table as env, env.begin() as txn:
        by_phash = dict(txn.cursor(env.open_db(b"phash", txn, create=False)))
        by_sha256 = dict(txn.cursor(env.open_db(b"sha256", txn, create=False)))
    assert by_phash == {PHOTO.to_bytes(8): bytes(8), swapped(PHOTO, 1).to_bytes(8): bytes(8)}
    assert by_sha256 == {flat.sha256: bytes(7) + b"\2"}


def test_readers(job: Job) -> None:
    job.add({Key(0, 5): record("a"), Key(2, 1): record("b"), Key(2, 7): record("c", swapped(PHOTO, 9))})
    outcome = job.reduce(near())
    with DedupTable(job.table) as table:
        assert table.counts() == outcome
        assert list(table.kept(0)) == [(5, 1)]
        assert list(table.kept(1)) == []
        assert list(table.kept(2)) == [(7, 0)]
        assert table.duplicates(2) == {1: Key(0, 5)}


def test_rows_of_many_commits(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    images = crowd()
    job.add(images)
    job.reduce(near())
    once = job.kept(), job.duplicates()
    monkeypatch.setattr(dedup, "ROWS_PER_COMMIT", 7)
    job.reduce(near())
    assert (job.kept(), job.duplicates()) == once


def reduce_until_killed(job: "Job", tables: int) -> None:
    hamming.PAIR_COST = 1e9
    write, left = PairCache._write, iter(range(tables))

    def write_or_die(cache: PairCache, name: str, found: list[Pairs]) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        write(cache, name, found)

    PairCache._write = write_or_die  # type: ignore[method-assign]
    job.reduce(near())


def test_a_killed_reduce_goes_on_where_it_was(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "PAIR_COST", 1e9)  # in blocks, though all pairs could be compared
    job.add(crowd())
    job.reduce(near())
    once = job.table.read_bytes()
    job.table.unlink()
    child = multiprocessing.get_context("spawn").Process(target=reduce_until_killed, args=(job, 2))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    names = {path.name for path in job.table.parent.glob("dedup.lmdb.search/*")}
    assert len(names) == 2
    written: list[str] = []
    monkeypatch.setattr(PairCache, "_write", lambda _shelf, name, _found: written.append(name))

    job.reduce(near())

    assert job.table.read_bytes() == once
    assert written
    assert not names.intersection(written)
    assert sorted(path.name for path in job.table.parent.iterdir() if "search" in path.name) == []


def test_preview_says_the_same_and_writes_nothing(job: Job) -> None:
    job.add(crowd())
    shards = sorted(job.shards)
    _, said = preview(job.hashes, job.table, near(), shards=shards)
    assert [path.name for path in job.table.parent.iterdir()] == ["hashes"]
    assert job.reduce(near()) == said
    job.add({Key(3, 0): record("large", side=2000)})
    _, said = preview(job.hashes, job.table, near(), shards=[*shards, 3])
    assert job.reduce(near()) == said


def test_nothing_hashed(job: Job) -> None:
    nothing = Reduction(0, 0, {"min_side": 0})
    assert job.reduce(Selection(), order=[0, 1, 2]) == nothing
    assert job.kept() == job.duplicates() == {}


def test_a_missing_table_is_a_store_error(job: Job) -> None:
    with pytest.raises(StoreError, match="missing"):
        DedupTable(job.table)


def test_a_crowd_too_large_for_its_pairs_gives_the_same(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.add(crowd())
    job.reduce(near())
    once = job.table.read_bytes()
    monkeypatch.setattr(hamming, "PAIRS_ALLOWED", 30)
    job.reduce(near(), reselect=True)
    assert job.table.read_bytes() == once


@pytest.mark.parametrize(("policy", "radius"), [("similar", 4), ("near", -1), ("near", 9)])
def test_senseless_selections_are_refused(policy: str, radius: int) -> None:
    with pytest.raises(UsageError):
        Selection(policy, radius)
