"""``runner.Images`` under the worker processes of PyTorch's DataLoader."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pictures
import pytest
from PIL import Image
from test_view import make_job, url

from runner import Images, StoredItem

torch = pytest.importorskip("torch", reason="needs PyTorch")

PHOTOS = {row: pictures.encode(pictures.photo(row, (48, 36))) for row in range(40)}


def to_tensors(batch: list[tuple[StoredItem, bytes]]) -> tuple[Any, list[str]]:
    images = [Image.open(BytesIO(body)).convert("RGB") for _, body in batch]
    pixels = [torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8) for image in images]
    return torch.stack(pixels), [item.url for item, _ in batch]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_data_loader_gets_every_image_in_every_epoch(tmp_path: Path, method: str) -> None:
    images = Images(make_job(tmp_path / "job", PHOTOS, rows=len(PHOTOS)))
    assert images[7][1] == PHOTOS[7]  # so that files are open when the workers start
    loader = torch.utils.data.DataLoader(
        images,
        batch_size=4,
        shuffle=True,
        num_workers=4,
        persistent_workers=True,
        multiprocessing_context=method,
        collate_fn=to_tensors,
    )
    for _ in range(2):
        seen = {name: row for batch, names in loader for row, name in zip(batch, names, strict=True)}
        assert seen.keys() == {url(row) for row in PHOTOS}
        for row, body in PHOTOS.items():
            assert bytes(seen[url(row)].numpy()) == Image.open(BytesIO(body)).tobytes()


def test_plain_batches_travel_between_processes(tmp_path: Path) -> None:
    images = Images(make_job(tmp_path / "job", PHOTOS, rows=len(PHOTOS)))
    loader = torch.utils.data.DataLoader(images[5:25], batch_size=None, num_workers=4)
    assert [(item.url, body) for item, body in loader] == [(url(row), PHOTOS[row]) for row in range(5, 25)]
