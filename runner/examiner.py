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
from .imaging import Undecodable, displayed, open_image, orientation, untrusted
from .luma import MIN_WIDTH, luma


def fingerprint(data: bytes, sha256: bytes | None = None) -> Fingerprint:
    """Decode an image and describe it; ``sha256`` of the data if it is known already. Raises Undecodable."""
    with untrusted():
        image = open_image(data)
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        mode = image.mode
        turn = orientation(image)
        upright = displayed(image)
        grey = luma(upright if upright.mode == "L" else upright.convert("L"))
    pixels = np.asarray(grey)
    return Fingerprint(
        sha256=sha256 or hashlib.sha256(data).digest(),
        size=len(data),
        width=upright.width,
        height=upright.height,
        format=kind,
        mode=mode,
        orientation=turn,
        phash=_phash(grey),
        contrast=float(pixels.std()),
        levels=int(np.count_nonzero(np.bincount(pixels.ravel()))),
    )


def _phash(grey: Image.Image) -> bytes:
    # imagehash begins with the very steps that made ``grey``: on their result they change nothing.
    return np.packbits(imagehash.phash(grey).hash).tobytes()


@cache
def examined() -> Examined:
    """What is known of images; from its first call on in this process, and in those forked from it."""
    return Examined()


def practise() -> None:
    """Examine an image: with the first one, libraries import and work out what they need for all."""
    examined()
    file = BytesIO()
    Image.new("RGB", (MIN_WIDTH, MIN_WIDTH)).save(file, "JPEG")
    fingerprint(file.getvalue())


_MEMORY = b"memory"


class Examiner:
    """Makes the result for one image after the other. Bytes that are known are not decoded again."""

    def __init__(self, known: Examined) -> None:
        self._known = known

    def __call__(self, item: Item[bytes]) -> Result:
        sha256 = hashlib.sha256(item.data).digest()
        found = self._known.get(sha256)
        if found is None:
            found = _examine(item.data, sha256)
            if found != _MEMORY:  # which tells of this process more than of the image
                self._known.put(sha256, found)
        if found.startswith(sha256):
            return Result(item.key, Mark(DONE, len(item.data)), found)
        return Result(item.key, Mark(found.decode(), detail=(sha256,)))


def _examine(data: bytes, sha256: bytes) -> bytes:
    """The record, which begins with the sha256, or else the reason why there is none."""
    try:
        return fingerprint(data, sha256).pack()
    except Undecodable as error:
        return error.reason.encode()
