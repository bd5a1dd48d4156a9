"""What may be chosen for an export: sizes, and what makes no sense."""

from typing import Any

import pytest

from runner.errors import UsageError
from runner.export_options import ExportOptions, Filters, Rendering, Selection


@pytest.mark.parametrize(
    ("resize", "size", "scaled", "written"),
    [
        ("keep_ratio", (400, 200), (200, 100), (200, 100)),
        ("keep_ratio", (200, 400), (100, 200), (100, 200)),
        ("keep_ratio", (20, 10), (200, 100), (200, 100)),
        ("keep_ratio_largest", (400, 200), (100, 50), (100, 50)),
        ("keep_ratio_largest", (5000, 1), (100, 1), (100, 1)),
        ("border", (400, 200), (100, 50), (100, 100)),
        ("border", (10, 10), (100, 100), (100, 100)),
        ("center_crop", (400, 200), (200, 100), (100, 100)),
        ("center_crop", (333, 1000), (100, 300), (100, 100)),
    ],
)
def test_sizes(resize: Any, size: tuple[int, int], scaled: tuple[int, int], written: tuple[int, int]) -> None:
    rendering = Rendering(resize, 100)
    assert rendering.scaled(*size) == scaled
    assert rendering.written(*size) == written


@pytest.mark.parametrize(
    ("resize", "small", "big"),
    [
        ("keep_ratio", (500, 100), (500, 101)),
        ("center_crop", (100, 500), (101, 500)),
        ("keep_ratio_largest", (100, 5), (101, 5)),
        ("border", (100, 5), (101, 5)),
    ],
)
def test_only_bigger_goes_by_the_side_that_is_made_to_fit(
    resize: Any, small: tuple[int, int], big: tuple[int, int]
) -> None:
    rendering = Rendering(resize, 100, only_bigger=True)
    assert rendering.scaled(*small) == rendering.written(*small) == small
    assert rendering.written(*big) != big


def test_without_resize_a_size_is_what_it_is() -> None:
    assert Rendering().scaled(31, 17) == Rendering().written(31, 17) == (31, 17)


@pytest.mark.parametrize(
    ("kind", "wrong", "says"),
    [
        (Rendering, {"quality": 0}, "quality"),
        (Rendering, {"quality": 101}, "quality"),
        (Rendering, {"encode": "bmp"}, "encoding"),
        (Rendering, {"resize": "stretch", "size": 9}, "resize"),
        (Rendering, {"resize": "border"}, "go together"),
        (Rendering, {"size": 100}, "go together"),
        (Rendering, {"resize": "border", "size": 0}, "1 to 65,535"),
        (Rendering, {"only_bigger": True}, "only-bigger"),
        (ExportOptions, {"format": "zip"}, "format"),
        (ExportOptions, {"format": "csv", "caption_col": "text"}, "--caption-col"),
        (ExportOptions, {"limit": -1}, "limit"),
        (ExportOptions, {"sample": -1}, "sample"),
        (ExportOptions, {"seed": -1}, "seed"),
        (Filters, {"formats": ("jpeg", "psd")}, "psd"),
        (Selection, {"near": 9}, "radius"),
        (Selection, {"dedup": "magic"}, "magic"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: Any, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        kind(**wrong)


def test_how_many_are_written() -> None:
    assert ExportOptions().count(7) == 7
    assert ExportOptions(sample=5, limit=3).count(7) == 3
    assert ExportOptions(sample=0).count(7) == 0
    assert ExportOptions(sample=50).count(7) == 7


def test_only_the_limits_that_are_set() -> None:
    assert Filters().limits() == {"min_side": 100}
    assert Filters(0, formats=("png",), max_bytes=9).limits() == {
        "min_side": 0,
        "formats": ("png",),
        "max_bytes": 9,
    }
