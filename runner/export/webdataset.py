"""WebDataset: one tar per shard, in which the members of an image share a key.

00017.tar
  000170042.jpg     the image (or .png, .webp)
  000170042.json    its line of metadata
  000170042.txt     its caption, where a caption column is named
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, ClassVar

from .column_types import JSON, TEXT, Columns, Features, cell
from .contents import Sample
from .metadata import Line, as_json


@dataclass(frozen=True)
class WebDataset:
    """How a tar is written; ``caption`` is a column, as it is called in an export."""

    caption: str | None = None
    suffix: ClassVar[str] = ".tar"

    def write(self, file: BinaryIO, samples: Iterator[Sample | None]) -> Iterator[None]:
        """Write the samples, pausing after each; None is passed over."""
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in samples:
                if sample is not None:
                    for name, data in self._members(sample):
                        tar.addfile(_member(name, len(data)), BytesIO(data))
                    tar.getmembers().clear()  # it would remember every one
                yield

    def features(self, columns: Columns, image_suffix: str) -> Features:
        """What each sample has, as the Hugging Face `datasets` call it; else they judge by the first five.

        A column of mixed types is `json` to them: the values stay what they are.
        """
        return [
            ("__key__", TEXT),
            ("__url__", TEXT),
            (image_suffix.removeprefix("."), "image"),
            ("json", list(columns.items())),
            *([("txt", TEXT)] if self.caption is not None else []),
        ]

    def _members(self, sample: Sample) -> Iterator[tuple[str, bytes]]:
        name = str(sample.line["file_name"]).rpartition("/")[2]
        key = name.partition(".")[0]
        yield name, sample.image
        yield f"{key}.json", as_json(sample.line)
        if self.caption is not None:
            yield f"{key}.txt", _text(sample.line, self.caption)


def _text(line: Line, column: str) -> bytes:
    """Empty where a row has no caption: every sample has the same members."""
    value: Any = line.get(column)
    text = cell(value, TEXT if isinstance(value, str) else JSON)
    return (text or "").encode()


def _member(name: str, size: int) -> tarfile.TarInfo:
    # Everything else keeps its default: no time, no owner, so that the same images give the same bytes.
    member = tarfile.TarInfo(name)
    member.size = size
    return member
