"""Why a URL can fail, and whether asking again another day may help: what `runner retry` goes by.

What is asked again at once, within a run, is decided in ``policy.py``.
"""

import re
from typing import NamedTuple


class Reason(NamedTuple):
    """``passes``: it may succeed later, so `runner retry` asks again unless told otherwise; and why (not)."""

    passes: bool
    why: str


_ITS_OWN = Reason(False, "the URL itself is to blame")
_SAME_ANSWER = Reason(False, "the server would most likely say the same again")
_UNKNOWN = Reason(False, "this version of runner does not know it")
_SERVER = Reason(True, "the server had a fault or was busy")

REASONS = {
    "invalid_url": _ITS_OWN,
    "scheme": _ITS_OWN,
    "blocked_address": Reason(
        False, "the address is refused, unless the job was started with --allow-private"
    ),
    "dns": Reason(True, "the name or the resolver may be back"),
    "connect": Reason(True, "the server or the network may be back"),
    "tls": Reason(True, "the certificate may be renewed, or trusted with --ca-bundle"),
    "timeout": Reason(True, "the server may be quicker, or --timeout longer"),
    "too_large": Reason(False, "the image is larger than the --max-bytes of the job"),
    "truncated": Reason(True, "the connection may hold another time"),
    "protocol": Reason(True, "the server may be mended"),
    "encoding": _SAME_ANSWER,
    "redirects": _SAME_ANSWER,
    "http_408": _SERVER,
    "http_429": _SERVER,
    "http_5<xx>": _SERVER,
    "http_<code>": _SAME_ANSWER,
    "robots_tag": Reason(False, "the owner asks that the image not be used"),
    "empty": _SAME_ANSWER,
    "not_image": _SAME_ANSWER,
    "hash_mismatch": Reason(False, "the image is not the one of the list (--verify-hash)"),
    "crashed": Reason(True, "the machine may have been out of memory"),
}

_STATUS = re.compile(r"http_([1-9])[0-9]{2}")
_FAMILIES = ("http_<code>", "http_5<xx>")


def exists(name: str) -> bool:
    """Whether a URL can fail for a reason of this name."""
    return _family(name) in REASONS and name not in _FAMILIES


def reason(name: str) -> Reason:
    """What is known of a reason."""
    return REASONS.get(_family(name), _UNKNOWN)


def _family(name: str) -> str:
    """Under which name the table has it: most statuses are in it together."""
    status = _STATUS.fullmatch(name)
    if name in REASONS or status is None:
        return name
    return "http_5<xx>" if status[1] == "5" else "http_<code>"
