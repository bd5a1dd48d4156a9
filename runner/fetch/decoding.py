"""Content-Encoding undone. We ask for bodies as they are, but some servers compress them all the same.

Every decoder stops at the limit, so that a bomb takes no more memory than an honest body.
"""

import zlib
from collections.abc import Callable

import brotli

from ..zstd import zstd
from .transport import Exchange

_MAX_LAYERS = 5

# What RFC 9659 allows a server to make us remember of what was decoded, as a power of two.
_ZSTD: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
_GZIP = zlib.MAX_WBITS + 16


class _DamagedError(Exception):
    """The data is damaged, cut short, or goes on after its end."""


class _TooLargeError(Exception):
    pass


def decoded(exchange: Exchange, limit: int) -> Exchange:
    """The exchange with its body decoded, or with the error ``encoding`` or ``too_large``.

    Decoding stops at ``limit`` bytes. A body that ends before its compressed data does, or goes on after
    them, is an error too: half an image must not pass for a whole one.
    """
    if exchange.header("content-encoding") is None:
        return exchange
    encodings = ",".join(value for name, value in exchange.headers if name == "content-encoding").lower()
    layers = [name for name in map(str.strip, encodings.split(",")) if name not in ("", "identity")]
    if not layers or not exchange.body:
        return exchange
    if len(layers) > _MAX_LAYERS or not _DECODERS.keys() >= set(layers):
        return exchange._replace(body=b"", error="encoding")
    try:
        body = exchange.body
        for layer in reversed(layers):
            body = _DECODERS[layer](body, limit)
            if len(body) > limit:
                raise _TooLargeError
    except (_DamagedError, zlib.error, brotli.error, zstd.ZstdError):
        return exchange._replace(body=b"", error="encoding")
    except _TooLargeError:
        return exchange._replace(body=b"", error="too_large")
    return exchange._replace(body=body)


# Each gives the decoded body, or its first bytes: some more than the limit.


def _gzip(body: bytes, limit: int, window: int = _GZIP) -> bytes:
    stream = zlib.decompressobj(window)
    data = stream.decompress(body, limit + 1)
    return _checked(data, limit, stream.eof and not stream.unused_data)


def _deflate(body: bytes, limit: int) -> bytes:
    try:
        return _gzip(body, limit, zlib.MAX_WBITS)
    except (zlib.error, _DamagedError):
        return _gzip(body, limit, -zlib.MAX_WBITS)  # it means zlib's format, but some send the bare stream


def _brotli(body: bytes, limit: int) -> bytes:
    stream = brotli.Decompressor()  # data behind the end are an error to it
    data = stream.process(body, output_buffer_limit=limit + 1)
    return _checked(data, limit, stream.is_finished())


def _zstd(body: bytes, limit: int) -> bytes:
    stream = zstd.ZstdDecompressor(options=_ZSTD)
    data = stream.decompress(body, limit + 1)
    return _checked(data, limit, stream.eof and not stream.unused_data)


def _checked(data: bytes, limit: int, complete: bool) -> bytes:
    if len(data) <= limit and not complete:
        raise _DamagedError
    return data


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
