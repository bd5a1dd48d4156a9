import json
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import digesttable
from runner.engine.items import Key
from runner.errors import DiskFullError, JobError, ListError, StoreError
from runner.manifest import Known, Repeat, Row, manifest_file, read_head, read_rows, write_manifests


def row(number: int) -> Row:
    return Row(f"http://a/{number}", {})


def manifests(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def urls(folder: Path) -> list[str]:
    return [row.url for path in manifests(folder) for row in read_rows(path)]


def heads(folder: Path) -> list[tuple[int, ...]]:
    """Shard, rows, repeats and blank lines of each manifest."""
    return [read_head(path)[:4] for path in manifests(folder)]


def test_rows_fill_shard_after_shard(tmp_path: Path) -> None:
    summary = write_manifests(map(row, range(25)), tmp_path, 10)
    assert summary == (25, 0, 0, 3)
    assert summary.lines == 25
    assert [path.name for path in manifests(tmp_path)] == ["00000.jsonl", "00001.jsonl", "00002.jsonl"]
    assert heads(tmp_path) == [(0, 10, 0, 0), (1, 10, 0, 0), (2, 5, 0, 0)]
    assert urls(tmp_path) == [f"http://a/{number}" for number in range(25)]


def test_a_manifest_is_lines_of_json(tmp_path: Path) -> None:
    write_manifests([Row("http://a/ü", {}), Row("http://b", {"caption": "c"})], tmp_path, 10)
    lines = (tmp_path / "00000.jsonl").read_text().splitlines()
    rows = (tmp_path / "00000.jsonl").read_bytes().splitlines(keepends=True)[1:]
    assert [json.loads(line) for line in lines] == [
        {"shard": 0, "rows": 2, "repeats": 0, "blank": 0, "crc32": zlib.crc32(b"".join(rows))},
        {"url": "http://a/ü"},
        {"url": "http://b", "caption": "c"},
    ]


@pytest.mark.parametrize("url", ["ü", '"\\', "a\nb\rc\x00\x1f\u2028", "\ud800", "x" * 100_000])
def test_rows_come_back_as_they_were(tmp_path: Path, url: str) -> None:
    rows = [Row(url, {}), Row(url + "'", {"caption": url, "number": 1.5, "tags": [None, {"a": True}]})]
    write_manifests(rows, tmp_path, 10)
    assert list(read_rows(tmp_path / "00000.jsonl")) == rows


def test_every_line_is_accounted_for_in_its_stretch(tmp_path: Path) -> None:
    lines = [None, row(1), row(1), None, row(2), row(1), None, row(3), row(3), row(3), None]
    summary = write_manifests(lines, tmp_path, 2)
    assert summary == (3, 4, 4, 2)
    assert summary.lines == len(lines)
    assert heads(tmp_path) == [(0, 2, 2, 3), (1, 1, 2, 1)]


def test_what_comes_after_a_full_last_shard_makes_no_new_one(tmp_path: Path) -> None:
    write_manifests([row(1), row(2), row(1), None], tmp_path, 2)
    assert heads(tmp_path) == [(0, 2, 1, 1)]


def test_repeats_are_found_across_shards_and_blocks(tmp_path: Path) -> None:
    def lines() -> Iterator[Row]:
        for number in range(30_000):
            yield row(number % 12_000)

    assert write_manifests(lines(), tmp_path, 1000) == (12_000, 18_000, 0, 12)
    assert urls(tmp_path) == [f"http://a/{number}" for number in range(12_000)]


def test_urls_seen_before_are_repeats(tmp_path: Path) -> None:
    write_manifests([row(1), row(2), row(3)], tmp_path, 2)
    known = Known()
    for path in manifests(tmp_path):
        known.add_shard(path)
    summary = write_manifests([row(3), row(4), row(2), row(5), row(6)], tmp_path, 2, known)
    assert summary == (3, 2, 0, 2)
    assert heads(tmp_path) == [(0, 2, 0, 0), (1, 1, 0, 0), (2, 2, 2, 0), (3, 1, 0, 0)]


def test_nothing_but_urls_seen_before_makes_no_shard(tmp_path: Path) -> None:
    write_manifests([row(1)], tmp_path, 10)
    known = Known()
    known.add_shard(manifest_file(tmp_path, 0))
    assert write_manifests([row(1), None], tmp_path, 10, known) == (0, 1, 1, 0)
    assert len(manifests(tmp_path)) == 1


def test_repeats_with_columns_are_told_with_the_item_and_the_line(tmp_path: Path) -> None:
    kept: list[Repeat] = []
    first = [row(1), Row("http://a/2", {"n": 1}), None, Row("http://a/1", {"n": 2}), row(2), row(3)]
    write_manifests(first, tmp_path, 2, keep=kept.extend)
    assert kept == [Repeat(Key(0, 0), 3, {"n": 2})]
    known = Known()
    for path in manifests(tmp_path):
        known.add_shard(path)
    more = [Row("http://a/9", {"n": 3}), Row("http://a/3#x", {"n": 4}), Row("http://a/9", {"n": 5})]
    write_manifests(more, tmp_path, 2, known, kept.extend)
    assert kept[1:] == [Repeat(Key(1, 0), 7, {"n": 4}), Repeat(Key(2, 0), 8, {"n": 5})]


def test_no_place_for_many_urls_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digesttable, "_FILED_FROM", 2)
    with pytest.raises(StoreError, match="Cannot write manifests to"):
        write_manifests(map(row, range(20_000)), tmp_path, 100_000, Known(tmp_path / "gone"))
    assert manifests(tmp_path) == []


