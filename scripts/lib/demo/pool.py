"""What the demo serves: everything that a real list of URLs has in it, and what must become of each."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFilter
from tools.pictures import Gallery, Size, displayed, distance, encode, fingerprint, make_all, photograph
from tools.server import Page

MIN_SIDE = 100  # the default of `runner export`
# Two versions of a motif differ by at most so many bits of their pHash; the default radius of `runner export`
# is 4, and motifs lie 10 apart, so no version comes near another motif.
SAME_MOTIF = 2

SIZES: tuple[Size, ...] = ((320, 240), (240, 320), (400, 300), (288, 288), (360, 240))
SMALL_SIZES: tuple[Size, ...] = ((96, 72), (64, 64), (120, 80))
PHOTOGRAPHS = 1400
ROTATED = 40
TRANSPARENT = 80
SMALL = 80
COPIES = 120
VERSIONS = 200
REPEATS = 15
BLANKS = 5

ORIENTATION = 0x0112  # the EXIF tag
TURNED_BY = {  # EXIF orientation -> how a camera that is held so records an upright scene
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
MISSING = Page(status=404)
HTML = b"<!DOCTYPE html><title>Gone</title><h1>This picture has moved.</h1>"


class Picture(NamedTuple):
    """What an image shows, and how large. ``motif`` is equal for copies and re-encoded versions."""

    motif: int
    size: Size  # as displayed

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class Entry:
    """One URL of the list and what must become of it: stored with these bytes, or failed with this reason."""

    address: str  # a path on the server, or a line that is no URL
    page: Page = MISSING
    stored: bytes | None = None
    reason: str | None = None
    picture: Picture | None = None  # None if no decoder can read what is stored

    @property
    def is_path(self) -> bool:
        return self.address.startswith("/")


@dataclass(frozen=True)
class Pool:
    entries: list[Entry]  # in the order of the list
    lines: list[str]  # the list: each address once, some twice, and blank lines

    def text(self, site: str) -> str:
        """The list as a file has it."""
        return "".join(f"{site}{line}\n" if line.startswith("/") else f"{line}\n" for line in self.lines)

    def pages(self) -> dict[str, Page]:
        return {entry.address: entry.page for entry in self.entries if entry.is_path}

    def exported(self) -> dict[str, int]:
        """Address -> how many others it stands for: of each motif the largest, of equal ones the first."""
        groups: dict[int, list[Entry]] = {}
        for entry in self.entries:
            if entry.picture and min(entry.picture.size) >= MIN_SIDE:
                groups.setdefault(entry.picture.motif, []).append(entry)
        largest = {motif: max(group, key=_pixels) for motif, group in groups.items()}
        return {entry.address: len(groups[motif]) - 1 for motif, entry in largest.items()}


def build(seed: int = 1) -> Pool:
    """Make the pool, the same one for the same seed. Takes some ten seconds."""
    rng = random.Random(seed)
    originals = list(_originals(rng))
    entries = [
        *originals,
        *_copies(rng, originals),
        *_versions(rng, originals),
        *_oddly_served(rng, originals),
        *_broken(rng, originals),
        *_failing(rng, originals),
    ]
    rng.shuffle(entries)
    lines = [entry.address for entry in entries]
    for line in [*rng.sample([line for line in lines if line.startswith("/")], REPEATS), *[""] * BLANKS]:
        lines.insert(rng.randrange(len(lines) // 2, len(lines)), line)
    order = {line: number for number, line in reversed(list(enumerate(lines)))}
    return Pool(sorted(entries, key=lambda entry: order[entry.address]), lines)


class _Spec(NamedTuple):
    """How to make one original."""

    motif: int
    size: Size
    kind: str


class _Original(NamedTuple):
    body: bytes
    size: Size
    print: int


def _originals(rng: random.Random) -> Iterator[Entry]:
    kinds = ["photo"] * PHOTOGRAPHS + ["rotated"] * ROTATED + ["small"] * SMALL
    kinds += ["png", "webp"] * (TRANSPARENT // 2)
    sizes = {"small": SMALL_SIZES}
    specs = [_Spec(motif, rng.choice(sizes.get(kind, SIZES)), kind) for motif, kind in enumerate(kinds)]
    gallery = Gallery()
    for spec, made in zip(specs, make_all(_make_original, specs), strict=True):
        if gallery.admit(made.print):
            suffix = spec.kind if spec.kind in ("png", "webp") else "jpg"
            yield _image(f"/{spec.kind}/{spec.motif:04d}.{suffix}", made.body, Picture(spec.motif, made.size))


def _make_original(spec: _Spec) -> _Original:
    scene = photograph(spec.motif, spec.size)
    match spec.kind:
        case "png":
            body = encode(_with_hole(scene), "PNG")
        case "webp":
            body = encode(_with_hole(scene), "WEBP", quality=85)
        case "rotated":
            orientation = (3, 6, 8)[spec.motif % 3]
            exif = Image.Exif()
            exif[ORIENTATION] = orientation
            body = encode(scene.transpose(TURNED_BY[orientation]), quality=85, exif=exif)
        case _:
            body = encode(scene, quality=85)
    shown = displayed(body)
    return _Original(body, shown.size, fingerprint(shown))


def _with_hole(scene: Image.Image) -> Image.Image:
    """Fade a corner out to transparent."""
    mask = Image.new("L", scene.size, 255)
    ImageDraw.Draw(mask).ellipse((0, 0, scene.width // 3, scene.height // 3), fill=0)
    scene.putalpha(mask.filter(ImageFilter.GaussianBlur(6)))
    return scene


def _image(address: str, body: bytes, picture: Picture | None) -> Entry:
    kind = address.rpartition(".")[2].replace("jpg", "jpeg")
    return Entry(address, Page(body, content_type=f"image/{kind}"), stored=body, picture=picture)


def _copies(rng: random.Random, originals: list[Entry]) -> Iterator[Entry]:
    for number, entry in enumerate(rng.sample(originals, COPIES)):
        suffix = entry.address.rpartition(".")[2]
        yield replace(entry, address=f"/mirror/{number:03d}.{suffix}")


def _versions(rng: random.Random, originals: list[Entry]) -> Iterator[Entry]:
    """Motifs again, in another quality and size: smaller, larger, or equal."""
    for number, entry in enumerate(rng.sample(originals, VERSIONS)):
        assert entry.stored is not None
        assert entry.picture is not None
        scene = displayed(entry.stored)
        before = fingerprint(scene)
        scale = rng.choice((0.6, 0.8, 1.0, 1.0, 1.4))
        if scale != 1.0:
            scene = scene.resize(
                (round(scene.width * scale), round(scene.height * scale)), Image.Resampling.LANCZOS
            )
        body = encode(scene, quality=rng.randrange(50, 96))
        if distance(before, fingerprint(displayed(body))) <= SAME_MOTIF:
            yield _image(f"/again/{number:03d}.jpg", body, Picture(entry.picture.motif, scene.size))


def _oddly_served(rng: random.Random, originals: list[Entry]) -> Iterator[Entry]:
    """Images that arrive all the same: behind a redirect, after a 503, under a wrong type."""
    for number, entry in enumerate(rng.sample(originals, 5)):
        page = Page(status=302, location=entry.address)
        yield replace(entry, address=f"/moved/{number}.jpg", page=page)
    for number, entry in enumerate(rng.sample(originals, 5)):
        yield replace(entry, address=f"/busy/{number}.jpg", page=replace(entry.page, manner="flaky"))
    for number, entry in enumerate(rng.sample(originals, 5)):
        yield replace(
            entry, address=f"/typed/{number}.jpg", page=replace(entry.page, content_type="text/html")
        )


def _broken(rng: random.Random, originals: list[Entry]) -> Iterator[Entry]:
    """Files that lack their end, or all but the beginning: stored as served, but no decoder reads them."""
    for number, entry in enumerate(rng.sample(originals, 12)):
        body = entry.page.body[: len(entry.page.body) // 3]
        yield _image(f"/broken/{number:02d}.{entry.address.rpartition('.')[2]}", body, None)
    for number in range(4):
        yield _image(f"/noise/{number}.jpg", b"\xff\xd8\xff\xe0" + rng.randbytes(3000), None)


def _failing(rng: random.Random, originals: list[Entry]) -> Iterator[Entry]:
    body = originals[0].page.body
    pages = {
        "not_image": [Page(HTML)] * 8,
        "empty": [Page()] * 4,
        "truncated": [Page(body, manner="cut")] * 4,
        "http_404": [Page(status=404, content_type="text/html", body=HTML)] * 20,
        "http_500": [Page(status=500)] * 2,
        "timeout": [Page(body, manner="hang"), Page(body, manner="drip")],
    }
    for reason, group in pages.items():
        for page in group:
            yield Entry(f"/{page.manner}/{reason}-{rng.randrange(16**6):06x}.jpg", page, reason=reason)
    yield Entry("/circle.jpg", Page(status=302, location="/circle.jpg"), reason="redirects")
    yield Entry("image,url,title", reason="invalid_url")
    yield Entry("ftp://127.0.0.1/photo.jpg", reason="scheme")


def _pixels(entry: Entry) -> int:
    return entry.picture.pixels if entry.picture else 0
