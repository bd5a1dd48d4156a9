"""What an export writes is what the `imagefolder` loader of Hugging Face `datasets` reads."""

import os
from pathlib import Path

import pictures
import pytest
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
