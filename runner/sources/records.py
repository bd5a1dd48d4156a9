"""From a record of a list to a row of the job; what cannot be one becomes a row that says where and why.

A row that is no URL carries ``list``, ``line`` and ``error`` among its columns. One that is malformed as a
whole has, where the URL should be, a note in square brackets that no reader can take for one and that no
other row has: ``[urls.csv, line 17: 3 fields where the head names 2]``. Both become invalid items.
"""

import re
from typing import Any

from ..fetch.urls import BadURLError, prepare
from ..manifest import Row
from .digests import digest_of, is_digest
from .options import DigestColumn

MAX_RECORD = 1 << 20
"""Bytes. A longer line, or element of an array, is malformed."""

MAX_URL = 1 << 16
"""Characters; no server takes a URL of that length."""

NOT_UTF8 = "bytes that are not UTF-8"

_KINDS = {
    type(None): "nothing",
    bool: "true or false",
    int: "a number",
    float: "a number",
    dict: "an object",
    list: "a list",
}
_ERRORS = {"invalid_url": "no URL", "scheme": "neither http nor https"}

# What nearly all URLs look like, and what can be asked for: needs no closer look.
is_usual = re.compile(
    r"https?://(?:[a-z0-9]++[.-])++(?<=\.)[a-z]++(?<![a-z0-9.-]{64})(?:/[!-~]*+)?"
).fullmatch


def make_row(
    url: Any, columns: dict[str, Any], name: str, line: int, digest: DigestColumn | None = None
) -> Row:
    """The row of a record on this line of the list of this name; ``digest`` is where it has one, if any."""
    if not isinstance(url, str):
        kind = _KINDS.get(type(url), type(url).__name__)
        return malformed(f"{kind} where the URL should be", name, line)
    if digest is not None:
        digits = digest_of(columns, digest)
        if digits is not None and not is_digest(digits, digest.algorithm):
            article = "an" if digest.algorithm == "md5" else "a"
            return malformed(f"not {article} {digest.algorithm} digest", name, line)
    url = url.strip()
    if len(url) <= MAX_URL and is_usual(url):
        return Row(url, columns)
    if len(url) > MAX_URL:
        return malformed(f"a URL of {len(url)} characters", name, line)
    if not url:
        return malformed("nothing where the URL should be", name, line)
    try:
        prepare(url)
    except BadURLError as error:
        return Row(url, {**columns, **fault(name, line, _ERRORS[error.reason])})
    return Row(url, columns)


def malformed(error: str, name: str, line: int) -> Row:
    """The row that stands for a record that is none."""
    return Row(f"[{name}, line {line}: {error}]", fault(name, line, error))


def fault(name: str, line: int, error: str) -> dict[str, Any]:
    """The columns that say what is wrong with a row."""
    return {"list": name, "line": line, "error": error}
