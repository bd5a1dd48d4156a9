"""From a line of a list, or a Location, to what goes on the wire: prepared once, for both transports."""

import re
import socket
from base64 import b64encode
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urljoin

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_NO_AUTHORITY = frozenset({"about", "blob", "cid", "data", "file", "javascript", "mailto", "tel", "urn"})
_DEFAULT_PORTS = {"http": 80, "https": 443}

# Most URLs have nothing that would need escaping, credentials, fragment or dot segments.
_PLAIN = re.compile(r"(https?)://([A-Za-z0-9.:_-]+)(/[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
_PATH_SAFE = "!$&'()*+,;=:@/~%"
_QUERY_SAFE = _PATH_SAFE + "?"


class BadURLError(Exception):
    """Not a URL that can be fetched; ``reason`` is ``invalid_url`` or ``scheme``."""

    def __init__(self, reason: str = "invalid_url") -> None:
        super().__init__(reason)
        self.reason = reason


class Target(NamedTuple):
    """A URL ready to be requested.

    ``url``            ASCII, normalised, without credentials and fragment
    ``host``           name and port, as counted by the limits per host
    ``address``        the address, when the host is written as one
    ``authorization``  header value made of the credentials in the URL
    """

    url: str
    host: str
    address: str | None = None
    authorization: str | None = None


def prepare(text: str) -> Target:
    """The target of an absolute URL as people write them. Raises BadURLError."""
    plain = _PLAIN.fullmatch(text)
    if plain and "/." not in text:
        scheme, place, rest = plain.groups()
        host, address = _place(place, scheme)
        return Target(f"{scheme}://{host}{rest}", host, address)
    return _prepare(text.strip())


def resolve(base: str, location: str) -> Target:
    """The target of a Location header (decoded as Latin-1) in the answer of ``base``. Raises BadURLError."""
    text = location.encode("latin-1", "replace").decode("utf-8", "surrogateescape").strip()
    if not text or _CONTROL.search(text):
        raise BadURLError
    try:
        return prepare(urljoin(base, text))
    except ValueError:
        raise BadURLError from None


def _prepare(text: str) -> Target:
    if _CONTROL.search(text):
        raise BadURLError
    scheme, rest = _split_scheme(text)
    authority, path, query = _split(rest)
    if "\\" in authority:  # browsers take it for a slash, others for part of the credentials
        raise BadURLError
    credentials, at, place = authority.rpartition("@")
    host, address = _place(place, scheme)
    url = f"{scheme}://{host}{_path(path)}" + ("" if query is None else "?" + _escape(query, _QUERY_SAFE))
    return Target(url, host, address, _basic(credentials) if at else None)


def _split_scheme(text: str) -> tuple[str, str]:
    """Scheme and what follows its ``//``."""
    match = _SCHEME.match(text)
    if not match:
        raise BadURLError
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme not in _DEFAULT_PORTS and (scheme in _NO_AUTHORITY or rest.startswith("//")):
        raise BadURLError("scheme")
    if scheme not in _DEFAULT_PORTS or not rest.startswith("//"):
        raise BadURLError
    return scheme, rest[2:]


def _split(rest: str) -> tuple[str, str, str | None]:
    """Authority, path and query; the fragment is dropped."""
    rest = rest.partition("#")[0]
    before, mark, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return authority, slash + path, query if mark else None


@lru_cache(maxsize=4096)
def _place(place: str, scheme: str) -> tuple[str, str | None]:
    """Host and port as written in a URL (without the default port), and the address if the host is one."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?", place, re.ASCII)
    if not match:
        raise BadURLError
    host, address = _host(match[1])
    port = int(match[2][:8]) if match[2] else _DEFAULT_PORTS[scheme]
    if not 0 < port < 65536:
        raise BadURLError
    return (host if port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"), address


def _host(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        try:
            address = str(IPv6Address(text[1:-1]))
        except ValueError:
            raise BadURLError from None
        if "%" in address:  # a scope names an interface of this machine
            raise BadURLError
        return f"[{address}]", address
    name = text.lower() if text.isascii() else _idna(text)
    labels = name.removesuffix(".").split(".")
    if len(name) > 254 or not all(map(_LABEL.fullmatch, labels)):
        raise BadURLError
    if not _NUMBER.fullmatch(labels[-1]):
        return name, None
    try:  # every spelling of an IPv4 address that resolvers take: decimal, hexadecimal, short
        address = socket.inet_ntoa(socket.inet_aton(name.removesuffix(".")))
    except OSError:
        raise BadURLError from None
    return address, address


def _idna(text: str) -> str:
    import idna  # slow to load, and few names need it

    try:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except UnicodeError:
        raise BadURLError from None


def _path(path: str) -> str:
    """An absolute path without dot segments."""
    kept: list[str] = []
    segments = _escape(path, _PATH_SAFE).split("/")[1:] or [""]
    for segment in segments:
        dots = segment.replace("%2E", ".")
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
    if dots in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _escape(text: str, safe: str) -> str:
    """Percent-encoded as UTF-8 (bytes that were not, as they are); escapes that are there already stay."""
    try:
        raw = _STRAY_PERCENT.sub("%25", text).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadURLError from None
    return _ESCAPE.sub(lambda match: match[0].upper(), quote(raw, safe=safe))


def _basic(credentials: str) -> str:
    user, _, password = credentials.partition(":")
    try:
        parts = [unquote_to_bytes(part.encode("utf-8", "surrogateescape")) for part in (user, password)]
    except UnicodeEncodeError:
        raise BadURLError from None
    return "Basic " + b64encode(b":".join(parts)).decode("ascii")
