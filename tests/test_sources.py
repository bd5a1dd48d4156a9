import gzip
import os
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

from runner.errors import ListError
from runner.manifest import Row
from runner.sources.reading import rows
from runner.sources.text import MAX_LINE
from runner.zstd import zstd


def urls(*lists: Path | str) -> list[str | None]:
    return [row.url if row else None for row in rows([str(name) for name in lists])]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def refusal(*lists: Path | str) -> str:
    with pytest.raises(ListError) as caught:
        urls(*lists)
    message = str(caught.value)
    assert "\n" not in message
    return message


# -- lines --


@pytest.mark.parametrize(
    ("line", "url"),
    [
        (b"http://a/1", "http://a/1"),
        (b"  \thttp://a/1 \t", "http://a/1"),
        (b"http://a/1\r", "http://a/1"),
        (b"http://a/1,2\t3;4 5", "http://a/1,2\t3;4 5"),
        (b"\xef\xbb\xbfhttp://a/1", "http://a/1"),
        (b" \xef\xbb\xbf http://a/1", "http://a/1"),
        (b"\xc2\xa0http://a/1\xe3\x80\x80", "http://a/1"),
        (b'"http://a/1"', '"http://a/1"'),
        (b"# no comment", "# no comment"),
        ("http://a/ü/猫".encode(), "http://a/ü/猫"),
        (b"http://a/caf\xe9.jpg", "http://a/caf%E9.jpg"),
        (b"http://a/\xed\xa0\x80\xff", "http://a/%ED%A0%80%FF"),
        (b"http://a/\xc3", "http://a/%C3"),
        (b"http://a/\x00\x01", "http://a/\x00\x01"),
        (b"", None),
        (b" \t\r", None),
        (b"\xef\xbb\xbf", None),
        (b"\xef\xbb\xbf\r", None),
    ],
)
def test_one_line_is_one_url_as_it_stands(tmp_path: Path, line: bytes, url: str | None) -> None:
    path = written(tmp_path / "list.txt", b"http://first\n" + line + b"\n" + line + b"\nhttp://last")
    assert urls(path) == ["http://first", url, url, "http://last"]
    assert urls(written(path, line + b"\n")) == [url]


def test_rows_of_text_carry_no_columns(tmp_path: Path) -> None:
    assert list(rows([str(written(tmp_path / "list", b"http://a\n"))])) == [Row("http://a", {})]


def test_a_last_line_without_an_end_counts_and_an_end_makes_no_line(tmp_path: Path) -> None:
    assert urls(written(tmp_path / "list", b"a\n\nb")) == ["a", None, "b"]
    assert urls(written(tmp_path / "list", b"a\n\nb\n")) == ["a", None, "b"]
    assert urls(written(tmp_path / "list", b"a\n\nb\n\n")) == ["a", None, "b", None]
    assert urls(written(tmp_path / "list", b"")) == []


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_of_the_greatest_length_is_whole(tmp_path: Path, end: bytes) -> None:
    longest = "x" * (MAX_LINE + 1 - max(len(end), 1))
    assert urls(written(tmp_path / "list", b"a\n" + longest.encode() + end)) == ["a", longest]


@pytest.mark.parametrize("length", [MAX_LINE + 1, MAX_LINE + 2, 3 * MAX_LINE + 3, 10 * MAX_LINE])
def test_a_longer_line_is_cut_and_says_so(tmp_path: Path, length: int) -> None:
    path = written(tmp_path / "list", b"a\nhttp://" + b"x" * (length - 7) + b"\nb\n")
    first, cut, last = urls(path)
    assert (first, last) == ("a", "b")
    assert cut == f"[line of {length} bytes] http://" + "x" * (MAX_LINE - 7)


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "list"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    tracemalloc.start()
    try:
        (url,) = urls(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert url is not None
    assert url.startswith("[line of 209715200 bytes] ")
    assert peak < 4 << 20


# -- lists --


@pytest.mark.parametrize(
    "name", ["list.txt", "list.TXT", "list.urls", "list.lst", "list", "list.txt.gz", "list.GZ", "l.gz"]
)
def test_the_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"a\nb\n") if name.lower().endswith("gz") else b"a\nb\n")
    assert urls(path) == ["a", "b"]


