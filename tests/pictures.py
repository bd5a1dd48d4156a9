"""Small deterministic pictures for tests: photo-like, each seed visibly and perceptually different."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageDraw, PngImagePlugin

# How an upright picture has to be stored so that a viewer who obeys the EXIF tag shows it upright.
STORED_AS: dict[int, Callable[[Image.Image], Image.Image]] = {
    1: lambda image: image.copy(),
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


def photo(seed: int, size: tuple[int, int] = (192, 144)) -> Image.Image:
    """An RGB picture of coloured shapes, shade and grain: as full of detail, to a pHash, as a photograph."""
    random = np.random.default_rng(seed)
    scene = np.zeros((12, 16, 3))
    for weight, step in ((90, 4), (70, 2), (50, 1)):
        coarse = random.uniform(-weight, weight, (12 // step, 16 // step, 3))
        scene += coarse.repeat(step, axis=0).repeat(step, axis=1)
    small = Image.fromarray((scene + 128).clip(0, 255).astype(np.uint8))
    smooth = np.asarray(small.resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
    grain = random.normal(0, 4, smooth.shape)
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))


def text_line(text: str, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """A placeholder: one small line of black text on white, nearly without detail."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((size[0] // 4, size[1] // 2), text, fill="black")
    return image


def solid(colour: str, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """One colour: flat, to a pHash the same as every other colour."""
    return Image.new("RGB", size, colour)


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The file that Pillow makes of it; lossless where the format can be."""
    if kind == "JPEG":
        options.setdefault("quality", 90)
    elif kind == "WEBP":
        options.setdefault("lossless", True)
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def with_orientation(image: Image.Image, orientation: int, kind: str = "PNG", **options: Any) -> bytes:
    """A file whose pixels are stored turned and whose EXIF tag says how to turn them back to ``image``."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encode(STORED_AS[orientation](image), kind, exif=exif, **options)


def with_alpha(image: Image.Image, opacity: int = 128) -> Image.Image:
    """RGBA: the left half of the picture is let through by ``opacity``, the right half is opaque."""
    alpha = Image.new("L", image.size, 255)
    alpha.paste(opacity, (0, 0, image.width // 2, image.height))
    layered = image.convert("RGBA")
    layered.putalpha(alpha)
    return layered


def sixteen_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, the low byte full of what an 8-bit twin does not have."""
    grey = np.asarray(image.convert("L")).astype(np.uint16)
    return Image.fromarray((grey << 8) | (grey ^ 0x5A))


def animation(frames: Sequence[Image.Image], kind: str = "GIF") -> bytes:
    """An animated GIF, WEBP, PNG or AVIF (or a many-paged TIFF)."""
    return encode(frames[0], kind, save_all=True, append_images=list(frames[1:]))


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    out = BytesIO()
    PngImagePlugin.putchunk(out, name, body)
    return out.getvalue()


def png_claiming(width: int, height: int, *extra: bytes) -> bytes:
    """A PNG of no pixels whose header promises many; ``extra`` chunks go before the (empty) image data."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    chunks = [png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", b""), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
