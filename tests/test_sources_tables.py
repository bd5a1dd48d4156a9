"""Lists with columns: which is the URL, what is carried, and what becomes of rows that are none."""

import csv
import gzip
import io
import json
import math
import subprocess
import sys
import tracemalloc
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.errors import ListError
from runner.manifest import Row, read_rows, write_manifests
from runner.sources.options import ListOptions
from runner.sources.reading import rows
from runner.sources.records import MAX_RECORD
from runner.sources.values import MAX_VALUE, plain
from runner.zstd import zstd

FORMATS = ("csv", "tsv", "json", "jsonl", "parquet")
URLS = [f"http://a.example/{number}.jpg" for number in range(3)]
RECORDS = [{"url": url, "caption": f"a cat, {n}", "size": str(n)} for n, url in enumerate(URLS)]
CARRIED = [Row(each["url"], {"caption": each["caption"], "size": each["size"]}) for each in RECORDS]


def listed(path: Path, **options: Any) -> list[Row | None]:
    return list(rows([str(path)], ListOptions(**options), path.parent / "scratch"))


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ListError) as caught:
        listed(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def write_list(path: Path, records: list[dict[str, Any]]) -> Path:
    """The records in the format of the extension."""
    path.write_bytes(encoded(path.suffix[1:], records))
    return path


def encoded(kind: str, records: list[dict[str, Any]]) -> bytes:
    if kind == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(records), sink)
        return sink.getvalue()
    if kind == "json":
        return json.dumps(records).encode()
    if kind == "jsonl":
        return "".join(json.dumps(record) + "\n" for record in records).encode()
    text = io.StringIO()
    writer = csv.writer(text, dialect="excel-tab" if kind == "tsv" else "excel")
    writer.writerows([records[0].keys(), *(record.values() for record in records)])
    return text.getvalue().encode()


def written(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


# -- every format --


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_list(tmp_path / f"list.{request.param}", RECORDS)


def test_the_columns_of_a_list_are_carried_along(path: Path) -> None:
    assert listed(path) == CARRIED


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_numbers_may_be_of_any_size(tmp_path: Path, kind: str) -> None:
    record = '{"url": "http://a.example/", "n": [123456789012345678901234567890, 0.5], "m": 1e400}'
    path = tmp_path / f"list.{kind}"
    path.write_text(f"[{record}]" if kind == "json" else record)
    assert listed(path) == [Row("http://a.example/", {"n": [123456789012345678901234567890, 0.5], "m": None})]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("list.tsv", "url,caption\nhttp://a.example/,a\n", "divided by ','"),
        ("list.csv", '{"url": "http://a.example/", "n": 1}\n', "looks like JSON"),
    ],
)
def test_a_table_under_a_wrong_name_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    assert words in refusal(tmp_path / name)


def test_the_extension_is_not_asked_when_the_format_is_told(path: Path) -> None:
    kind = path.suffix[1:]
    assert listed(path.rename(path.with_name("list.dat")), input_format=kind) == CARRIED


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_packed(path: Path, packing: str) -> None:
    compress = gzip.compress if packing == ".gz" else zstd.compress
    packed = written(path.with_name(path.name + packing), compress(path.read_bytes()))
    assert listed(packed) == CARRIED
    data = packed.read_bytes()
    written(packed, data[: len(data) - 12])
    assert "cut off" in refusal(packed)
    written(packed, path.read_bytes())
    assert "is not" in refusal(packed)


def test_some_columns_or_none(path: Path) -> None:
    assert listed(path, columns="size") == [Row(row.url, {"size": row.columns["size"]}) for row in CARRIED]
    assert listed(path, columns="none") == [Row(row.url, {}) for row in CARRIED]
    assert listed(path, columns=("caption", "size")) == CARRIED


def test_the_column_of_a_digest_is_kept_too(path: Path) -> None:
    record = {"url": "http://a.example/0.jpg", "caption": "a cat", "sum": "ab" * 16}
    write_list(path, [record])
    assert listed(path, columns="none", verify_hash="sum:md5") == [Row(record["url"], {"sum": record["sum"]})]


