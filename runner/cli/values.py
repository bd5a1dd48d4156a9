"""What is written on the command line, as values. Raises argparse.ArgumentTypeError with the reason."""

import argparse
import re

from ..fetch.reasons import REASONS, exists

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?)b?", re.IGNORECASE)
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def place(text: str) -> str:
    """The name of a job or an OUT. An empty one, as of a variable that is not set, is no current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def size(text: str) -> int:
    """Bytes: 50MB, 1.5GiB, 4096."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (50MB, 1GiB or a number of bytes)")
    number, unit, binary = match.groups()
    base = 1024 if binary else 1000
    return int(float(number) * base ** " kmg".index(unit.lower() or " "))


def rate(text: str) -> float:
    """Requests a second: 5, 0.5/s, 30/m, 100/h."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"not a rate: {text!r} (5/s, 30/m or 100/h)")
    return float(match[1]) / _SECONDS[match[2] or "s"]


def formats(text: str) -> tuple[str, ...]:
    """Image formats: jpeg,png."""
    aliases = {"jpg": "jpeg", "tif": "tiff"}
    names = [name.strip().lower() for name in text.split(",")]
    return tuple(aliases.get(name, name) for name in names if name)


def reason(text: str) -> str:
    """Why a URL can fail: timeout, http_404."""
    if not exists(text):
        raise argparse.ArgumentTypeError(f"there is no reason {text!r}; the reasons: {', '.join(REASONS)}")
    return text


def columns(text: str) -> tuple[str, ...]:
    """Names of columns: caption,licence."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
