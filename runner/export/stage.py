"""The export stage: ``batches/`` and ``hashes/`` in, one file per item out.

Its marks live under a name of their own for each OUT, so that one job can keep any number of exports.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from ..engine.items import DONE, Item, Key, Mark, Result
from ..engine.shardfile import read_payloads, shard_file
from ..export_options import Encoding, Rendering
from ..fingerprint import Fingerprint
from .output import ImageFiles, Output, digest

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


class Unwritable(Exception):
    """An image of which the wanted file cannot be made."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def file_of(source: Source, rendering: Rendering, recipe: str) -> bytes:
    """The file of a stored image, by its recipe. Raises Unwritable."""
    if recipe == VERBATIM:
        return source.body
    from ..imaging import Undecodable  # brings Pillow, which few images need
    from .convert import Unencodable, render

    try:
        return render(source.body, source.fingerprint, rendering)
    except (Undecodable, Unencodable) as error:
        raise Unwritable(error.reason) from error


def read_fingerprints(hashes: Path, shard: int, indices: Sequence[int]) -> dict[int, Fingerprint]:
    """What the hash pass found in these items of a shard, ascending."""
    packed = read_payloads(shard_file(hashes, shard), indices)
    return {index: Fingerprint.unpack(data) for index, data in packed}


@dataclass(frozen=True)
class ExportStage:
    """Writes ``out/00017/000170042.jpg`` for item (17, 42).

    Mark: ``DONE`` with the size of the file, or the reason why none could be made; ``detail`` is the
    recipe, which with the stored bytes determines the file. Raises DiskFullError or RunnerError when the
    file cannot be written.
    """

    batches: Path
    hashes: Path
    out: Output
    rendering: Rendering = field(default_factory=Rendering)
    name: str = field(init=False)
    output: Path | None = field(default=None, init=False)
    slice_size: int | None = field(default=256, init=False)
    patience: float = field(default=60.0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"export:{digest(self.out)}")

    @property
    def warm_up(self) -> Callable[[], object]:
        return partial(import_module, type(self).__module__)

    @property
    def folder(self) -> ImageFiles:
        """The files."""
        return self.out.images(self.rendering.suffix)

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[Source]]:
        """The stored bytes of these images with what the hash pass found in them."""
        found = self.fingerprints(shard, indices)
        for index, body in read_payloads(shard_file(self.batches, shard), list(found)):
            yield Item(Key(shard, index), Source(body, found[index]))

    def fingerprints(self, shard: int, indices: Sequence[int]) -> dict[int, Fingerprint]:
        """What the hash pass found in these items of a shard, ascending."""
        return read_fingerprints(self.hashes, shard, indices)

    def process(self, items: Iterator[Item[Source] | None]) -> Iterator[Result | None]:
        """One image at a time, each written before its result is given."""
        folder = self.folder
        for item in items:
            yield None if item is None else self.result(folder, item)

    def result(self, folder: ImageFiles, item: Item[Source]) -> Result:
        """Write one image."""
        return Result(item.key, self._export(folder, item))

    def _export(self, folder: ImageFiles, item: Item[Source]) -> Mark:
        recipe = recipe_for(item.data.fingerprint, self.rendering)
        try:
            body = file_of(item.data, self.rendering, recipe)
        except Unwritable as error:
            return Mark(error.reason, 0, (recipe,))
        folder.write(item.key, body)
        return Mark(DONE, len(body), (recipe,))
