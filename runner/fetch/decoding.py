"""Content-Encoding undone. We ask for bodies as they are, but some servers compress them all the same.

Only gzip and deflate, which the standard library has: no server that was asked for ``identity`` should send
any other, and an image gains nothing from it.
"""

import zlib

from .transport import Exchange

_GZIP = zlib.MAX_WBITS + 16
_DECODERS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}
_MAX_LAYERS = 5


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
            body = _decode(body, layer, limit)
    except zlib.error:
        return exchange._replace(body=b"", error="encoding")
    except _TooLargeError:
        return exchange._replace(body=b"", error="too_large")
    return exchange._replace(body=body)


def _decode(body: bytes, encoding: str, limit: int) -> bytes:
    *others, last = _DECODERS[encoding]
    for window in others:
        try:
            return _inflate(body, window, limit)
        except zlib.error:
            continue  # deflate means zlib's format, but some send the bare stream
    return _inflate(body, last, limit)


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    stream = zlib.decompressobj(window)
    data = stream.decompress(body, limit + 1)
    if len(data) > limit:
        raise _TooLargeError
    if not stream.eof or stream.unused_data:
        raise zlib.error
    return data
