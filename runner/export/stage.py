"""The export stage: ``batches/`` and ``hashes/`` in, one file per item out.

Its marks live under a name of their own for each OUT, so that one job can keep any number of exports.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..engine.items import DONE, Item, Key, Mark, Result
from ..engine.shardfile import read_payloads, shard_file
from ..fingerprint import Fingerprint
from ..options import Encoding, Rendering
from .folder import ImageFolder

VERBATIM = "verbatim"


def recipe_for(fingerprint: Fingerprint, rendering: Rendering) -> str:
    """What is done with an image: with the stored bytes it determines the file.

    ``verbatim``, or for instance ``jpg-90`` or ``webp-80 border-512``.
    """
    size = fingerprint.width, fingerprint.height
    as_large = rendering.written(*size) == size
    if as_large and _is_stored_as(fingerprint, rendering.encode):
        return VERBATIM
    made = rendering.encode if rendering.encode == "png" else f"{rendering.encode}-{rendering.quality}"
    return made if as_large else f"{made} {rendering.resize}-{rendering.size}"


def _is_stored_as(fingerprint: Fingerprint, encoding: Encoding) -> bool:
    """Whether the stored file is upright and in this format; any JPEG, others without transparency."""
    kind = fingerprint.format == ("JPEG" if encoding == "jpg" else encoding.upper())
    plain = fingerprint.format == "JPEG" or fingerprint.mode in ("L", "RGB")
    return kind and plain and fingerprint.orientation == 1


class Source(NamedTuple):
    """A stored image: its bytes and what the hash pass found in them."""

    body: bytes
    fingerprint: Fingerprint


@dataclass(frozen=True)
class ExportStage:
    """Writes ``out/00017/000170042.jpg`` for item (17, 42).

    ``out`` is made absolute and free of links, so that a folder has one set of marks however it is spelt.
    Mark: ``DONE`` with the size of the file, or the reason why none could be made; ``detail`` is the
    recipe, which with the stored bytes determines the file. Raises DiskFullError or RunnerError when the
    file cannot be written.
    """

    batches: Path
    hashes: Path
    out: Path
    rendering: Rendering = field(default_factory=Rendering)
    name: str = field(init=False)
    output: Path | None = field(default=None, init=False)
    slice_size: int | None = field(default=256, init=False)
    patience: float = field(default=60.0, init=False)

    def __post_init__(self) -> None:
        out = os.path.realpath(self.out)
        digest = hashlib.sha256(os.fsencode(out)).hexdigest()
        object.__setattr__(self, "out", Path(out))
        object.__setattr__(self, "name", f"export:{digest[:12]}")

    @property
    def folder(self) -> ImageFolder:
        """The files."""
        return ImageFolder(self.out, self.rendering.suffix)

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[Source]]:
        """The stored bytes of these images with what the hash pass found in them."""
        found = self.fingerprints(shard, indices)
        for index, body in read_payloads(shard_file(self.batches, shard), list(found)):
            yield Item(Key(shard, index), Source(body, found[index]))

    def fingerprints(self, shard: int, indices: Sequence[int]) -> dict[int, Fingerprint]:
        """What the hash pass found in these items of a shard, ascending."""
        packed = read_payloads(shard_file(self.hashes, shard), indices)
        return {index: Fingerprint.unpack(data) for index, data in packed}

    def process(self, items: Iterator[Item[Source] | None]) -> Iterator[Result | None]:
        """One image at a time, each written before its result is given."""
        folder = self.folder
        for item in items:
            yield None if item is None else Result(item.key, self._export(folder, item))

    def _export(self, folder: ImageFolder, item: Item[Source]) -> Mark:
        body, fingerprint = item.data
        recipe = recipe_for(fingerprint, self.rendering)
        if recipe != VERBATIM:
            from ..imaging import Undecodable  # brings Pillow, which few images need
            from .convert import Unencodable, render

            try:
                body = render(body, fingerprint, self.rendering)
            except (Undecodable, Unencodable) as error:
                return Mark(error.reason, 0, (recipe,))
        folder.write(item.key, body)
        return Mark(DONE, len(body), (recipe,))
