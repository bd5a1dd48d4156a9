"""The types of columns that lists bring along."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from runner.export.column_types import cell, columns_of
from runner.export.contents import Sample
from runner.export.metadata import OWN_COLUMNS
from runner.export.parquet import Parquet
from runner.manifest import Row, write_manifests

EXACT, LONG, HUGE = 2**53, 2**63 - 1, 2**63


@pytest.mark.parametrize(
    ("values", "kind", "cells"),
    [
        (["a", None, "b\udc80"], "string", ["a", None, "b?"]),
        ([None, None], "string", [None, None]),
        ([1, -LONG], "int64", [1, -LONG]),
        ([1, 2.5, EXACT], "float64", [1.0, 2.5, float(EXACT)]),
        ([EXACT + 1, 0.5], "json", [str(EXACT + 1), "0.5"]),
        ([HUGE, 1], "json", [str(HUGE), "1"]),
        ([True, False], "bool", [True, False]),
        ([True, 1], "json", ["true", "1"]),
        (["a", 1, None], "json", ['"a"', "1", None]),
        ([[1, "ü"], {"a": None}], "json", ['[1, "ü"]', '{"a": null}']),
    ],
)
def test_a_column_has_one_type_that_fits_all(
    values: list[Any], kind: str, cells: list[Any], tmp_path: Path
) -> None:
    rows = [Row(f"http://a.example/{number}", {"x": value}) for number, value in enumerate(values)]
    write_manifests(rows, tmp_path, 1)  # each in a shard of its own

    columns = columns_of(sorted(tmp_path.glob("*.jsonl")))

    assert columns["x"] == kind
    assert [cell(value, kind) for value in values] == cells
    path = tmp_path / "x.parquet"
    own = {name: kind() for name, kind in OWN_COLUMNS.items()}
    with path.open("wb") as file:
        list(Parquet.of(columns).write(file, (Sample({**own, "x": value}, b"") for value in values)))
    assert pq.read_table(path).column("x").to_pylist() == cells


def test_columns_come_in_the_order_of_the_lists_under_their_names_in_an_export(tmp_path: Path) -> None:
    rows = [Row("http://a.example/1", {"b": 1, "image": 2}), Row("http://a.example/2", {"a": 3, "b": None})]
    write_manifests(rows, tmp_path, 10)

    assert list(columns_of(tmp_path.glob("*.jsonl"))) == [*OWN_COLUMNS, "b", "image_in_list", "a"]
