"""What an export makes of an image: the very same bytes, or a file of what a viewer displays."""

from io import BytesIO
from typing import Any

from PIL import Image, ImageOps

from ..export_options import Rendering, Size
from ..fingerprint import Fingerprint
from ..imaging import MAX_PIXELS, Undecodable, displayed, open_image, untrusted

# JPEG holds EXIF in one segment of so many bytes, a profile in up to 255 with 14 bytes of their own each.
_MAX_EXIF_BYTES = 65_533
_MAX_PROFILE_BYTES = 255 * (65_533 - 14)
# Bytes 16 to 20 of an ICC profile name the pixels that it is for.
_PROFILE_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}


class Unencodable(Exception):
    """An image that the wanted file cannot hold, for instance because a side is too long."""

    reason = "encode"


def render(body: bytes, fingerprint: Fingerprint, rendering: Rendering) -> bytes:
    """The file of an image as displayed, with its ICC profile where that fits.

    A JPEG that is only turned upright keeps its colours (CMYK stays CMYK) and its EXIF but for the
    orientation; everything else loses it, and comments, XMP and further frames go in any case. Raises
    Undecodable and Unencodable.
    """
    size = fingerprint.width, fingerprint.height
    if fingerprint.format == "JPEG" and rendering.encode == "jpg" and rendering.written(*size) == size:
        pixels, exif = _turned(open_image(body))
        return _encode(pixels, rendering, exif=exif, comment=b"")
    pixels = displayed(open_image(body))
    return _encode(_resized(pixels, rendering), rendering)


def _turned(image: Image.Image) -> tuple[Image.Image, bytes]:
    try:
        with untrusted():
            pixels = ImageOps.exif_transpose(image)
            exif = pixels.info.get("exif", b"")
    except Undecodable:  # EXIF that can be read but not written again does not spoil the picture
        return displayed(image), b""
    return pixels, exif if len(exif) <= _MAX_EXIF_BYTES else b""


def _resized(image: Image.Image, rendering: Rendering) -> Image.Image:
    scaled, written = rendering.scaled(*image.size), rendering.written(*image.size)
    if max(_area(scaled), _area(written)) > MAX_PIXELS:
        raise Unencodable(f"{scaled[0]} x {scaled[1]} pixels")
    with untrusted():
        if scaled != image.size:
            profile = image.info.get("icc_profile")
            image = image.resize(scaled, Image.Resampling.LANCZOS)
            image.info = {} if profile is None else {"icc_profile": profile}
        if written == image.size:
            return image
        left, top = ((inner - outer) // 2 for inner, outer in zip(image.size, written, strict=True))
        if left >= 0 and top >= 0:
            return image.crop((left, top, left + written[0], top + written[1]))
        page = Image.new(image.mode, written, "white")
        page.paste(image, (-left, -top))
        page.info = image.info
        return page


def _area(size: Size) -> int:
    return size[0] * size[1]


def _encode(image: Image.Image, rendering: Rendering, **options: Any) -> bytes:
    kind = "JPEG" if rendering.encode == "jpg" else rendering.encode.upper()
    if kind == "WEBP":
        image = _as_colour(image)  # a WebP has no grey, and no profile for grey
    file = BytesIO()
    try:
        image.save(file, kind, quality=rendering.quality, icc_profile=_profile(image), **options)
    except (OSError, ValueError, MemoryError) as error:
        raise Unencodable(str(error)) from error
    return file.getvalue()


def _as_colour(image: Image.Image) -> Image.Image:
    with untrusted():
        colour = image.convert("RGB")
        colour.info = image.info
        return colour


def _profile(image: Image.Image) -> bytes:
    profile: bytes = image.info.get("icc_profile") or b""
    fits = profile[16:20] == _PROFILE_SPACES.get(image.mode) and len(profile) <= _MAX_PROFILE_BYTES
    return profile if fits else b""