@pytest.mark.parametrize("lines", [[], [None, None]])
def test_a_list_without_a_url_is_refused(tmp_path: Path, lines: list[Row | None]) -> None:
    with pytest.raises(ListError, match="no URL"):
        write_manifests(lines, tmp_path, 10)


def test_memory_depends_on_neither_shard_size_nor_list(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        write_manifests((Row(f"{number}:" + "x" * 50_000, {}) for number in range(2000)), tmp_path, 10_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20  # of 100 MB


# -- what goes wrong while writing --


def test_an_error_of_the_list_leaves_no_half_manifest(tmp_path: Path) -> None:
    def lines() -> Iterator[Row]:
        yield from map(row, range(25_000))
        raise ListError("cut off")

    with pytest.raises(ListError, match="cut off"):
        write_manifests(lines(), tmp_path, 8000)
    assert [path.name for path in manifests(tmp_path)] == ["00000.jsonl", "00001.jsonl"]


def test_an_os_error_of_the_list_is_not_taken_for_one_of_the_folder(tmp_path: Path) -> None:
    def lines() -> Iterator[Row]:
        yield row(1)
        raise OSError("of the list")

    with pytest.raises(OSError, match="of the list"):
        write_manifests(lines(), tmp_path, 10)


def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "00001.jsonl.tmp").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match="free some space") as caught:
        write_manifests(map(row, range(15)), tmp_path, 10)
    assert str(tmp_path) in str(caught.value)
    assert [path.name for path in manifests(tmp_path)] == ["00000.jsonl"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder in (tmp_path / "missing", file):
        with pytest.raises(StoreError, match="Cannot write manifests to") as caught:
            write_manifests([row(1)], folder, 10)
        assert str(folder) in str(caught.value)


# -- reading --


def test_wanted_rows_alone(tmp_path: Path) -> None:
    write_manifests(map(row, range(10)), tmp_path, 10)
    path = manifest_file(tmp_path, 0)
    assert list(read_rows(path, [0, 3, 4, 9])) == [row(0), row(3), row(4), row(9)]
    assert list(read_rows(path, range(10))) == list(read_rows(path))
    assert list(read_rows(path, [])) == []


@pytest.mark.parametrize("indices", [[10], [3, 2], [3, 3], [-1]])
def test_indices_that_are_not_there_or_not_ascending(tmp_path: Path, indices: list[int]) -> None:
    write_manifests(map(row, range(10)), tmp_path, 10)
    with pytest.raises(IndexError):
        list(read_rows(tmp_path / "00000.jsonl", indices))


def damaged(path: Path, indices: list[int] | None = None) -> str:
    with pytest.raises(JobError) as caught:
        list(read_rows(path, indices))
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    write_manifests(map(row, range(10)), tmp_path, 10)
    path = tmp_path / "00000.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)

    path.write_bytes(whole.replace(b'"rows": 10', b'"rows": 11'))
    assert "10 rows where the head tells 11" in damaged(path)
    path.write_bytes(b"".join(lines[:-1]))
    damaged(path)
    damaged(path, [0, 9])
    path.write_bytes(b"".join([*lines, lines[-1]]))
    damaged(path)
    path.write_bytes(whole.replace(b"a/7", b"a/8"))
    assert "checksum" in damaged(path, [0])
    path.write_bytes(whole[:-5])
    damaged(path)
    path.write_bytes(b"".join([lines[0], b'{"uri": 1}\n', *lines[2:]]))
    damaged(path)
    path.write_bytes(b"".join([lines[0], b"\xff\n", *lines[2:]]))
    damaged(path)
    path.write_bytes(b"".join([lines[0], b"[1]\n", *lines[2:]]))
    damaged(path)


@pytest.mark.parametrize(
    "head", [b"", b"{}\n", b" " * 127 + b"\n", b'{"shard": 0}'.ljust(127) + b"\n", b"\x00" * 4096]
)
def test_a_damaged_head_is_named(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "00000.jsonl"
    path.write_bytes(head)
    damaged(path)
    with pytest.raises(JobError, match=r"00000\.jsonl is damaged"):
        read_head(path)


def test_a_missing_manifest(tmp_path: Path) -> None:
    path = tmp_path / "00000.jsonl"
    assert "No such file" in damaged(path)
    with pytest.raises(JobError, match="No such file"):
        read_head(path)
