"""Another order of rows: the same one every time, with nothing lost and nothing kept in memory."""

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from runner.errors import DiskFullError
from runner.manifest import Row, read_rows, write_manifests
from runner.sources import shuffle
from runner.sources.options import ListOptions
from runner.sources.reading import rows
from runner.sources.shuffle import shuffled

ROWS: list[Row | None] = [
    Row(f"http://host{n // 100}.example/{n}", {"n": n, "text": "ü\n"}) for n in range(1000)
]


def urls(found: Iterator[Row | None]) -> list[str | None]:
    return [row.url if row else None for row in found]


def test_the_rows_are_the_same_and_the_order_is_another(tmp_path: Path) -> None:
    found = list(shuffled(ROWS, 0, tmp_path / "scratch"))
    assert sorted(found, key=lambda row: row.columns["n"] if row else -1) == ROWS
    assert found != ROWS
    hosts = [row.url[:15] for row in found[:100] if row]
    assert max(Counter(hosts).values()) < 30  # ten each, give or take


def test_the_seed_decides_and_the_order_of_the_list_does_not(tmp_path: Path) -> None:
    first = urls(shuffled(ROWS, 0, None))
    assert urls(shuffled(ROWS, 0, None)) == first
    assert urls(shuffled(reversed(ROWS), 0, None)) == first
    assert urls(shuffled(ROWS, 1, None)) != first


def test_the_first_of_equal_urls_in_the_list_stays_the_item(tmp_path: Path) -> None:
    twice = [Row(f"http://a.example/{n % 100}", {"n": n}) for n in range(300)]
    lines = [None, *twice, None, *(Row(f"HTTP://A.example:80/{n}#x", {}) for n in range(100))]
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    assert write_manifests(shuffled(lines, 5, None), manifests, 1000) == (100, 300, 2, 1)
    found = list(read_rows(manifests / "00000.jsonl"))
    assert sorted(row.columns["n"] for row in found) == list(range(100))
    assert [row.columns["n"] for row in found] != list(range(100))


@pytest.mark.parametrize("same", [False, True])
def test_memory_is_flat_even_if_all_urls_are_the_same(tmp_path: Path, same: bool) -> None:
    def lines() -> Iterator[Row]:
        for number in range(6000):
            yield Row(f"http://a.example/{0 if same else number}", {"text": "x" * 5000})

    for _ in shuffled(ROWS, 0, tmp_path):  # what is imported on the way
        pass
    tracemalloc.start()
    try:
        assert sum(1 for _ in shuffled(lines(), 0, tmp_path)) == 6000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20  # of 30 MB


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(dir: Path) -> BinaryIO:
        return Path("/dev/full").open("wb", buffering=0)

    monkeypatch.setattr(shuffle, "TemporaryFile", full)
    with pytest.raises(DiskFullError, match="free some space"):
        list(shuffled(ROWS, 0, tmp_path))


def test_lists_are_shuffled_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("".join(f"http://{name}.example/{n}\n" for n in range(50)))
    lists = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    found = urls(rows(lists, ListOptions(shuffle=True, seed=3), tmp_path / "scratch"))
    assert sorted(map(str, found)) == sorted(map(str, urls(rows(lists))))
    assert 10 < sum("//a." in str(url) for url in found[:50]) < 40
    assert list((tmp_path / "scratch").iterdir()) == []
