"""What an export makes of an image: the very same bytes, or a JPEG of what a viewer displays."""

from io import BytesIO

from PIL import Image, ImageOps

from ..hashing import Fingerprint
from ..imaging import Undecodable, displayed, open_image, untrusted

# JPEG holds EXIF in one segment of so many bytes, a profile in up to 255 with 14 bytes of their own each.
_MAX_EXIF_BYTES = 65_533
_MAX_PROFILE_BYTES = 255 * (65_533 - 14)
# Bytes 16 to 20 of an ICC profile name the pixels that it is for.
_PROFILE_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}


class Unencodable(Exception):
    """An image that a JPEG cannot hold, for instance because a side is too long."""

    reason = "encode"


def is_verbatim(fingerprint: Fingerprint) -> bool:
    """Whether an image is exported as it was served: a JPEG whose pixels are stored upright."""
    return fingerprint.format == "JPEG" and fingerprint.orientation == 1


def to_jpeg(body: bytes, quality: int) -> bytes:
    """The image as displayed, as a JPEG, with its ICC profile where that fits.

    A JPEG that is turned upright keeps its colours (CMYK stays CMYK) and its EXIF but for the orientation;
    comments, XMP and further frames are dropped. Raises Undecodable and Unencodable.
    """
    image = open_image(body)
    if image.format in ("JPEG", "MPO"):
        pixels, exif = _turned(image)
    else:
        pixels, exif = displayed(image), b""
    return _encode(pixels, quality, exif, _profile(pixels))


def _turned(image: Image.Image) -> tuple[Image.Image, bytes]:
    try:
        with untrusted():
            pixels = ImageOps.exif_transpose(image)
            exif = pixels.info.get("exif", b"")
    except Undecodable:  # EXIF that can be read but not written again does not spoil the picture
        return displayed(image), b""
    return pixels, exif if len(exif) <= _MAX_EXIF_BYTES else b""


def _profile(image: Image.Image) -> bytes:
    profile: bytes = image.info.get("icc_profile") or b""
    fits = profile[16:20] == _PROFILE_SPACES.get(image.mode) and len(profile) <= _MAX_PROFILE_BYTES
    return profile if fits else b""


def _encode(image: Image.Image, quality: int, exif: bytes, profile: bytes) -> bytes:
    file = BytesIO()
    try:
        image.save(file, "JPEG", quality=quality, exif=exif, icc_profile=profile, comment=b"")
    except (OSError, ValueError, MemoryError) as error:
        raise Unencodable(str(error)) from error
    return file.getvalue()