def test_another_column_of_urls(path: Path) -> None:
    found = listed(path, url_col="caption")
    assert [row.columns["url_in_list"] for row in found if row] == URLS
    assert {row.columns["error"] for row in found if row} == {"no URL"}


def test_a_column_that_is_not_there_is_refused_naming_those_that_are(path: Path) -> None:
    there = "its columns are url, caption, size"
    assert f"has no column link; {there}" in refusal(path, url_col="link")
    assert f"has no column nope; {there}" in refusal(path, columns=("nope",))
    assert f"has no column sha; {there}" in refusal(path, verify_hash="sha:sha256")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["image_url", "URL"], "URL"),
        (["x", "image_url"], "image_url"),
        (["link"], "link"),
        (["link", "page"], None),
    ],
)
def test_the_usual_names(tmp_path: Path, kind: str, names: list[str], found: str | None) -> None:
    record = {name: f"http://a.example/{name}" for name in names}
    path = write_list(tmp_path / f"list.{kind}", [record])
    if found:
        assert [row.url for row in listed(path) if row] == [record[found]]
    else:
        message = refusal(path)
        assert "no column url, URL or image_url; its columns are link, page: say which" in message
        assert "--url-col" in message


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_something_else_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"list.{kind}"
    for data, what in (
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "an image (PNG)"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (gzip.compress(b"url\nhttp://a/1"), "gzip data: add .gz to its name"),
        (b"PK\x03\x04" + bytes(100), "a zip archive or a spreadsheet"),
        ("url\nhttp://a/1\n".encode("utf-16"), "UTF-16 text"),
    ):
        assert what in refusal(written(path, data))


@pytest.mark.parametrize("kind", FORMATS)
def test_rows_without_a_url_say_where(tmp_path: Path, kind: str) -> None:
    records = [*RECORDS[:1], {**RECORDS[1], "url": ""}, {**RECORDS[2], "url": "no url"}]
    path = write_list(tmp_path / f"list.{kind}", records)
    first = 2 if kind in ("csv", "tsv") else 1
    good, missing, wrong = listed(path)
    assert good == CARRIED[0]
    error = "nothing where the URL should be"
    assert missing == Row(
        f"[{path}, line {first + 1}: {error}]", {"list": str(path), "line": first + 1, "error": error}
    )
    assert wrong == Row(
        "no url", {**CARRIED[2].columns, "list": str(path), "line": first + 2, "error": "no URL"}
    )


def test_malformed_rows_are_items_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path / "list.jsonl", '{"url": "http://a/1"}\n[]\n[]\n')
    assert write_manifests(listed(path), tmp_path, 10) == (3, 0, 0, 1)
    assert [row.columns.get("line") for row in read_rows(tmp_path / "00000.jsonl")] == [None, 2, 3]


# -- csv and tsv --


def test_a_csv_record_may_go_over_lines_and_says_where_it_begins(tmp_path: Path) -> None:
    text = '\ufeffurl,caption\r\nhttp://a/1,"one\r\ntwo, ""three"""\r\n\r\nno,x\r\nhttp://a/2,y,z\r\nhttp://a/3\r\n'
    one, blank, wrong, many, few = listed(written(tmp_path / "list.csv", text))
    assert one == Row("http://a/1", {"caption": 'one\r\ntwo, "three"'})
    assert blank is None
    assert wrong is not None
    assert (wrong.columns["line"], wrong.columns["error"]) == (5, "no URL")
    assert many is not None
    assert many.columns == {
        "list": str(tmp_path / "list.csv"),
        "line": 6,
        "error": "3 fields where the head names 2",
    }
    assert few is not None
    assert few.columns["line"] == 7


