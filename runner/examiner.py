"""What there is to know of an image: one decode gives all that dedup and export ask for."""

import hashlib
from functools import cache
from io import BytesIO

import imagehash
import numpy as np
from PIL import Image

from .engine.items import DONE, Item, Mark, Result
from .examined import Examined
from .fingerprint import Fingerprint
from .imaging import Size, Undecodable, displayed, open_image, orientation, shrink, untrusted
from .luma import MIN_WIDTH, luma
from .recipes import Recipe


def fingerprint(data: bytes, sha256: bytes | None = None, recipe: Recipe = "exact") -> Fingerprint:
    """Decode an image and describe it; ``sha256`` of the data if it is known already. Raises Undecodable.

    By the recipe ``fast`` a JPEG is decoded as luma alone and at reduced size, which tells nearly the same.
    """
    with untrusted():
        image = open_image(data)
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        mode = image.mode
        turn = orientation(image)
        shrunk_from = shrink(image) if recipe == "fast" else None
        upright = displayed(image)
        grey = luma(upright if upright.mode == "L" else upright.convert("L"))
    width, height = upright.size if shrunk_from is None else _turned(shrunk_from, turn)
    pixels = np.asarray(grey)
    return Fingerprint(
        sha256=sha256 or hashlib.sha256(data).digest(),
        size=len(data),
        width=width,
        height=height,
        format=kind,
        mode=mode,
        orientation=turn,
        phash=_phash(grey),
        contrast=float(pixels.std()),
        levels=int(np.count_nonzero(np.bincount(pixels.ravel()))),
    )


def _turned(size: Size, orientation: int) -> Size:
    return size if orientation < 5 else (size[1], size[0])


def _phash(grey: Image.Image) -> bytes:
    # imagehash begins with the very steps that made ``grey``: on their result they change nothing.
    return np.packbits(imagehash.phash(grey).hash).tobytes()


@cache
def examined(recipe: Recipe) -> Examined:  # noqa: ARG001
    """What is known by a recipe; from its first call on in this process, and in those forked from it."""
    return Examined()


def practise(recipe: Recipe) -> None:
    """Examine an image: with the first one, libraries import and work out what they need for all."""
    examined(recipe)
    file = BytesIO()
    Image.new("RGB", (MIN_WIDTH, MIN_WIDTH)).save(file, "JPEG")
    fingerprint(file.getvalue(), recipe=recipe)


_MEMORY = b"memory"


class Examiner:
    """Makes the result for one image after the other. Bytes that are known are not decoded again."""

    def __init__(self, known: Examined, recipe: Recipe) -> None:
        self._known = known
        self._recipe = recipe

    def __call__(self, item: Item[bytes]) -> Result:
        sha256 = hashlib.sha256(item.data).digest()
        found = self._known.get(sha256)
        if found is None:
            found = _examine(item.data, sha256, self._recipe)
            if found != _MEMORY:  # which tells of this process more than of the image
                self._known.put(sha256, found)
        if found.startswith(sha256):
            return Result(item.key, Mark(DONE, len(item.data)), found)
        return Result(item.key, Mark(found.decode(), detail=(sha256,)))


def _examine(data: bytes, sha256: bytes, recipe: Recipe) -> bytes:
    """The record, which begins with the sha256, or else the reason why there is none."""
    try:
        return fingerprint(data, sha256, recipe).pack()
    except Undecodable as error:
        return error.reason.encode()
