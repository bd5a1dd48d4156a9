"""The quick way to 32 x 32 shades of grey makes the very bits that Pillow makes."""

import threading

import numpy as np
import pytest
from PIL import Image

from runner import luma as module
from runner.luma import MAX_WIDTH, MIN_WIDTH, luma


def by_pillow(grey: Image.Image) -> bytes:
    return grey.resize((32, 32), Image.Resampling.LANCZOS).tobytes()


def pictures(width: int, height: int) -> dict[str, Image.Image]:
    """Noise, and what drives the sums to both ends of their range and beyond."""
    rng = np.random.default_rng(width * 1000 + height)
    stripes = np.broadcast_to((np.arange(width) // max(1, width // 40) % 2 * 255), (height, width))
    arrays = {
        "noise": rng.integers(0, 256, (height, width)),
        "black and white": rng.integers(0, 2, (height, width)) * 255,
        "stripes": stripes,
        "ramp": np.broadcast_to(np.linspace(0, 255, width), (height, width)),
        "white": np.full((height, width), 255),
    }
    return {name: Image.fromarray(array.astype(np.uint8)) for name, array in arrays.items()}


@pytest.mark.parametrize("height", [1, 31, 97])
def test_every_width_and_any_height(height: int) -> None:
    differing = [
        (width, name)
        for width in [*range(1, 900, 7), MIN_WIDTH - 1, MIN_WIDTH, 640, 1600, MAX_WIDTH, MAX_WIDTH + 1]
        for name, grey in pictures(width, height).items()
        if luma(grey).tobytes() != by_pillow(grey)
    ]

    assert differing == []


@pytest.mark.parametrize("width", [96, 100, 333, 500, 640, 1000])
def test_high_images(width: int) -> None:
    for ratio in (1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.2, 3.5):
        for name, grey in pictures(width, int(ratio * width)).items():
            assert luma(grey).tobytes() == by_pillow(grey), (ratio, name)


@pytest.mark.parametrize("size", [(640, 480), (1024, 768), (2000, 70), (3000, 2000)])
def test_images_of_more_than_one_strip(size: tuple[int, int]) -> None:
    for grey in pictures(*size).values():
        assert luma(grey).tobytes() == by_pillow(grey)


def test_this_pillow_is_met_bit_for_bit() -> None:
    assert module._pillow_agrees()


def test_a_pillow_that_scales_in_another_way_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BITS", 12)
    module._bands.cache_clear()
    module._pillow_agrees.cache_clear()
    try:
        for grey in pictures(640, 480).values():
            assert luma(grey).tobytes() == by_pillow(grey)
        assert not module._pillow_agrees()
    finally:
        module._bands.cache_clear()
        module._pillow_agrees.cache_clear()


def test_threads_do_not_mix_their_images() -> None:
    greys = list(pictures(640, 480).values())
    wrong: list[int] = []

    def work(number: int) -> None:
        grey = greys[number % len(greys)]
        wrong.extend(number for _ in range(20) if luma(grey).tobytes() != by_pillow(grey))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
