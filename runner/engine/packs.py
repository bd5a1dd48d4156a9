"""How payloads lie in a shard file: short ones share a pack, because LMDB rounds a long value up to pages.

A pack of short payloads begins with its number: so it is found in a damaged file that has lost the page
which names it. A payload of ``PACK_BYTES`` or more is a pack of its own, as it is, without a copy.
"""

import struct
from typing import NamedTuple

from .items import Mark
from .seal import WIDTH, SealError, checksum, seal, unseal

PAGE = 4096
# A pack is full with so many bytes: 16 pages, the first of which has a head.
PACK_BYTES = 16 * PAGE - 16

NUMBER = struct.Struct(">I")
"""Of a pack, and of an item in its shard."""

_PLACE = struct.Struct(f">III{WIDTH}s")


class Place(NamedTuple):
    """Where a payload is: in which pack, where there; and its checksum."""

    pack: int
    offset: int
    length: int
    checksum: bytes

    def cut(self, index: bytes, pack: bytes | memoryview | None, *, checked: bool = True) -> bytes:
        """The payload, from its pack. Raises SealError if it is not what was stored."""
        payload = bytes((pack or b"")[self.offset : self.offset + self.length])
        if checked and self.checksum != checksum(index, payload):
            raise SealError(f"what item {NUMBER.unpack(index)[0]} has is not what was stored")
        return payload


def make_label(index: bytes, place: Place, mark: Mark) -> bytes:
    """What is kept of an item beside its payload."""
    return seal(index, _PLACE.pack(*place) + mark.pack())


def place_in(label: bytes) -> Place:
    """Not compared with the seal: if it is wrong, so is the checksum of what is there."""
    if len(label) < WIDTH + _PLACE.size:
        raise SealError("a label is too short")
    return Place._make(_PLACE.unpack_from(label, WIDTH))


def mark_in(index: bytes, label: bytes) -> Mark:
    """Raises SealError if this is not the label of this item."""
    return Mark.unpack(unseal(index, label)[_PLACE.size :])


class Pack:
    """Payloads one behind the other; ``begun`` is what the file has of this pack already."""

    def __init__(self, number: int, begun: bytes = b"") -> None:
        self.number = number
        self._parts = [begun] if begun else []
        self._size = len(begun)

    def takes(self, payload: bytes) -> bool:
        """Whether a payload belongs into this pack, or has to go into the next."""
        if not self._size:
            return True
        # One that does not fit goes in all the same where without it more than a page would stay empty.
        fits = self._size + len(payload) <= PACK_BYTES or self._size < PACK_BYTES - PAGE
        return fits and len(payload) < PACK_BYTES

    def add(self, index: bytes, payload: bytes) -> Place:
        if not self._size and len(payload) < PACK_BYTES:
            self._append(NUMBER.pack(self.number))
        place = Place(self.number, self._size, len(payload), checksum(index, payload))
        self._append(payload)
        return place

    def _append(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)

    def joined(self) -> bytes:
        """All of it; of a single payload the very object, which is not copied."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
