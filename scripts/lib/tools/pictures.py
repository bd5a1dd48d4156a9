"""Generated pictures that differ from each other as photographs do; the same seed gives the same picture."""

import io
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

import imagehash
import numpy as np
from PIL import Image, ImageDraw, ImageOps

Spec = TypeVar("Spec")
Made = TypeVar("Made")

Size = tuple[int, int]
Colours = np.ndarray[Any, np.dtype[np.float64]]

GRAIN_SIDE = 1024
OCTAVES = ((4, 1.0), (8, 0.45), (16, 0.3), (48, 0.2))  # colour cells along the width, weight in the blend
SHAPES = 7
UNRELATED = 10  # Hamming distance; the hashes of photographs lie an even number of bits apart


def photograph(seed: int, size: Size = (320, 240), grain: float = 6.0) -> Image.Image:
    """A made-up scene: blurred colours, hard-edged things before them, film grain of that strength."""
    rng = np.random.default_rng(seed)
    palette = _palette(rng)
    scene = _blur(rng, palette, OCTAVES[0][0], size)
    for cells, weight in OCTAVES[1:]:
        scene = Image.blend(scene, _blur(rng, palette, cells, size), weight)
    _place_things(rng, palette, scene)
    top, left = rng.integers(0, GRAIN_SIDE - max(size), 2)
    speckle = _grain()[top : top + size[1], left : left + size[0], None] * grain
    pixels = np.asarray(ImageOps.autocontrast(scene, cutoff=1), dtype=np.float32) + speckle
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encode(picture: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def displayed(body: bytes) -> Image.Image:
    """The picture as a viewer shows it: turned upright, on white paper."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(body)))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def fingerprint(picture: Image.Image) -> int:
    """The pHash as a number, so that ``distance`` is a subtraction of bits."""
    return int(str(imagehash.phash(picture)), 16)


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


class Gallery:
    """Fingerprints that lie at least ``UNRELATED`` apart: what enters is like nothing that is in it."""

    def __init__(self) -> None:
        self._prints = np.empty(0, dtype=np.uint64)

    def admit(self, print_: int) -> bool:
        """Take the fingerprint in, unless it is too near to one that is in, or no photograph's."""
        if print_.bit_count() != 32:
            return False
        if self._prints.size and np.bitwise_count(self._prints ^ np.uint64(print_)).min() < UNRELATED:
            return False
        self._prints = np.append(self._prints, np.uint64(print_))
        return True


def make_all(make: Callable[[Spec], Made], specs: Iterable[Spec]) -> Iterator[Made]:
    """``map`` over all processors; results in the order of the specs."""
    context = multiprocessing.get_context("spawn")
    # Ctrl-C goes to the whole terminal group; here only the parent answers it, and its pool ends with it.
    with context.Pool(os.cpu_count(), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap(make, specs, chunksize=16)


def _palette(rng: np.random.Generator) -> Colours:
    """Few colours, dark to light: what makes a scene look like one scene."""
    brightness = np.array((0.1, 0.5, 0.9, 1.0))[:, None]
    colours: Colours = (0.35 + 0.65 * rng.random((4, 3))) * brightness * 255
    return colours


def _blur(rng: np.random.Generator, palette: Colours, cells: int, size: Size) -> Image.Image:
    rows = max(2, round(cells * size[1] / size[0]))
    mixture = rng.random((rows, cells, len(palette))) ** 4
    mixture /= mixture.sum(axis=2, keepdims=True)
    return Image.fromarray((mixture @ palette).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def _place_things(rng: np.random.Generator, palette: Colours, scene: Image.Image) -> None:
    draw = ImageDraw.Draw(scene)
    for _ in range(SHAPES):
        colour = tuple(palette[rng.integers(len(palette))].astype(int).tolist())
        x, y = (rng.random(2) * scene.size).tolist()
        if rng.random() < 0.5:
            reach_x, reach_y = (rng.uniform(0.04, 0.2, 2) * min(scene.size)).tolist()
            draw.ellipse((x - reach_x, y - reach_y, x + reach_x, y + reach_y), fill=colour)
        else:
            corners = np.array((x, y)) + rng.normal(0, 0.15, (3, 2)) * min(scene.size)
            draw.polygon([tuple(corner) for corner in corners.tolist()], fill=colour)


@cache
def _grain() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((GRAIN_SIDE, GRAIN_SIDE), dtype=np.float32)
