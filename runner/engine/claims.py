"""Claims: how many bytes each worker of a run will yet write, so that together they do not fill the disk.

Shared memory with one number for each worker, which only that worker changes.
"""

import mmap
import os
import struct
from typing import Self

from .closing import Closing

_CLAIM = struct.Struct("Q")


class Claims(Closing):
    """The claims of all workers, as seen by worker number ``own``."""

    def __init__(self, descriptor: int, own: int = 0) -> None:
        self._descriptor = descriptor
        self._map = mmap.mmap(descriptor, 0)
        self._own = own

    @classmethod
    def create(cls, workers: int = 1) -> Self:
        descriptor = os.memfd_create("runner-claims")
        os.ftruncate(descriptor, workers * _CLAIM.size)
        return cls(descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def claim(self, size: int) -> None:
        self._set(self._own, size)

    def drop(self, worker: int) -> None:
        """This worker has ended."""
        self._set(worker, 0)

    def total(self) -> int:
        return sum(size for (size,) in _CLAIM.iter_unpack(self._map[:]))

    def _set(self, worker: int, size: int) -> None:
        _CLAIM.pack_into(self._map, worker * _CLAIM.size, size)

    def close(self) -> None:
        self._map.close()
        os.close(self._descriptor)
