"""What is put by: items of hosts that have too much to do already, remembered by their keys alone."""

import time
from array import array

from .engine.items import Key

# How many are taken back at a time.
TAKEN_BACK = 256

# So many items may be looked at in each second that would have been spent waiting, and so many in a row.
_LOOKS = 20_000
_MOST_LOOKS = 1000
# Shorter waits are those of a process that is kept busy: it will soon get to all that waits already.
_MOMENT = 0.002  # seconds


class Shelf:
    """Keys of items of one host, first in, first out; eight bytes each."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._keys = array("Q")

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: Key) -> None:
        self._keys.append(key.shard << 32 | key.index)

    def first(self) -> tuple[int, list[int]]:
        """The next ones to be taken back: their shard, and their ascending indices."""
        shard = self._keys[0] >> 32
        indices: list[int] = []
        for key in self._keys[:TAKEN_BACK]:
            index = key & 0xFFFFFFFF
            if key >> 32 != shard or (indices and index <= indices[-1]):
                break
            indices.append(index)
        return shard, indices

    def drop(self, number: int) -> None:
        """The first ones are no longer put by."""
        del self._keys[:number]


class Leisure:
    """Time that this process had to spare, as the number of items that may be looked at instead of waiting.

    A process that is busy has none: it need not find what else could be done.
    """

    def __init__(self) -> None:
        self._waited = _waited()
        self._looks = 0.0

    def earn(self) -> None:
        waited = _waited()
        spare = waited - self._waited
        if spare > _MOMENT:
            self._looks = min(_MOST_LOOKS, self._looks + spare * _LOOKS)
        self._waited = waited

    def spend(self) -> bool:
        """Whether there is time for one more item."""
        if self._looks < 1:
            return False
        self._looks -= 1
        return True


def _waited() -> float:
    """Seconds, from some moment on, in which this process was not at work."""
    return time.monotonic() - time.process_time()
