"""What was found in bytes that were examined before: a table that all workers of the hash pass share.

It lies in memory that a worker has in common with the process that it was forked from, and so with all the
others. They write it as they please: an entry that two of them have mixed up does not match its checksum,
and then its image is examined again.
"""

import mmap
import struct

from .engine.seal import WIDTH as CRC_BYTES
from .engine.seal import SealError, seal, unseal

SLOTS = 1 << 17
_SHA256_BYTES = 32
_HEAD = struct.Struct(f"={_SHA256_BYTES}sB")
_SLOT_BYTES = 128
_LONGEST = _SLOT_BYTES - _HEAD.size - CRC_BYTES


class Examined:
    """SHA-256 of some bytes -> up to 91 bytes that tell what is in them.

    131,072 places, 16 MB: an entry takes the place of whichever was there.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SLOTS * _SLOT_BYTES)

    def get(self, sha256: bytes) -> bytes | None:
        """What was found; None if it is not, or no longer, known."""
        at = self._place(sha256)
        slot = self._memory[at : at + _SLOT_BYTES]
        known, length = _HEAD.unpack_from(slot)
        if known != sha256:
            return None
        try:
            return unseal(sha256, slot[_HEAD.size : _HEAD.size + CRC_BYTES + length])
        except SealError:
            return None

    def put(self, sha256: bytes, found: bytes) -> None:
        """Remember it, if it is short enough."""
        if len(found) <= _LONGEST:
            at = self._place(sha256)
            slot = _HEAD.pack(sha256, len(found)) + seal(sha256, found)
            self._memory[at : at + len(slot)] = slot

    def _place(self, sha256: bytes) -> int:
        return int.from_bytes(sha256[:4], "little") % SLOTS * _SLOT_BYTES
