"""The luma behind a pHash: an image as 32 x 32 shades of grey, made as Pillow makes it, but quicker.

Pillow scales images of 8 bits in whole numbers: a new pixel is a sum of old ones times weights of 22 bits,
rounded. In float64 such a sum is exact in any order, so a product of matrices comes to the same bits, in less
than half of the time. Pillow begins along the rows, which is nearly all of the work, unless an image is about
twice as high as wide: those are left to it, as is going down the columns.

The weights are Pillow's own, read off single bright points that it scales in its mode of 32 bits.
"""

import threading
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 32
# Below, there is nothing to gain. Above, weights take more memory than they save time.
MIN_WIDTH = 96
MAX_WIDTH = 4096
# Height to width of the images that Pillow surely begins along the rows: it was seen to up to 1.67.
MAX_RATIO = 1.5
# So many pixels are turned into float64 at a time: a megabyte.
PIXELS_AT_ONCE = 1 << 17
# Widths of which the weights are kept: 15 MB if all are of 640 pixels. To find them costs what they save.
WIDTHS_KEPT = 256
# New pixels that are made by one product. A few, since each comes from old ones of its own.
COLUMNS_TOGETHER = 8

_BITS = 22
_LOBES = 3  # of the Lanczos filter: how many new pixels away an old one still counts

Pixels = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float64]
# Old pixels, new pixels, and the weights of the former in the latter.
Band = tuple[slice, slice, Weights]


def luma(grey: Image.Image) -> Image.Image:
    """``grey.resize((32, 32), LANCZOS)`` of an image in mode L, bit for bit."""
    fits = MIN_WIDTH <= grey.width <= MAX_WIDTH and grey.height <= MAX_RATIO * grey.width
    return _quick(grey) if fits and _pillow_agrees() else _scaled(grey)


@cache
def _pillow_agrees() -> bool:
    """Whether this is a Pillow that scales as told above."""
    random = np.random.default_rng(0)
    sizes = [(height, width) for width in (MIN_WIDTH, 333) for height in (SIDE, int(MAX_RATIO * width))]
    samples = [Image.fromarray(random.integers(0, 256, size, dtype=np.uint8)) for size in sizes]
    return all(_quick(sample).tobytes() == _scaled(sample).tobytes() for sample in samples)


def _quick(grey: Image.Image) -> Image.Image:
    return _scaled(Image.fromarray(_narrow(np.asarray(grey), _bands(grey.width))))


def _scaled(grey: Image.Image) -> Image.Image:
    return grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


class _Scratch(threading.local):
    """Memory that each thread uses again and again: new memory takes longer to get than to fill."""

    def __init__(self) -> None:
        self.numbers = np.empty(PIXELS_AT_ONCE)


_scratch = _Scratch()


def _narrow(pixels: Pixels, bands: tuple[Band, ...]) -> Pixels:
    height, width = pixels.shape
    sums = np.empty((height, SIDE))
    rows = PIXELS_AT_ONCE // width
    for top in range(0, height, rows):
        part = pixels[top : top + rows]
        strip = _scratch.numbers[: part.size].reshape(part.shape)
        np.copyto(strip, part)
        for old, new, weights in bands:
            sums[top : top + rows, new] = strip[:, old] @ weights
    sums += 1 << _BITS - 1
    sums /= 1 << _BITS
    return np.floor(sums, out=sums).clip(0, 255).astype(np.uint8)


@lru_cache(WIDTHS_KEPT)
def _bands(width: int) -> tuple[Band, ...]:
    """How to make rows of 32 pixels out of rows of that width."""
    weights = _weights(width)
    bands = []
    for first in range(0, SIDE, COLUMNS_TOGETHER):
        new = slice(first, first + COLUMNS_TOGETHER)
        used = np.flatnonzero(weights[:, new].any(axis=1))
        old = slice(int(used[0]), int(used[-1]) + 1)
        bands.append((old, new, np.ascontiguousarray(weights[old, new])))
    return tuple(bands)


def _weights(width: int) -> Weights:
    """Row by old pixel, column by new one: the weights as whole numbers of 22 bits."""
    reach = _LOBES * width / SIDE
    apart = int(2 * reach) + 3  # of the points in a row, of which a new pixel so sees one at most
    points = np.zeros((apart, width), dtype=np.int32)
    x = np.arange(width)
    points[x % apart, x] = 1 << _BITS
    seen = np.asarray(Image.fromarray(points).resize((SIDE, apart), Image.Resampling.LANCZOS))
    middle = (np.arange(SIDE) + 0.5) * width / SIDE
    within = np.abs(x[:, None] + 0.5 - middle) < reach + 1
    return np.where(within, seen[x % apart], 0).astype(np.float64)
