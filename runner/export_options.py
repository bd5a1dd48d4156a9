"""What may be chosen for an export: what is left out, what counts as a duplicate, what is written and how."""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from .errors import UsageError

MAX_RADIUS = 8
IMAGE_FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif")
POLICIES = ("near", "phash", "bytes", "none")
RESIZES = ("no", "keep_ratio", "keep_ratio_largest", "border", "center_crop")
ENCODINGS = ("jpg", "png", "webp")
EXPORT_FORMATS = ("folder", "webdataset", "parquet", "jsonl", "csv")
# The longest side that a JPEG can have.
MAX_SIZE = 65_535

Policy = Literal["near", "phash", "bytes", "none"]
Resize = Literal["no", "keep_ratio", "keep_ratio_largest", "border", "center_crop"]
Encoding = Literal["jpg", "png", "webp"]
Size = tuple[int, int]


@dataclass(frozen=True)
class Filters:
    """What is left out before anything is chosen; None is no limit.

    ``min_side``, ``max_side``    the shorter side at least, the longer at most, in pixels as displayed
    ``min_area``, ``max_area``    width times height
    ``max_aspect``                longer by shorter side, at most
    ``formats``                   only these of ``IMAGE_FORMATS``, as stored
    ``min_bytes``, ``max_bytes``  of the stored file

    Raises UsageError for a format that does not exist and for numbers that make no sense.
    """

    min_side: int = 100
    max_side: int | None = None
    min_area: int | None = None
    max_area: int | None = None
    max_aspect: float | None = None
    formats: tuple[str, ...] | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        unknown = set(self.formats or ()) - set(IMAGE_FORMATS)
        if unknown:
            raise UsageError(
                f"No image format is called {', '.join(sorted(unknown))}: "
                f"there are {', '.join(IMAGE_FORMATS)}."
            )
        for name, limit in self.limits().items():
            least = 1 if name == "max_aspect" else 0
            if name != "formats" and not least <= limit < math.inf:
                raise UsageError(f"--{name.replace('_', '-')} must be a number from {least} up, not {limit}.")

    def limits(self) -> dict[str, Any]:
        """Those that are set, in the order in which they apply."""
        return {name: limit for name, limit in asdict(self).items() if limit is not None}


@dataclass(frozen=True)
class Selection:
    """What counts as a duplicate, among the images that pass the filters.

    ``bytes``  equal bytes
    ``phash``  equal bytes, or equal pHash
    ``near``   equal bytes, or a pHash within ``near`` bits of the representative's
    ``none``   nothing

    Flat pictures and those of little detail are duplicates by equal bytes only, under every policy: a pHash
    does not tell them apart. Raises UsageError for a policy or a radius that does not exist.
    """

    dedup: Policy = "near"
    near: int = 4
    filters: Filters = field(default_factory=Filters)

    def __post_init__(self) -> None:
        if self.dedup not in POLICIES:
            raise UsageError(f"No dedup policy is called {self.dedup!r}: choose near, phash, bytes or none.")
        if not 0 <= self.near <= MAX_RADIUS:
            raise UsageError(
                f"The radius must be 0 to {MAX_RADIUS}, not {self.near}: beyond, strangers meet."
            )


