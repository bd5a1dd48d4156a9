"""The board: what a worker is working on, readable after it has died.

A worker writes here, in a little memory that it shares with its parent, the items that it has
taken and not finished, and the time of its last sign of life. The kernel keeps what a killed process wrote.
"""

import mmap
import os
import struct
import time
from typing import BinaryIO

from .closing import Closing
from .items import Key

SLOTS = 8192
"""Items that a worker may have in hand, waiting for a retry included: taken, not finished, not put by."""

_BEAT = struct.Struct("d")  # time.monotonic(), which all processes of one machine share
_SLOT = struct.Struct("II")  # shard, index + 1; index 0 is a free slot


class Board(Closing):
    """The shared file, as seen by the parent (which makes it) or by its worker (which inherits it)."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._map = mmap.mmap(file.fileno(), _BEAT.size + SLOTS * _SLOT.size)
        self._free = list(range(SLOTS - 1, -1, -1))
        self._slots: dict[Key, int] = {}

    @classmethod
    def create(cls) -> "Board":
        # In memory: in a file, a full disk would kill whoever writes to the map.
        file = os.fdopen(os.memfd_create("runner-board"), "r+b")
        file.truncate(_BEAT.size + SLOTS * _SLOT.size)
        return cls(file)

    def fileno(self) -> int:
        return self._file.fileno()

    def beat(self) -> None:
        """Show a sign of life."""
        _BEAT.pack_into(self._map, 0, time.monotonic())

    def last_beat(self) -> float:
        return float(_BEAT.unpack_from(self._map, 0)[0])

    @property
    def full(self) -> bool:
        return not self._free

    @property
    def room(self) -> int:
        """How many items more it can show."""
        return len(self._free)

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, key: Key) -> None:
        slot = self._slots[key] = self._free.pop()
        _SLOT.pack_into(self._map, _BEAT.size + slot * _SLOT.size, key.shard, key.index + 1)

    def finish(self, key: Key) -> None:
        slot = self._slots.pop(key)
        _SLOT.pack_into(self._map, _BEAT.size + slot * _SLOT.size, 0, 0)
        self._free.append(slot)

    def read(self) -> list[Key]:
        """The items on the board, as written by the worker."""
        taken = _SLOT.iter_unpack(self._map[_BEAT.size :])
        return sorted(Key(shard, index - 1) for shard, index in taken if index)

    def close(self) -> None:
        self._map.close()
        self._file.close()
