"""Small records carry a checksum, so that a damaged one is never taken for what it is not."""

import zlib

WIDTH = 4
"""Bytes that the checksum takes."""


class SealError(ValueError):
    """These are not the bytes that were sealed."""


def checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(WIDTH, "big")


def seal(record: bytes) -> bytes:
    """The record with its checksum before it."""
    return checksum(record) + record


def unseal(sealed: bytes) -> bytes:
    """The record. Raises SealError if it is not the one that was sealed."""
    record = sealed[WIDTH:]
    if sealed[:WIDTH] != checksum(record):
        raise SealError("a record does not match its checksum")
    return record
