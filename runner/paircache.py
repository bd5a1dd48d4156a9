"""What a band search has found so far, on disk while the search goes on: so that a killed one need not begin
again from the start.

A file for each table of the search that is finished, named after all that its pairs depend on, so that a
file that another search left is never taken for one of this. It holds the pairs, sealed: one that a crash
has spoilt is searched again.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .engine.seal import SealError, seal, unseal

Positions = npt.NDArray[np.signedinteger[Any]]
# Two arrays of equal length, position by position one pair.
Pairs = tuple[Positions, Positions]
# Of positions where there may be many: half the memory, and enough for two thousand million hashes.
POSITION = np.int32


class PairCache:
    """A folder of finished tables. It spares work and is needed for nothing: where it cannot be written to,
    the search does without."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, table: bytes, search: Iterable[Pairs]) -> Iterator[Pairs]:
        """The pairs of the table that these bytes tell from all others: as kept, or else by that search."""
        name = hashlib.sha256(table).hexdigest()
        kept = self._read(name)
        if kept is not None:
            yield kept
            return
        found: list[Pairs] = []
        for pairs in search:
            found.append(pairs)
            yield pairs
        with suppress(OSError):
            self._write(name, found)

    def clear(self) -> None:
        """The search is over."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, name: str) -> Pairs | None:
        try:
            data = unseal(name.encode(), (self._folder / name).read_bytes())
        except (OSError, SealError):
            return None
        one, other = np.frombuffer(data, dtype=POSITION).reshape(2, -1)
        return one, other

    def _write(self, name: str, found: list[Pairs]) -> None:
        sides = [np.concatenate([np.empty(0, POSITION), *side]) for side in zip(*found, strict=True)]
        data = b"".join(side.astype(POSITION).tobytes() for side in sides)
        self._folder.mkdir(exist_ok=True)
        part = self._folder / f"{name}.part"
        part.write_bytes(seal(name.encode(), data))
        part.replace(self._folder / name)
