"""What an export writes is what Hugging Face `datasets` reads: by the `imagefolder` loader, or by itself."""

import os
from pathlib import Path
from typing import Any

import pictures
import pytest
from jobs import make_job as make_whole_job
from test_export import make_job

os.environ["HF_HUB_OFFLINE"] = "1"  # read on import; nothing of this needs the network
datasets = pytest.importorskip("datasets", reason="needs Hugging Face datasets")


def test_load_dataset_reads_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    photos = [pictures.encode(pictures.photo(seed)) for seed in range(4)]
    job = make_job(tmp_path / "job", [photos[:2], photos[2:]], caption="Größe 猫", image="no file", width=7)
    job.export(tmp_path / "out")

    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), split="train")

    assert loaded["url"] == [f"http://a.example/{shard}/{index}" for shard in (0, 1) for index in (0, 1)]
    assert set(loaded["caption"]) == {"Größe 猫"}
    assert set(loaded["image_in_list"]) == {"no file"}
    assert set(loaded["width_in_list"]) == {7}
    for row, body in zip(loaded, photos, strict=True):
        assert row["image"].size == (row["width"], row["height"])
        assert row["image"].tobytes() == pictures.Image.open(pictures.BytesIO(body)).tobytes()


PHOTOS = [pictures.encode(pictures.photo(seed)) for seed in range(3)]


def load(out: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The export of three photos in two shards."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    lines: Any = [(photo, {"caption": f"photo {number}"}) for number, photo in enumerate(PHOTOS)]
    job = make_whole_job(tmp_path / "job", [lines[:2], lines[2:]])
    options = {"caption_col": "caption"} if kind == "webdataset" else {}
    job.export(out, workers=0, format=kind, **options)
    return datasets.load_dataset(str(out), split="train")


@pytest.mark.parametrize(
    ("kind", "image", "caption"),
    [("folder", "image", "caption"), ("webdataset", "jpg", "txt"), ("parquet", "image", "caption")],
)
def test_load_dataset_finds_out_what_it_is_given(
    kind: str, image: str, caption: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(tmp_path / "out", kind, tmp_path, monkeypatch)

    assert list(loaded[caption]) == ["photo 0", "photo 1", "photo 2"]
    for row, body in zip(loaded, PHOTOS, strict=True):
        assert row[image].tobytes() == pictures.Image.open(pictures.BytesIO(body)).tobytes()


def test_what_only_later_samples_of_a_webdataset_have_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    columns: Any = [{"title": None}] * 6 + [
        {"title": "last", "more": 2, "mixed": 1},
        {"mixed": ["a", {"b": 1}]},
    ]
    photos = [pictures.encode(pictures.photo(seed)) for seed in range(len(columns))]
    job = make_whole_job(tmp_path / "job", [list(zip(photos, columns, strict=True))])
    job.export(tmp_path / "out", workers=0, format="webdataset")

    lines = datasets.load_dataset(str(tmp_path / "out"), split="train")["json"]

    assert [line["title"] for line in lines] == [None] * 6 + ["last", None]
    assert [line["more"] for line in lines] == [None] * 6 + [2, None]
    assert [line["mixed"] for line in lines] == [None] * 6 + [1, ["a", {"b": 1}]]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_load_dataset_reads_metadata_alone(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(tmp_path / "out", kind, tmp_path, monkeypatch)

    assert list(loaded["caption"]) == ["photo 0", "photo 1", "photo 2"]
    assert list(loaded["width"]) == [192, 192, 192]
