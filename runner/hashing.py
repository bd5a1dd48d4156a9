"""The hash stage: batches/ -> hashes/. One decode per image gives all that dedup and export ask for."""

import hashlib
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, features

from .engine.items import DONE, Item, Key, Mark, Result
from .engine.shardfile import read_payloads, shard_file
from .examined import Examined
from .fingerprint import Fingerprint
from .imaging import Undecodable, displayed, open_image, orientation, untrusted
from .luma import MIN_WIDTH, luma

# How the hash is made and by which versions. Hashes of different recipes must not be compared: another JPEG
# decoder or another resize changes a bit of some.
RECIPE = "; ".join(
    [
        "displayed(first frame, exif, white, 8 bit) L lanczos32 phash8",
        *(f"{name} {version(name)}" for name in ("imagehash", "pillow", "scipy")),
        f"libjpeg-turbo {features.version('libjpeg_turbo')}",
    ]
)
# Bytes a worker may allocate: the largest accepted image fits three times, a bomb that got past the limits
# ends as a MemoryError of one image instead of an out-of-memory kill of anything.
MEMORY_LIMIT = 2 << 30


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


@dataclass(frozen=True)
class HashStage:
    """Fingerprints of the images in ``batches``; payload ``Fingerprint.pack()``, mark ``DONE``.

    An image that does not decode gets a mark with one of ``imaging.REASONS``, the sha256 of its bytes as the
    detail, and no payload.
    ``memory_limit``: bytes that the process running the stage may allocate from then on; None in a process
    that is not ours to limit.
    """

    batches: Path
    output: Path
    memory_limit: int | None = None
    name: str = "hash"
    slice_size: int | None = 64
    patience: float = 60.0

    @property
    def warm_up(self) -> Callable[[], object]:
        return practise

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[bytes]]:
        """The stored bytes of these images."""
        for index, data in read_payloads(shard_file(self.batches, shard), indices):
            yield Item(Key(shard, index), data)

    def process(self, items: Iterator[Item[bytes] | None]) -> Iterator[Result | None]:
        """One image at a time."""
        if self.memory_limit is not None:
            limit_memory(self.memory_limit)
        examine = Examiner(examined())
        for item in items:
            yield None if item is None else examine(item)


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


class Examiner:
    """Makes the result for one image after the other. Bytes that are known are not decoded again."""

    def __init__(self, known: Examined) -> None:
        self._known = known

    def __call__(self, item: Item[bytes]) -> Result:
        sha256 = hashlib.sha256(item.data).digest()
        found = self._known.get(sha256)
        if found is None:
            found = _examine(item.data, sha256)
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


def limit_memory(limit: int) -> None:
    """Let allocations of this process beyond ``limit`` bytes fail as MemoryError."""
    # Not RLIMIT_AS: that would count the maps of LMDB files too, which take address space but no memory.
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(
        resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
