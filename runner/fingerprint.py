"""What the hash pass leaves of an image: a record of fixed size in hashes/."""

import struct
from typing import NamedTuple

_RECORD = struct.Struct("<32s8sQIIdHB4s8s")
# The same record as a numpy dtype, so that millions are read without unpacking each.
RECORD_FIELDS = [
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
        """A record of fixed size, see ``RECORD_FIELDS``."""
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
