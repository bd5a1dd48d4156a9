"""Which hosts the images of an export came from."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from .metadata import Line

_HOST = re.compile(r"[a-z]+://(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)", re.IGNORECASE)
# A host comes from a list, and goes into a text that others render.
_ODD = re.compile(r"[^\w.:\[\]-]")


class HostCounts:
    """Counts images by host. Takes some 100 bytes per host."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, urls: Iterable[str]) -> None:
        self._counts.update(map(_host, urls))

    def watch(self, lines: Iterator[Line]) -> Iterator[Line]:
        """The same lines, counted as they pass."""
        for line in lines:
            self._counts[_host(line["url"])] += 1
            yield line

    @property
    def images(self) -> int:
        """All that were counted."""
        return self._counts.total()

    def __len__(self) -> int:
        return len(self._counts)

    def top(self, number: int) -> list[tuple[str, int]]:
        """Those with the most images, the same ones every time."""
        # Not most_common: among equals it prefers what came first, which is no property of the images.
        return sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))[:number]


def _host(url: str) -> str:
    match = _HOST.match(url)
    return _ODD.sub("?", match[1].lower()) if match else "?"