@pytest.mark.parametrize(
    ("bad", "error", "left"),
    [
        (b'http://a/x,"open\nhttp://a/y,"quoted"\n', "'", 1),
        (b"http://a/caf\xe9,x\n", "not UTF-8", 1),
        (b"http://a/x," + b"y" * 200_000 + b"\n", "field larger than field limit", 1),
        (b"http://a/x," + b"y" * (3 * MAX_RECORD) + b"\n", "more than 1048576 bytes", 1),
        (b'http://a/x,"' + b"y\n" * 100_000 + b'"\n', "field larger than field limit", None),
        (b'http://a/x,"never closed', "unexpected end of data", 0),
    ],
)
def test_a_csv_record_that_is_none_ends_no_list(
    tmp_path: Path, bad: bytes, error: str, left: int | None
) -> None:
    data = b"url,caption\nhttp://a/1,one\n" + bad + b"http://a/2,two\n" * (left or 0)
    first, wrong, *others = listed(written(tmp_path / "list.csv", data))
    assert first == Row("http://a/1", {"caption": "one"})
    assert wrong is not None
    assert wrong.columns["line"] == 3
    assert error in wrong.columns["error"]
    if left is not None:
        assert others == [Row("http://a/2", {"caption": "two"})] * left


def test_a_tsv_line_is_a_row_whatever_it_holds(tmp_path: Path) -> None:
    text = 'caption\turl\n"open\thttp://a/1\n"He said ""no"""\thttp://a/2\n"A" and "B"\t"http://a/3"\n \n'
    assert listed(written(tmp_path / "list.tsv", text)) == [
        Row("http://a/1", {"caption": '"open'}),
        Row("http://a/2", {"caption": 'He said "no"'}),
        Row("http://a/3", {"caption": '"A" and "B"'}),
        None,
    ]


def test_blank_lines_of_a_single_column(tmp_path: Path) -> None:
    for kind in ("csv", "tsv"):
        path = written(tmp_path / f"list.{kind}", "link\nhttp://a/1\n\n  \nhttp://a/2\n")
        assert listed(path) == [Row("http://a/1", {}), None, None, Row("http://a/2", {})]


def test_names_of_columns_are_made_distinct(tmp_path: Path) -> None:
    path = written(tmp_path / "list.csv", ",url,a,a\n0,http://a/1,x,y\n")
    assert listed(path) == [Row("http://a/1", {"column_1": "0", "a": "x", "a_4": "y"})]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://a/1,x\nhttp://a/2,y\n", "begins with a URL, http://a/1"),
        ("url;caption\nhttp://a/1;x\n", "divided by ';'"),
        ('[{"url": "http://a/1"}]', "looks like JSON"),
        ('{"url": "http://a/1", "caption": "x"}', "looks like JSON"),
        ('["http://a/1", "http://a/2"]', "looks like JSON"),
        ('["http://a/1","http://a/2"]', "looks like JSON"),
        ('[\n{"url": "http://a/1"}]', "looks like JSON"),
        (b"url,\xff\xfe\n", "first line has bytes that are not UTF-8"),
    ],
)
def test_a_table_without_a_head_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    assert words in refusal(written(tmp_path / "list.csv", text))


def test_commas_under_the_name_of_tabs_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "list.tsv", "url,caption\nhttp://a/1,x\n")
    assert "seems to be divided by ','" in refusal(path)
    path = written(tmp_path / "list.tsv", "the, url\nhttp://a/1,x\n")
    assert listed(path, url_col="the, url") == [Row("http://a/1,x", {})]


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_a_digest_that_is_none_makes_no_item_to_fetch(tmp_path: Path, kind: str) -> None:
    good = ["ab" * 32, " " + "AB" * 32 + " ", "sha256:" + "ab" * 32, ""]
    bad = ["ab" * 16, "xy" * 32]
    records = [{"url": f"http://a/{number}", "sum": digest} for number, digest in enumerate(good + bad)]
    path = write_list(tmp_path / f"list.{kind}", records)
    found = listed(path, verify_hash="sum:sha256")
    assert [row.url for row in found if row][: len(good)] == [
        record["url"] for record in records[: len(good)]
    ]
    errors = [row.columns["error"] for row in found[len(good) :] if row]
    assert errors == ["not a sha256 digest"] * len(bad)


