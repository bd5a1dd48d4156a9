"""The lines of ``metadata.jsonl``."""

import json
from pathlib import Path
from typing import Any

import pictures

from runner.engine.items import Key
from runner.examiner import fingerprint
from runner.export.metadata import OWN_COLUMNS, Line, describe, write_metadata
from runner.export.output import LocalFolder
from runner.export_options import Rendering
from runner.manifest import Row

PRINT = fingerprint(pictures.encode(pictures.photo(1)))


def line(**columns: Any) -> Line:
    return describe(Key(17, 42), Row("http://a.example/x.jpg", columns), PRINT, 3, Rendering())


def written(path: Path, *lines: Line) -> list[Line]:
    write_metadata(LocalFolder(path.parent), lines)
    return [json.loads(text) for text in path.read_text("utf-8").splitlines()]


def test_a_line_says_what_and_where_the_image_is() -> None:
    assert line() == {
        "file_name": "00017/000170042.jpg",
        "url": "http://a.example/x.jpg",
        "width": 192,
        "height": 144,
        "sha256": PRINT.sha256.hex(),
        "phash": PRINT.phash.hex(),
        "shard": 17,
        "index": 42,
        "duplicates": 3,
    }


def test_every_line_has_the_same_columns_in_the_same_order() -> None:
    assert list(line()) == list(OWN_COLUMNS)
    assert all(isinstance(value, OWN_COLUMNS[name]) for name, value in line().items())


def test_columns_of_the_list_follow_in_its_order() -> None:
    assert list(line(caption="a cat", Alpha=1))[-3:] == ["duplicates", "caption", "Alpha"]


def test_a_column_never_overwrites_ours() -> None:
    assert line(width=7, sha256="no") == line() | {"width_in_list": 7, "sha256_in_list": "no"}


def test_a_column_that_the_loader_would_take_for_a_file_is_renamed() -> None:
    columns = {"file_name": "a", "mask_file_name": "b", "file_names": ["c"], "image": "d"}

    assert line(**columns) == line() | {f"{name}_in_list": value for name, value in columns.items()}


def test_renamed_columns_do_not_overwrite_each_other() -> None:
    mixed = line(width=1, width_in_list=2)

    assert mixed == line() | {"width_in_list_in_list": 1, "width_in_list": 2}


def test_text_of_any_language_stays_readable(tmp_path: Path) -> None:
    path = tmp_path / "metadata.jsonl"

    assert written(path, line(caption="Größe 猫\n")) == [line(caption="Größe 猫\n")]
    assert "Größe 猫" in path.read_text("utf-8")


def test_half_a_character_does_not_spoil_the_file(tmp_path: Path) -> None:
    assert written(tmp_path / "metadata.jsonl", line(caption="x\udc80"), line()) == [
        line(caption="x?"),
        line(),
    ]


def test_the_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "metadata.jsonl"
    seen = []

    def lines() -> Any:
        yield line()
        seen.append(path.exists())

    written(path, *lines())

    assert seen == [False]
    assert [file.name for file in tmp_path.iterdir()] == ["metadata.jsonl"]
