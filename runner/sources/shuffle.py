"""Another order for the rows of a list: no host for long, the same every time, in flat memory.

The place of a row is a hash of its URL and the seed. Rows are spread over files by the first bits of it, in
the order of the list, and each file is then read in the order of the rest. So equal URLs stay in the order
of the list, and the first of them is the item as ever.
"""

import json
import mmap
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory, TemporaryFile
from typing import BinaryIO, cast

from ..manifest import Row, writing_to
from ..urls import digest

_FILES = 64
_BLOCK = 1 << 20  # bytes that are written together
_HEAD = Struct("<QI")  # the place and how many bytes the row takes


def shuffled(rows: Iterable[Row | None], seed: int, scratch: Path | None) -> Iterator[Row | None]:
    """The same rows in another order, blank ones last. A copy goes to ``scratch``, or a temporary folder."""
    with ExitStack() as stack:
        folder = scratch or Path(stack.enter_context(TemporaryDirectory(prefix="runner-")))
        with writing_to(folder):
            folder.mkdir(exist_ok=True)
            files = [cast(BinaryIO, stack.enter_context(TemporaryFile(dir=folder))) for _ in range(_FILES)]
        blank = _spread(rows, seed.to_bytes(8, "big"), files, folder)
        for file in files:
            with writing_to(folder):
                file.flush()
            yield from _in_order(file)
            file.truncate(0)
        for _ in range(blank):
            yield None


def _spread(rows: Iterable[Row | None], key: bytes, files: list[BinaryIO], folder: Path) -> int:
    """Write each row to its file. Returns how many are blank."""
    blank = 0
    encode = json.JSONEncoder().encode
    block: list[tuple[int, bytes]] = []
    room = _BLOCK
    for row in rows:
        if row is None:
            blank += 1
            continue
        place = int.from_bytes(digest(row.url, 8, key), "big")
        data = encode(row).encode()
        block.append((place % _FILES, _HEAD.pack(place, len(data)) + data))
        room -= len(data)
        if room < 0:
            _write(block, files, folder)
            block, room = [], _BLOCK
    _write(block, files, folder)
    return blank


def _write(block: list[tuple[int, bytes]], files: list[BinaryIO], folder: Path) -> None:
    with writing_to(folder):
        for number, data in block:
            files[number].write(data)


def _in_order(file: BinaryIO) -> Iterator[Row]:
    import numpy as np

    size = file.tell()
    if not size:
        return
    with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data:
        places, starts = array("Q"), array("Q")
        at = 0
        while at < size:
            place, length = _HEAD.unpack_from(data, at)
            places.append(place)
            starts.append(at)
            at += _HEAD.size + length
        order = np.argsort(np.frombuffer(places, dtype=np.uint64), kind="stable")
        for start in np.frombuffer(starts, dtype=np.uint64)[order]:
            _, length = _HEAD.unpack_from(data, start)
            begin = start + _HEAD.size
            yield Row(*json.loads(data[begin : begin + length]))
