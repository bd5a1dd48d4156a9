"""X-Robots-Tag: does the server ask that the image not be used?"""

from collections.abc import Iterable

_REFUSALS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})

# Directives that carry a value after a colon; before any other colon stands the name of an agent.
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


def refuses(values: Iterable[str], agent: str) -> bool:
    """Whether any of these header values refuses everybody, or the agent of this (lower-case) token.

    A value is a comma-separated list of directives; ``name:`` addresses what follows to one agent.
    """
    return any(_refuses(value.lower(), agent) for value in values)


def _refuses(value: str, agent: str) -> bool:
    for_us = True
    for part in value.split(","):
        name, colon, rest = part.partition(":")
        directive = part.strip()
        if colon and name.strip() not in _VALUED:
            for_us = name.strip() in (agent, "*")
            directive = rest.strip()
        if for_us and directive in _REFUSALS:
            return True
    return False