def test_what_is_no_json_in_an_array_is_shown(tmp_path: Path) -> None:
    for text in ("NaN", "-Infinity", "oops"):
        words = refusal(written(tmp_path / "list.json", f'["http://a/1", {{"url": "x", "n": {text}}}]'))
        assert "is cut off or damaged, or no JSON, from element 2 on: " in words
        assert f'"n": {text}' in words


def test_a_table_of_nothing_has_no_rows(tmp_path: Path) -> None:
    for kind in ("csv", "tsv", "jsonl", "json"):
        assert listed(written(tmp_path / f"list.{kind}", "")) == []
    assert listed(written(tmp_path / "list.csv", "url,caption\n")) == []


# -- json --


def test_urls_without_objects(tmp_path: Path) -> None:
    expected = [Row(url, {}) for url in URLS]
    assert listed(written(tmp_path / "list.json", json.dumps(URLS))) == expected
    assert listed(written(tmp_path / "list.jsonl", "\n".join(map(json.dumps, URLS)))) == expected
    assert "no columns at all" in refusal(tmp_path / "list.json", url_col="url")


def test_a_line_that_is_no_json_ends_no_list(tmp_path: Path) -> None:
    bad = [b"{", b'{"url": 1}', b"[1, 2]", b"null", b"\xff", b"[" * 100_000, b"9" * 5000, b"1e", b"{}"]
    long = b'{"url": "http://a/x", "y": "' + b"z" * MAX_RECORD + b'"}'
    data = b"\n".join([b'{"url": "http://a/1"}', *bad, long, b"", b'{"url": "http://a/2", "new": 1}'])
    first, *wrong, blank, last = listed(written(tmp_path / "list.jsonl", data))
    assert first == Row("http://a/1", {})
    assert [row.columns["line"] for row in wrong if row] == list(range(2, 12))
    assert len({row.url for row in wrong if row}) == 10
    assert blank is None
    assert last == Row("http://a/2", {"new": 1})


def test_nothing_but_lines_that_are_no_json_are_no_list(tmp_path: Path) -> None:
    assert "not JSON, one object a line: line 1 is no JSON" in refusal(
        written(tmp_path / "list.jsonl", "url,caption\nhttp://a/1,x\n")
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"url": "http://a/1"}\n{"url": "http://a/2"}', "--input-format jsonl"),
        ("url\nhttp://a/1", "no JSON array: it begins with 'url"),
        ('[{"url": "http://a/1"}, {"url": ', "from element 2 on"),
        ('[{"url": "http://a/1"}, oops]', "from element 2 on"),
        ('[{"url": "http://a/1"}] [', "from element 2 on"),
        (b'["http://a/1", "http://a/\xff"]', "from element 2 on"),
        ('["http://a/1", "' + "x" * (3 * MAX_RECORD) + '"]', "element 2"),
        ('["http://a/1", ' + "[" * (3 * MAX_RECORD), "element 2"),
    ],
)
def test_what_is_no_json_array(tmp_path: Path, text: str | bytes, words: str) -> None:
    assert words in refusal(written(tmp_path / "list.json", text))


def test_elements_that_are_no_objects(tmp_path: Path) -> None:
    path = written(
        tmp_path / "list.json", '\ufeff \n ["http://a/1", null, [[[]]], 1.5, {"url": "http://a/2"}]'
    )
    first, *wrong, last = listed(path)
    assert (first, last) == (Row("http://a/1", {}), Row("http://a/2", {}))
    assert [row.columns["line"] for row in wrong if row] == [2, 3, 4]