@dataclass(frozen=True)
class Rendering:
    """What the file of an image looks like.

    ``resize``       no                  as large as it is
                     keep_ratio          the shorter side becomes ``size``
                     keep_ratio_largest  the longer side becomes ``size``
                     border              the same, centred on a white square of that side
                     center_crop         the shorter side becomes ``size``, the middle square is cut out
    ``only_bigger``  leave images alone whose side in question is not longer than ``size``
    ``encode``       jpg, png or webp; what is stored in that format, upright and of the right size is
                     written byte for byte
    ``quality``      1 to 100, of a jpg or webp that has to be made

    Raises UsageError for what makes no sense.
    """

    resize: Resize = "no"
    size: int | None = None
    only_bigger: bool = False
    encode: Encoding = "jpg"
    quality: int = 90

    def __post_init__(self) -> None:
        if self.resize not in RESIZES:
            raise UsageError(f"No way to resize is called {self.resize!r}: choose {', '.join(RESIZES)}.")
        if self.encode not in ENCODINGS:
            raise UsageError(f"No encoding is called {self.encode!r}: choose {', '.join(ENCODINGS)}.")
        if (self.resize == "no") != (self.size is None):
            raise UsageError("--resize and --size go together: give both, or neither.")
        if self.resize == "no" and self.only_bigger:
            raise UsageError("--only-bigger says when to resize: give --resize and --size too.")
        if self.size is not None and not 1 <= self.size <= MAX_SIZE:
            raise UsageError(f"A size is 1 to {MAX_SIZE:,} pixels, not {self.size}.")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"A quality is a number from 1 to 100, not {self.quality}.")

    @property
    def suffix(self) -> str:
        """Of the file names."""
        return f".{self.encode}"

    def scaled(self, width: int, height: int) -> Size:
        """What an image of that size is scaled to, before it is cropped or gets its border."""
        if self.size is None or self._is_small(width, height):
            return width, height
        factor = self.size / self._side(width, height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def written(self, width: int, height: int) -> Size:
        """The size of the file made of an image of that size."""
        if self.size is None or self._is_small(width, height):
            return width, height
        if self.resize in ("border", "center_crop"):
            return self.size, self.size
        return self.scaled(width, height)

    def _is_small(self, width: int, height: int) -> bool:
        return self.only_bigger and self._side(width, height) <= (self.size or 0)

    def _side(self, width: int, height: int) -> int:
        by_longer = self.resize in ("border", "keep_ratio_largest")
        return max(width, height) if by_longer else min(width, height)


@dataclass(frozen=True)
class ExportOptions:
    """Which of the kept images are written, and how.

    ``format``       folder      an image file each, and ``metadata.jsonl``
                     webdataset  a tar per shard; with ``caption_col``, a column of the lists, a text each
                     parquet     a file per shard, with the images in the column ``image``
                     jsonl, csv  the metadata alone
    ``sample``       only so many, picked by ``seed`` and nothing else: a larger sample holds the smaller one
    ``limit``        only the first so many of these, in item order

    Raises UsageError for what makes no sense.
    """

    format: str = "folder"
    caption_col: str | None = None
    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    rendering: Rendering = field(default_factory=Rendering)

    def __post_init__(self) -> None:
        if self.format not in EXPORT_FORMATS:
            raise UsageError(
                f"No export format is called {self.format!r}: choose {', '.join(EXPORT_FORMATS)}."
            )
        if self.caption_col is not None and self.format != "webdataset":
            raise UsageError("--caption-col names the texts in a WebDataset: give --format webdataset too.")
        for name, number in (("limit", self.limit), ("sample", self.sample)):
            if number is not None and number < 0:
                raise UsageError(f"A {name} is a number of images, not {number}.")
        if self.seed < 0:
            raise UsageError(f"A seed is a number from 0 up, not {self.seed}.")

    def count(self, kept: int) -> int:
        """How many of so many kept images are written."""
        return min(number for number in (kept, self.sample, self.limit) if number is not None)


def take_selection(options: dict[str, Any]) -> Selection:
    """Take what is chosen out of a flat set of options."""
    return Selection(**_take(Selection, options), filters=Filters(**_take(Filters, options)))


def take_writing(options: dict[str, Any]) -> ExportOptions:
    """Take what is written out of a flat set of options."""
    return ExportOptions(**_take(ExportOptions, options), rendering=Rendering(**_take(Rendering, options)))


def _take(kind: type, options: dict[str, Any]) -> dict[str, Any]:
    return {entry.name: options.pop(entry.name) for entry in fields(kind) if entry.name in options}
