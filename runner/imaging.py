"""Decode bytes from strangers: open within limits, and bring an image into the form in which it is displayed.

Whatever a hostile file makes Pillow raise ends as ``Undecodable`` with one of ``REASONS``:

    format      not one of ``FORMATS``
    broken      one of them by its first bytes, but it does not decode
    truncated   it ends too early
    too_large   more than ``MAX_PIXELS`` in all or ``MAX_SIDE`` on one side
    memory      decoding needs more memory than this process may use
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

REASONS = ("format", "broken", "truncated", "too_large", "memory")
# Named, because with "any format" Pillow starts Ghostscript for an EPS. An MPO counts as JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# Pillow only warns above this, and refuses above twice as much: 89 megapixels, 360 MB once decoded.
MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3
# The longest side that a JPEG can have. A longer one costs gigabytes of filter coefficients when resized.
MAX_SIDE = 65_535

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A JPEG that is shrunk keeps so many pixels on its shorter side: nearly twice as many as its hash is made of.
# With 48, more copies are lost than seems worth it; with 96 hardly any, but much of the speed.
_SHRUNK_SIDE = 60
# Modes whose ICC profile says nothing about the RGB made from them.
_FOREIGN_PROFILE = ("CMYK", "LAB", "YCbCr", "HSV")


Size = tuple[int, int]


class Undecodable(Exception):
    """These bytes do not become an image; ``reason`` is one of ``REASONS``."""

    def __init__(self, reason: str, explanation: str = "") -> None:
        super().__init__(reason, explanation)
        self.reason = reason
        self.explanation = explanation

    def __str__(self) -> str:
        return f"{self.reason}: {self.explanation}" if self.explanation else self.reason


class _Quiet(threading.local):
    """Whether this thread has silenced warnings already, which is not cheap."""

    inside = False

    @contextmanager
    def enter(self) -> Iterator[None]:
        if self.inside:
            yield
            return
        self.inside = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                yield
        finally:
            self.inside = False


_quiet = _Quiet()


@contextmanager
def untrusted() -> Iterator[None]:
    """Turn whatever Pillow raises inside this block into Undecodable; keep its warnings to ourselves.

    One block may stand within another: put one around all that is done with an image, since the outermost
    costs as much as decoding a thumbnail.
    """
    try:
        with _quiet.enter():
            yield
    except Undecodable:
        raise
    except MemoryError as error:
        raise Undecodable("memory", str(error)) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Undecodable("too_large", str(error)) from error
    # Pillow promises no list: hostile files have raised OSError, SyntaxError, ValueError, KeyError,
    # struct.error, OverflowError, NotImplementedError, AssertionError and bare Exception.
    except Exception as error:
        reason = "truncated" if "truncated" in str(error).lower() else "broken"
        raise Undecodable(reason, f"{type(error).__name__}: {error}") from error


def open_image(data: bytes) -> Image.Image:
    """Read the header of an image; its pixels are decoded when they are first used.

    Raises Undecodable. So may any later use of the pixels, if it stands inside ``untrusted()``.
    """
    with untrusted():
        try:
            image = Image.open(BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError as error:
            raise Undecodable("broken" if _looks_accepted(data) else "format", str(error)) from error
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise Undecodable("too_large", f"{width} x {height} pixels")
    if not width or not height:
        raise Undecodable("broken", "no pixels")
    return image


def _looks_accepted(data: bytes) -> bool:
    openers = (Image.OPEN[name] for name in FORMATS)
    return any(accept is not None and accept(data[:16]) is True for _, accept in openers)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it makes no sense.

    Ask before the pixels are used: loading a TIFF turns it upright and drops the tag.
    """
    try:
        with untrusted():
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Undecodable:
        return 1  # unreadable metadata does not spoil the picture
    return value if isinstance(value, int) and value in _TURNS else 1


def shrink(image: Image.Image) -> Size | None:
    """Have a JPEG decoded as luma, and at 1/2, 1/4 or 1/8 of its size if it is large enough; tells its size.

    Before its pixels are used. Others are left as they are, and None is told.
    """
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return None
    size = image.size
    image.draft("L", (_SHRUNK_SIDE, _SHRUNK_SIDE))
    return size


def displayed(image: Image.Image) -> Image.Image:
    """The first frame as a viewer shows it: upright, transparency over white, 8 bits, mode L or RGB.

    An image that is all this already is returned as it is. ``info`` keeps the ICC profile where it still
    describes the pixels. Raises Undecodable.
    """
    with untrusted():
        image.load()
        plain = _without_alpha(_eight_bit(image))
        turn = _TURNS.get(orientation(image))
        return plain if turn is None else plain.transpose(turn)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits as its high bytes, which is how Pillow itself reads 16-bit colour.

    The 32-bit modes I and F have no agreed white: they are left to Pillow, which clips them to 0..255.
    """
    if not image.mode.startswith("I;16"):
        return image
    samples = np.asarray(image)
    grey = (samples >> 8).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[samples == transparent] = 255
    return _with_profile(Image.fromarray(grey), image)


def _without_alpha(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    target = "L" if image.mode in ("1", "L", "LA", "La", "I", "F") else "RGB"
    if not image.has_transparency_data:
        return _with_profile(image.convert(target), image)
    layers = image.convert("RGBA") if image.mode != "La" else image.convert("LA").convert("RGBA")
    alpha = layers.getchannel("A")
    page = Image.new(target, image.size, "white")
    page.paste(layers.convert(target), mask=alpha)
    return _with_profile(page, image)


def _with_profile(made: Image.Image, source: Image.Image) -> Image.Image:
    profile = source.info.get("icc_profile")
    made.info = {} if profile is None or source.mode in _FOREIGN_PROFILE else {"icc_profile": profile}
    return made