# -- values --


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (2**70, 2**70),
        (math.nan, None),
        (-math.inf, None),
        (Decimal("1.10"), "1.10"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(seconds=90), 90.0),
        (b"text", "text"),
        (b"\xff\x00", "ff00"),
        ("\ud83d", "?"),
        ("ü", "ü"),
        ([1, (2, math.nan), {"a": b"\xff", 1: None}], [1, [2, None], {"a": "ff", "1": None}]),
        ("x" * (MAX_VALUE + 1), "[text of 65537 characters]"),
        (["x"] * MAX_VALUE, f"[value of {5 * MAX_VALUE} characters]"),
    ],
)
def test_values_become_json(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_values_in_each_other_without_end() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert plain(value) == "[32 values and more in each other]"


# -- parquet --


def test_parquet_of_every_type(tmp_path: Path) -> None:
    table = pa.table(
        {
            "url": pa.array([b"http://a/1", None], pa.binary()),
            "when": pa.array([datetime(2026, 1, 2), None], pa.timestamp("us")),
            "zone": pa.array([1_700_000_000_123_456_789, None]).cast(pa.timestamp("ns", "Nowhere/X")),
            "day": pa.array([2**30, None], pa.int32()).cast(pa.date32()),
            "length": pa.array([1_500_000_001, None]).cast(pa.duration("ns")),
            "latin": pa.array([b"caf\xe9", None]).cast(pa.string(), safe=False),
            "price": pa.array([Decimal("1.50"), None], pa.decimal128(8, 2)),
            "tags": pa.array([["a", "b"], None]),
            "box": pa.array([{"x": 1.5}, None]),
            "kind": pa.array(["cat", None]).dictionary_encode(),
            "digest": pa.array([bytes(range(16)), b"0" * 32], pa.binary()),
        }
    )
    path = tmp_path / "list.parquet"
    pq.write_table(table, path)
    first, second = listed(path, verify_hash="digest:md5")
    assert first == Row(
        "http://a/1",
        {
            "when": "2026-01-02T00:00:00.000000",
            "zone": "2023-11-14T22:13:20.123456789Z",
            "day": "<value out of range: 1073741824>",
            "length": 1.500000001,
            "latin": "636166e9",
            "price": "1.50",
            "tags": ["a", "b"],
            "box": {"x": 1.5},
            "kind": "cat",
            "digest": bytes(range(16)).hex(),
        },
    )
    assert second is not None
    assert second.columns["line"] == 2


def test_parquet_that_is_damaged(tmp_path: Path) -> None:
    path = write_list(tmp_path / "list.parquet", RECORDS)
    data = path.read_bytes()
    assert "cut off or damaged" in refusal(written(path, data[:-9]))
    assert "cut off or damaged" in refusal(written(path, data[:4] + bytes(60) + data[64:]))
    assert "no parquet file but something else" in refusal(written(path, b"url\nhttp://a/1\n"))


def test_a_missing_extra_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = write_list(tmp_path / "list.parquet", RECORDS)
    assert "pip install 'runner-images[parquet]'" in refusal(path)


# -- memory --


@pytest.mark.parametrize("kind", FORMATS)
def test_memory_does_not_grow_with_the_list(tmp_path: Path, kind: str) -> None:
    records = [{"url": f"http://a.example/{n}", "caption": "x" * 1000} for n in range(20_000)]
    path = write_list(tmp_path / f"list.{kind}", records)
    del records
    for _ in rows([str(path)]):  # what is imported on the way
        break
    tracemalloc.start()
    try:
        assert sum(1 for _ in rows([str(path)])) == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20  # of 20 MB


# -- standard input --


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_standard_input(kind: str, pack: Any, tmp_path: Path) -> None:
    """Through a pipe, packed or not."""
    code = (
        "import sys; from runner.sources.reading import rows\n"
        "from runner.sources.options import ListOptions\n"
        "print([row.url for row in rows(['-'], ListOptions(sys.argv[1]))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, kind],
        input=pack(encoded(kind, RECORDS)),
        capture_output=True,
        check=False,
    )
    assert done.stdout.decode().strip() == str(URLS), done.stderr


def test_packed_text_on_standard_input_is_seen() -> None:
    code = "from runner.sources.reading import rows\nprint([row.url for row in rows(['-'])])"
    done = subprocess.run(
        [sys.executable, "-c", code], input=gzip.compress(b"http://a/1\n"), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "['http://a/1']"
