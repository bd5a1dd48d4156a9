"""The hash stage: batches/ -> hashes/. One decode per image gives all that dedup and export ask for."""

import hashlib
import resource
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image, features

from .engine.items import DONE, Item, Key, Mark, Result
from .engine.shardfile import read_payloads, shard_file
from .imaging import Undecodable, displayed, open_image, orientation, untrusted

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

# What the pHash reads of an image: this many luma pixels squared.
_LUMA_SIDE = 32
_RECORD = struct.Struct("<32s8sQIIdHB4s8s")
# The same record as numpy sees it, so that millions are read without unpacking each.
RECORD = np.dtype(
    [
        ("sha256", ">u8", (4,)),
        ("phash", ">u8"),
        ("size", "<u8"),
        ("width", "<u4"),
        ("height", "<u4"),
        ("contrast", "<f8"),
        ("levels", "<u2"),
        ("orientation", "u1"),
        ("format", "S4"),
        ("mode", "S8"),
    ]
)


class Fingerprint(NamedTuple):
    """What the hash pass found out about one stored image.

    ``sha256``, ``size``      of the stored bytes
    ``width``, ``height``     pixels as displayed, that is with ``orientation`` applied
    ``format``, ``mode``      as stored: JPEG PNG WEBP GIF BMP TIFF AVIF; Pillow's name of the mode
    ``orientation``           EXIF, 1 to 8
    ``phash``                 8 bytes, the hex digits of ``str(imagehash.phash(image))``, as displayed
    ``contrast``, ``levels``  standard deviation and number of distinct values of the luma behind the pHash
    """

    sha256: bytes
    size: int
    width: int
    height: int
    format: str
    mode: str
    orientation: int
    phash: bytes
    contrast: float
    levels: int

    def pack(self) -> bytes:
        """A record of fixed size, see ``RECORD``."""
        return _RECORD.pack(
            self.sha256,
            self.phash,
            self.size,
            self.width,
            self.height,
            self.contrast,
            self.levels,
            self.orientation,
            self.format.encode(),
            self.mode.encode(),
        )

    @classmethod
    def unpack(cls, data: bytes) -> "Fingerprint":
        sha256, phash, size, width, height, contrast, levels, turn, kind, mode = _RECORD.unpack(data)
        return cls(
            sha256,
            size,
            width,
            height,
            kind.rstrip(b"\0").decode(),
            mode.rstrip(b"\0").decode(),
            turn,
            phash,
            contrast,
            levels,
        )


def fingerprint(data: bytes) -> Fingerprint:
    """Decode an image and describe it. Raises Undecodable."""
    image = open_image(data)
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    mode = image.mode
    turn = orientation(image)
    upright = displayed(image)
    luma = _luma(upright)
    pixels = np.asarray(luma)
    return Fingerprint(
        sha256=hashlib.sha256(data).digest(),
        size=len(data),
        width=upright.width,
        height=upright.height,
        format=kind,
        mode=mode,
        orientation=turn,
        phash=_phash(luma),
        contrast=float(pixels.std()),
        levels=int(np.count_nonzero(np.bincount(pixels.ravel()))),
    )


def _luma(image: Image.Image) -> Image.Image:
    with untrusted():
        return image.convert("L").resize((_LUMA_SIDE, _LUMA_SIDE), Image.Resampling.LANCZOS)


def _phash(luma: Image.Image) -> bytes:
    # imagehash begins with the very steps of _luma: on their result they change nothing.
    return np.packbits(imagehash.phash(luma).hash).tobytes()


@dataclass(frozen=True)
class HashStage:
    """Fingerprints of the images in ``batches``; payload ``Fingerprint.pack()``, mark ``DONE``.

    An image that does not decode gets a mark with one of ``imaging.REASONS`` and no payload.
    ``memory_limit``: bytes that the process running the stage may allocate from then on; None in a process
    that is not ours to limit.
    """

    batches: Path
    output: Path
    memory_limit: int | None = None
    name: str = "hash"
    slice_size: int | None = 64
    patience: float = 60.0

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[bytes]]:
        """The stored bytes of these images."""
        for index, data in read_payloads(shard_file(self.batches, shard), indices):
            yield Item(Key(shard, index), data)

    def process(self, items: Iterator[Item[bytes] | None]) -> Iterator[Result | None]:
        """One image at a time."""
        if self.memory_limit is not None:
            limit_memory(self.memory_limit)
        for item in items:
            yield None if item is None else examine(item)


def examine(item: Item[bytes]) -> Result:
    """The result for one image."""
    try:
        record = fingerprint(item.data).pack()
    except Undecodable as error:
        return Result(item.key, Mark(error.reason))
    return Result(item.key, Mark(DONE, len(item.data)), record)


def limit_memory(limit: int) -> None:
    """Let allocations of this process beyond ``limit`` bytes fail as MemoryError."""
    # Not RLIMIT_AS: that would count the maps of LMDB files too, which take address space but no memory.
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(
        resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
