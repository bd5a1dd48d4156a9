"""How many altered copies of photographs dedup finds, and how many strangers it merges, by radius.

The photographs are those in the wheel of scikit-image: .venv/bin/pip install -e .[bench]
"""

import argparse
import importlib.util
import io
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont
from tools.pictures import encode

from runner.choice import MIN_CONTRAST, MIN_LEVELS, PHOTO_BITS
from runner.examiner import fingerprint
from runner.fingerprint import Fingerprint
from runner.recipes import RECIPES

from .results import Findings

RADII = (0, 2, 4, 6, 8)
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png"),
    *("motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)
Picture = Image.Image
Change = Callable[[Picture], bytes]
Look = Callable[[bytes], Fingerprint]


class Source(NamedTuple):
    """A photograph, or a part of one that shares no pixel with the other parts."""

    photograph: str
    picture: Picture
    found: Fingerprint


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", choices=RECIPES, default="exact", help="of the hashes (%(default)s)")


def run(options: argparse.Namespace, folder: Path) -> Findings:  # noqa: ARG001
    look = partial(fingerprint, recipe=options.recipe)
    # By the fast recipe only JPEGs have other hashes.
    found = sources(photograph_folder(), "PNG" if options.recipe == "exact" else "JPEG", look)
    photographs = len({source.photograph for source in found})
    print(f"{len(found)} pictures from {photographs} photographs; copies found, by radius")
    print(f"{'':24}" + "".join(f"{radius:>7}" for radius in RADII))
    figures = {"recall": {}, "strangers": {}}
    for name, change in LADDER.items():
        recall = [round(share, 3) for share in recalled(found, change, look)]
        figures["recall"][name] = recall
        print(f"{name:24}" + "".join(f"{share:>7.3f}" for share in recall))
    pairs = [pair for pair in combinations(found, 2) if pair[0].photograph != pair[1].photograph]
    for name, prints in {
        "pairs of different photographs": [(a.found, b.found) for a, b in pairs],
        "pairs of lines of text": list(combinations(text_lines(), 2)),
        "pairs of single colours": list(combinations(colours(), 2)),
    }.items():
        merged = [sum(alike(a, b, radius) for a, b in prints) for radius in RADII]
        bare = [sum(distance(a, b) <= radius for a, b in prints) for radius in RADII]
        figures["strangers"][name] = {"merged": merged, "within the radius": bare}
        print(f"{name}: {len(prints):,}; merged: {merged}; within the radius: {bare}")
    return Findings(figures=figures)


def photograph_folder() -> Path:
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise SystemExit("The photographs come with scikit-image: .venv/bin/pip install -e .[bench]")
    return Path(package.origin).parent / "data"


def sources(folder: Path, form: str, look: Look) -> list[Source]:
    """Every photograph and its four quarters."""
    made = []
    for name in PHOTOGRAPHS:
        picture = Image.open(folder / name).convert("RGB")
        width, height = picture.size
        boxes = [(x, y, x + width // 2, y + height // 2) for x in (0, width // 2) for y in (0, height // 2)]
        for part in (picture, *(picture.crop(box) for box in boxes)):
            made.append(Source(name, part, look(encode(part, form, quality=92))))
    return made


def recalled(found: list[Source], change: Change, look: Look) -> list[float]:
    copies = [(source.found, look(change(source.picture))) for source in found]
    return [sum(alike(a, b, radius) for a, b in copies) / len(copies) for radius in RADII]


def alike(one: Fingerprint, other: Fingerprint, radius: int) -> bool:
    """As the policy `near` sees it."""
    if one.sha256 == other.sha256:
        return True
    return is_photo(one) and is_photo(other) and distance(one, other) <= radius


def is_photo(found: Fingerprint) -> bool:
    bits = int.from_bytes(found.phash).bit_count()
    return bits == PHOTO_BITS and found.contrast >= MIN_CONTRAST and found.levels >= MIN_LEVELS


def distance(one: Fingerprint, other: Fingerprint) -> int:
    return (int.from_bytes(one.phash) ^ int.from_bytes(other.phash)).bit_count()


def text_lines() -> list[Fingerprint]:
    """Placeholders as servers send them: one line of text on white."""
    words = ("404", "not found", "removed", "no image", "error", "gone", "private", "loading", "n/a", "sold")
    texts = [*words, *(f"{a} {b}" for a in words for b in words if a != b)]
    return [fingerprint(encode(_text_page(text), "PNG")) for text in texts]


def _text_page(text: str) -> Picture:
    page = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(page).text((200, 150), text, fill="black", anchor="mm", font=ImageFont.load_default(20))
    return page


def colours() -> list[Fingerprint]:
    shades = [(r, g, b) for r in (0, 90, 255) for g in (0, 90, 255) for b in (0, 90, 255)]
    return [fingerprint(encode(Image.new("RGB", (200, 150), shade), "PNG")) for shade in shades]


def saved(change: Callable[[Picture], Picture]) -> Change:
    """The change, then a JPEG of good quality."""
    return lambda picture: encode(change(picture), quality=90)


def jpeg(quality: int) -> Change:
    return lambda picture: encode(picture, quality=quality)


def webp(quality: int) -> Change:
    return lambda picture: encode(picture, "WEBP", quality=quality)


def resized(factor: float) -> Change:
    return saved(lambda p: p.resize((round(p.width * factor), round(p.height * factor))))


def thumbnail(side: int) -> Change:
    return saved(lambda p: p.resize((side, max(1, side * p.height // p.width)), Image.Resampling.LANCZOS))


def cropped(share: float) -> Change:
    """So much of the width and height cut off, half on each side."""

    def crop(p: Picture) -> Picture:
        x, y = round(p.width * share / 2), round(p.height * share / 2)
        return p.crop((x, y, p.width - x, p.height - y))

    return saved(crop)


def brighter(factor: float) -> Change:
    return saved(lambda p: ImageEnhance.Brightness(p).enhance(factor))


def contrasted(factor: float) -> Change:
    return saved(lambda p: ImageEnhance.Contrast(p).enhance(factor))


def hue_shifted(degrees: int) -> Change:
    def shift(p: Picture) -> Picture:
        hsv = np.asarray(p.convert("HSV")).copy()
        hsv[..., 0] += np.uint8(degrees * 256 // 360)
        return Image.fromarray(hsv, "HSV").convert("RGB")

    return saved(shift)


def captioned(p: Picture) -> Picture:
    """A line of white text along the lower edge."""
    made = p.copy()
    font = ImageFont.load_default(max(10, p.height // 16))
    place = p.width // 2, p.height - 4
    ImageDraw.Draw(made).text(place, "a caption, 2026", fill="white", anchor="mb", font=font)
    return made


def marked(share: float) -> Change:
    """A logo in the lower right corner: a white box with a dark ring, so wide."""

    def mark(p: Picture) -> Picture:
        made, side = p.copy(), round(p.width * share)
        x, y = p.width - side - 4, p.height - side - 4
        draw = ImageDraw.Draw(made)
        draw.rectangle((x, y, x + side, y + side), fill="white")
        draw.ellipse((x + 2, y + 2, x + side - 2, y + side - 2), outline="navy", width=max(1, side // 6))
        return made

    return saved(mark)


def framed(share: float) -> Change:
    def frame(p: Picture) -> Picture:
        edge = max(1, round(p.width * share))
        page = Image.new("RGB", (p.width + 2 * edge, p.height + 2 * edge), "white")
        page.paste(p, (edge, edge))
        return page

    return saved(frame)


def palette(picture: Picture) -> bytes:
    file = io.BytesIO()
    picture.quantize(256).save(file, "GIF")
    return file.getvalue()


LADDER: dict[str, Change] = {
    "png": lambda picture: encode(picture, "PNG", compress_level=1),
    **{f"jpeg, quality {quality}": jpeg(quality) for quality in (95, 85, 70, 50, 30, 10)},
    **{f"webp, quality {quality}": webp(quality) for quality in (80, 30)},
    "gif": palette,
    **{f"resized, {factor:g} times": resized(factor) for factor in (0.25, 0.5, 0.75, 1.5, 2)},
    **{f"thumbnail, {side} px": thumbnail(side) for side in (256, 128, 64)},
    **{f"cropped, {share:.0%}": cropped(share) for share in (0.01, 0.02, 0.05, 0.1)},
    **{f"brightness, {factor:g} times": brighter(factor) for factor in (0.7, 0.9, 1.1, 1.3)},
    **{f"contrast, {factor:g} times": contrasted(factor) for factor in (0.7, 1.3)},
    "grey": saved(lambda p: p.convert("L")),
    **{f"hue shifted by {degrees}": hue_shifted(degrees) for degrees in (15, 60, 180)},
    "caption": saved(captioned),
    **{f"logo, {share:.0%} wide": marked(share) for share in (0.05, 0.1, 0.2)},
    **{f"white frame, {share:.0%}": framed(share) for share in (0.02, 0.05)},
    "turned by 1 degree": saved(lambda p: p.rotate(1, Image.Resampling.BICUBIC)),
    "mirrored": saved(lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}
