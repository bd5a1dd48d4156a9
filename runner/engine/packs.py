"""How payloads lie in a shard file: short ones share a pack, because LMDB rounds a long value up to pages.

A pack of short payloads begins with its number: so it is found in a damaged file that has lost the page
which names it. A payload of ``PACK_BYTES`` or more is a pack of its own, as it is, without a copy.
"""

import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .items import Mark
from .seal import WIDTH, SealError, checksum, checksums_of, seal, unseal

PAGE = 4096
# A pack is full with so many bytes: 16 pages, the first of which has a head.
PACK_BYTES = 16 * PAGE - 16

NUMBER = struct.Struct(">I")
"""Of a pack, and of an item in its shard."""

_PLACE = struct.Struct(">IIII")


class Place(NamedTuple):
    """Where a payload is: in which pack, where there; and its checksum."""

    pack: int
    offset: int
    length: int
    checksum: int

    def cut(self, index: bytes, pack: bytes | memoryview | None, *, checked: bool = True) -> bytes:
        """The payload, from its pack. Raises SealError if it is not what was stored."""
        payload = bytes((pack or b"")[self.offset : self.offset + self.length])
        if checked and self.checksum != checksum(index, payload):
            raise _not_as_stored(index)
        return payload


def make_label(index: bytes, place: Place, mark: Mark) -> bytes:
    """What is kept of an item beside its payload."""
    return seal(index, _PLACE.pack(*place) + mark.pack())


def place_in(label: bytes | memoryview) -> Place:
    """Not compared with the seal: if it is wrong, so is the checksum of what is there."""
    try:
        return Place._make(_PLACE.unpack_from(label, WIDTH))
    except struct.error:
        raise _too_short() from None


def cut_out(
    labels: Iterable[tuple[bytes, bytes]], pack: Callable[[bytes], bytes | None], room: int
) -> list[tuple[int, bytes]]:
    """(index, payload) of the first of these labels, until so many bytes are reached: the quick way to many.

    ``pack`` gives a pack by its packed number. Raises SealError if a payload is not what was stored.
    """
    indices, payloads, checksums = [], [], []
    last, found = -1, b""
    try:
        for index, label in labels:
            number, offset, length, told = _PLACE.unpack_from(label, WIDTH)
            if number != last:
                last, found = number, pack(NUMBER.pack(number)) or b""
            indices.append(index)
            payloads.append(found[offset : offset + length])
            checksums.append(told)
            room -= length
            if room <= 0:
                break
    except struct.error:
        raise _too_short() from None
    for index, told, actual in zip(indices, checksums, checksums_of(indices, payloads), strict=True):
        if told != actual:
            raise _not_as_stored(index)
    return list(zip(struct.unpack(f">{len(indices)}I", b"".join(indices)), payloads, strict=True))


def _too_short() -> SealError:
    return SealError("a label is too short")


def _not_as_stored(index: bytes) -> SealError:
    return SealError(f"what item {int.from_bytes(index, 'big')} has is not what was stored")


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
