"""The README.md of an export."""

from pathlib import Path
from typing import Any

import pictures
import pytest
import yaml
from jobs import make_job

import runner
from runner.export.card import Settings, _size_category
from runner.export.host_counts import HostCounts
from runner.export_options import ExportOptions, Filters, Rendering, Selection

PHOTOS = [pictures.encode(pictures.photo(seed)) for seed in range(4)]
SMALL = pictures.encode(pictures.photo(21, (64, 48)))
LINES: Any = [
    [(PHOTOS[0], {}), (PHOTOS[1], {}), (None, {})],
    [(PHOTOS[0], {"caption": "a cat"}), (SMALL, {}), (PHOTOS[2][:3000], {})],
]


@pytest.fixture
def job(tmp_path: Path) -> runner.Job:
    return make_job(tmp_path / "job", LINES)


def export(job: runner.Job, out: Path, **options: Any) -> str:
    job.export(out, workers=0, **options)
    return (out / "README.md").read_text()


def front_matter(card: str) -> Any:
    return yaml.safe_load(card.split("---\n")[1])


def test_every_url_is_accounted_for(job: runner.Job, out: Path) -> None:
    card = export(job, out, limit=1)

    assert "# 1 image\n" in card
    assert "Of 6 URLs 5 gave an image, 1 failed (http_404 1)." in card
    assert "| 1 | cannot be decoded (truncated 1) |" in card
    assert "| 1 | `--min-side 100` |" in card
    assert "| 1 | stand behind an image that is here: `--dedup near`, within 4 of 64 bits |" in card
    assert "| 1 | not wanted: `--sample`, `--limit` |" in card


def test_it_names_the_hosts_and_the_command(job: runner.Job, out: Path) -> None:
    card = export(job, out, format="webdataset", caption_col="caption", min_side=40)

    assert "| `b.example` | 2 |\n| `a.example` | 1 |" in card
    assert "    runner export JOB OUT --format webdataset --min-side 40 --caption-col caption\n" in card


def test_the_command_has_what_differs_from_the_defaults() -> None:
    selection = Selection("none", filters=Filters(formats=("jpeg", "png"), max_aspect=3.0))
    rendering = Rendering("border", 512, only_bigger=True)

    assert Settings(Selection(), ExportOptions()).command() == "runner export JOB OUT"
    assert Settings(selection, ExportOptions(limit=9, rendering=rendering)).command() == (
        "runner export JOB OUT --max-aspect 3.0 --formats jpeg,png --dedup none "
        "--resize border --size 512 --only-bigger --limit 9"
    )


@pytest.mark.parametrize(
    ("kind", "data_files"),
    [
        ("folder", "**"),
        ("webdataset", "*.tar"),
        ("parquet", "*.parquet"),
        ("jsonl", "metadata.jsonl"),
        ("csv", "metadata.csv"),
    ],
)
def test_the_front_matter_tells_loaders_what_to_read(
    kind: str, data_files: str, job: runner.Job, out: Path
) -> None:
    known = front_matter(export(job, out, format=kind))

    assert known["configs"] == [{"config_name": "default", "data_files": data_files}]
    assert known["size_categories"] == ["n<1K"]
    assert ("dataset_info" in known) == (kind in ("parquet", "webdataset"))


def test_the_columns_of_a_parquet_are_all_declared(job: runner.Job, out: Path) -> None:
    features = front_matter(export(job, out, format="parquet"))["dataset_info"]["features"]

    assert features[0] == {"name": "image", "dtype": "image"}
    assert features[-1] == {"name": "caption", "dtype": "string"}


def test_the_members_of_a_webdataset_are_declared_and_the_fields_of_its_json(tmp_path: Path) -> None:
    photo = pictures.encode(pictures.photo(1))
    rows: Any = [(photo, {"n": 1, 'ß "🐈\u200d': None}), (photo, {"n": "many"})]
    job = make_job(tmp_path / "job", [rows])

    known = front_matter(export(job, tmp_path / "out", format="webdataset", encode="png", caption_col="n"))

    members = {entry.pop("name"): entry for entry in known["dataset_info"]["features"]}
    assert list(members) == ["__key__", "__url__", "png", "json", "txt"]
    assert members["png"] == {"dtype": "image"}
    assert members["json"]["struct"][0] == {"name": "file_name", "dtype": "string"}
    assert members["json"]["struct"][-2:] == [
        {"name": "n", "dtype": "json"},
        {"name": 'ß "🐈\u200d', "dtype": "string"},
    ]


@pytest.mark.parametrize(
    ("images", "category"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (5_500_000, "1M<n<10M"), (10**9, "n>1B")],
)
def test_the_size_is_called_as_the_hub_calls_it(images: int, category: str) -> None:
    assert _size_category(images) == category


def test_it_follows_the_export(job: runner.Job, out: Path) -> None:
    first = export(job, out)

    assert export(job, out, min_side=0) != first
    assert export(job, out) == first


def test_one_that_was_edited_is_left_alone(job: runner.Job, out: Path) -> None:
    card = export(job, out)
    (out / "README.md").write_text(f"{card}\nAll of it is mine.\n")

    assert export(job, out, min_side=0).endswith("mine.\n")

    (out / "README.md").unlink()
    assert export(job, out) == card


def test_killed_before_it_is_written_it_is_still_known(
    job: runner.Job, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(job, out)
    with monkeypatch.context() as patch:
        patch.setattr("runner.export.output.os.fsync", lambda descriptor: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(job, out, format="folder", min_side=0)

    assert "--min-side 0" in export(job, out, min_side=0)


def test_hosts_are_what_a_url_says_and_nothing_worse() -> None:
    hosts = HostCounts()
    hosts.count(
        [
            "http://user:secret@A.example:80/x",
            "https://a.example?q",
            "http://[::1]:8/x",
            "http://a|b`<i>/",
            "x",
        ]
    )

    assert hosts.top(9) == [("a.example", 2), ("?", 1), ("[::1]", 1), ("a?b??i?", 1)]
    assert hosts.images == 5
