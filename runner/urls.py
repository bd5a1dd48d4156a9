"""The normal form of a URL: two lines of a list are the same URL when their normal forms are equal."""

import re
from hashlib import blake2b

_DEFAULT_PORTS = {"http": "80", "https": "443"}

# What most lines look like, and what is in normal form already: nothing to rewrite.
_is_normal = re.compile(
    r"https?://[a-z0-9._-]+"
    r"(?::(?!(?:80|443)(?![0-9]))[0-9]+)?"  # a port that is no default; the others get a closer look
    r"(?:[/?][^#]*)?"
).fullmatch
_match_url = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)").match
_match_host = re.compile(r"(\[[^\s@\[\]\\]+\]|[^\s:@\[\]\\]+)(?::([0-9]*))?").fullmatch


def normal_form(url: str) -> str:
    """Return the URL with lower-case scheme and host, without fragment and default port.

    Path, query and user name stay as they are: they may be case-sensitive. What is not a URL with a host
    comes back unchanged. Never raises, whatever the text; the normal form of a normal form is itself.
    """
    return url if _is_normal(url) else _rewrite(url)


def digest(url: str, size: int, key: bytes = b"") -> bytes:
    """So many bytes that are the same for all URLs of one normal form."""
    # A lone surrogate cannot come from a text file, but from an escape in JSON it can.
    text = normal_form(url).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=size, key=key).digest()


def _rewrite(url: str) -> str:
    parts = _match_url(url)
    if parts is None:
        return url
    scheme, authority, rest = parts.groups()
    user, at, host_and_port = authority.rpartition("@")
    match = _match_host(host_and_port)
    if match is None:
        return url
    host, port = match.groups()
    scheme = scheme.lower()
    explicit = f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else ""
    return f"{scheme}://{user}{at}{host.lower()}{explicit}{rest}"