def test_several_lists_in_the_order_given(tmp_path: Path) -> None:
    second = written(tmp_path / "2.txt", b"b\n")
    first = written(tmp_path / "1.txt.gz", b"a")
    assert urls(second, first) == ["b", "a"]


def test_a_folder_is_its_files_sorted(tmp_path: Path) -> None:
    written(tmp_path / "b.txt", b"b")
    written(tmp_path / "a.gz", b"a")
    written(tmp_path / ".hidden.xyz", b"no")
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder" / "c.txt", b"no")
    assert urls(tmp_path) == ["a", "b"]


def test_a_glob(tmp_path: Path) -> None:
    (tmp_path / "x.txt").mkdir()
    written(tmp_path / "b.txt", b"b")
    written(tmp_path / "a.txt", b"a")
    written(tmp_path / "a.md", b"no")
    written(tmp_path / "x.txt" / "c.txt", b"c")
    assert urls(tmp_path / "*.txt") == ["a", "b"]
    assert urls(tmp_path / "**" / "*.txt") == ["a", "b", "c"]


def test_a_name_that_looks_like_a_glob(tmp_path: Path) -> None:
    assert urls(written(tmp_path / "[1]*.txt", b"a")) == ["a"]


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with written(tmp_path / "list.txt", b"a\nb").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert urls("-") == ["a", "b"]
        assert not stream.closed


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed" in refusal("-")


def test_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"a\nb\n",))
    writer.start()
    assert urls(path) == ["a", "b"]
    writer.join()


# -- refusals --


def test_what_is_missing_is_refused_before_the_first_row(tmp_path: Path) -> None:
    good = str(written(tmp_path / "list.txt", b"a"))
    for bad in ("missing.txt", "missing*.txt", "list.xyz"):
        written(tmp_path / "list.xyz", b"a")
        with pytest.raises(ListError, match=bad.replace("*", r"\*")):
            rows([good, str(tmp_path / bad)])


def test_each_refusal_says_what_to_do(tmp_path: Path) -> None:
    assert "check the name" in refusal(tmp_path / "missing")
    assert "is empty: give a file" in refusal("")
    assert "name" in refusal("x" * 5000)
    assert "no files" in refusal(tmp_path)
    assert "no files" in refusal(tmp_path / "*")
    unknown = refusal(written(tmp_path / "list.xyz", b"a"))
    assert f"{tmp_path / 'list.xyz'} has no extension of a list (.txt, .urls" in unknown
    assert "--input-format" in unknown
    assert refusal(tmp_path) == unknown


@pytest.mark.parametrize(("packing", "unpacker"), [("bz2", "bunzip2"), ("xz", "unxz")])
def test_what_is_to_be_unpacked_by_hand(tmp_path: Path, packing: str, unpacker: str) -> None:
    assert f"unpack it with `{unpacker}`" in refusal(written(tmp_path / f"list.csv.{packing}", b""))


def test_a_file_that_cannot_be_read() -> None:
    assert refusal("/proc/self/mem") == (
        "cannot read the list /proc/self/mem: Input/output error; check its name and that you may read it"
    )


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    path = tmp_path / "list.txt.gz"
    path.write_bytes(b"http://a\n")
    assert f"{path} is not gzip data" in refusal(path)
    path.write_bytes(gzip.compress(b"http://a\n") + b"and more")
    assert f"{path} is damaged, or goes on after the end of its gzip data" in refusal(path)
    path.write_bytes(zstd.compress(b"http://a\n"))
    assert f"{path} is zstandard data and not gzip, as its name says: name it .zst" in refusal(path)
    path.write_bytes(gzip.compress(os.urandom(1000))[:-20])
    assert "cut off or damaged" in refusal(path)
    packed = bytearray(gzip.compress(b"http://a\n" * 100))
    packed[12] ^= 0xFF
    path.write_bytes(packed)
    assert str(path) in refusal(path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (gzip.compress(b"a\n", mtime=0), "gzip data: add .gz to its name"),
        ("http://a\n".encode("utf-16"), "UTF-16 text: convert it"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"PAR1rest", "a parquet file"),
        (b"\x28\xb5\x2f\xfdrest", "zstandard data"),
    ],
)
def test_data_that_is_no_text_is_named(tmp_path: Path, data: bytes, what: str) -> None:
    path = written(tmp_path / "list.txt", data)
    assert f"{path} is {what}" in refusal(path)
