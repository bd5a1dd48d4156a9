"""The dedup table, ``dedup.lmdb``: which image stands for which. Written by ``dedup.py``, read here.

Table ``kept``:        item key -> how many others it stands for
Table ``duplicates``:  item key -> key of the image that stands for it
Table ``phash``:       pHash -> key of the image that stands for those that have it
Table ``sha256``:      the same for images that are compared by their bytes alone
Table ``meta``:        ``selection`` and ``counts``, as JSON

Keys and counts are u32, big-endian. What reads all of a table imports numpy; a look at a job does without.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from .engine.closing import Closing
from .engine.items import Key
from .engine.soundness import check_pages
from .engine.store import Store
from .export_options import Selection

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TABLES = ("kept", "duplicates", "phash", "sha256", "meta")

_KEY = struct.Struct(">II")
_COUNT = struct.Struct(">I")


class Reduction(NamedTuple):
    """Every hashed image once: kept, a duplicate of one kept, or left out by the named filter."""

    unique: int
    duplicates: int
    filtered: dict[str, int]


def as_json(value: object) -> bytes:
    """The form of what is in ``meta``."""
    return json.dumps(value).encode()


class DedupTable(Closing):
    """A finished table, open for reading. Raises DamagedError if it is missing or damaged.

    Pickled, it is its path: another process opens it for itself.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            check_pages(path)
        self._store = Store(path, TABLES, readonly=True)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self._store.path,)

    def made_by(self, selection: Selection) -> bool:
        """Whether this selection made the table."""
        return self._meta("selection") == as_json(asdict(selection))

    def counts(self) -> Reduction:
        """How many images were kept, dropped as duplicates, and left out by each filter."""
        return Reduction(**json.loads(self._meta("counts")))

    def kept(self, shard: int) -> Iterator[tuple[int, int]]:
        """(index, how many others it stands for) of the kept images of a shard, ascending."""
        for index, count in self._of_shard("kept", shard):
            yield index, _COUNT.unpack(count)[0]

    def duplicates(self, shard: int) -> dict[int, Key]:
        """Index -> the image that stands for it, of the shard's duplicates."""
        return {index: Key(*_KEY.unpack(key)) for index, key in self._of_shard("duplicates", shard)}

    def kept_keys(self) -> "npt.NDArray[np.uint64]":
        """Every kept image as shard << 32 | index, ascending."""
        return self._numbers("kept", ">u8", keys=True)

    def problem(self) -> str | None:
        """What in the table contradicts the rest of it."""
        import numpy as np

        kept = self.kept_keys()
        leaders = self._numbers("duplicates", ">u8", keys=False)
        try:
            counts = self.counts()
        except (ValueError, TypeError):
            return "its counts cannot be read"
        if (counts.unique, counts.duplicates) != (len(kept), len(leaders)):
            return "it has other images than its counts tell"
        others = int(self._numbers("kept", ">u4", keys=False).sum())
        if others != len(leaders) or not np.isin(leaders, kept).all():
            return "its duplicates are not those of the images that it keeps"
        return None

    def _numbers(self, table: str, kind: str, *, keys: bool) -> "npt.NDArray[np.uint64]":
        """All keys of a table, or all values."""
        import numpy as np

        with self._store.read() as txn:
            cursor = self._store.cursor(txn, table)
            rows = () if cursor is None else cursor
            data = bytearray()  # not joined in the end: millions of small objects weigh five times as much
            for key, value in rows:
                data += key if keys else value
        return np.frombuffer(data, dtype=kind).astype(np.uint64)

    def _of_shard(self, table: str, shard: int) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        with self._store.read() as txn:
            cursor = self._store.cursor(txn, table)
            if cursor is None or not cursor.set_range(_KEY.pack(shard, 0)):
                return found
            for key, value in cursor:
                owner, index = _KEY.unpack(key)
                if owner != shard:
                    break
                found.append((index, value))
        return found

    def _meta(self, name: str) -> bytes:
        with self._store.read() as txn:
            return self._store.get(txn, "meta", name.encode()) or b"null"

    def close(self) -> None:
        self._store.close()
