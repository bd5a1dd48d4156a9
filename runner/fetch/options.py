"""What a user can set about fetching."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

USER_AGENT = "runner/0.1 (+image dataset downloader; honours X-Robots-Tag and Retry-After)"

TRANSPORTS = ("curl", "requests")

MAY_BE_ZERO = ("retries", "per_host", "rate", "max_wait")
MOST = {
    "connections": 10_000,
    "timeout": 86_400,
    "connect_timeout": 86_400,
    "max_bytes": 1 << 30,
    "retries": 100,
    "per_host": 10_000,
    "rate": 1_000_000,
    "max_wait": 86_400,
}

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[^\x00-\x08\x0a-\x1f\x7f]*")
_LINE = re.compile(r"[\x20-\x7e]+")
_PROXY = re.compile(
    r"((https?|socks4a?|socks5h?)://)?([^\s/@]+@)?(\[[0-9A-Fa-f:.]+\]|[^\s/:@]+)(:[0-9]{1,5})?/?"
)


@dataclass(frozen=True)
class FetchOptions:
    """The settings of fetching, primitive values only, so that they can be pickled and kept as JSON.

    transport         "curl" or "requests"
    connections       exchanges in flight per worker
    timeout           seconds of one attempt in all: names, connections, redirects and body
    connect_timeout   seconds for a connection to be made (name, TCP, TLS)
    retries           further attempts after one that failed in a way that may pass
    max_bytes         largest body, after decoding
    per_host          most exchanges per host at a time, over all processes; 0 finds out by itself
    rate              most requests per host and second, over all processes; 0 for no limit
    headers           further request headers, each "Name: value"
    proxy             URL of a proxy for everything; None takes the environment's
    insecure          accept any TLS certificate
    ca_bundle         PEM file of the authorities to trust; None takes certifi's
    allow_private     fetch from private, loopback and other addresses that are not public
    ignore_robots_tag store images whose X-Robots-Tag asks not to
    max_wait          longest wait that a Retry-After can ask for, seconds

    Raises UsageError when a value makes no sense.
    """

    transport: str = "curl"
    connections: int = 64
    timeout: float = 10.0
    connect_timeout: float = 10.0
    retries: int = 2
    max_bytes: int = 50_000_000
    per_host: int = 0
    rate: float = 0.0
    user_agent: str = USER_AGENT
    headers: tuple[str, ...] = ()
    proxy: str | None = None
    insecure: bool = False
    ca_bundle: str | None = None
    allow_private: bool = False
    ignore_robots_tag: bool = False
    max_wait: float = 60.0

    def __post_init__(self) -> None:
        if not isinstance(self.headers, tuple):  # JSON has only lists
            object.__setattr__(self, "headers", tuple(self.headers))
        self._check_numbers()
        self._check_texts()

    def _check_numbers(self) -> None:
        for name, most in MOST.items():
            value = getattr(self, name)
            least = "at least 0" if name in MAY_BE_ZERO else "more than 0"
            if not (value >= 0 if name in MAY_BE_ZERO else value > 0) or value > most:
                raise UsageError(f"--{name.replace('_', '-')} must be {least} and at most {most:,}.")

    def _check_texts(self) -> None:
        if self.transport not in TRANSPORTS:
            raise UsageError(f"--transport is one of {', '.join(TRANSPORTS)}, not {self.transport!r}.")
        if not _LINE.fullmatch(self.user_agent):
            raise UsageError("--user-agent must be one line of printable ASCII.")
        for header in self.headers:
            if not _HEADER.fullmatch(header) or not header.isascii():
                raise UsageError(f"--header must look like 'Name: value', not {header!r}.")
        if self.proxy is not None and not _PROXY.fullmatch(self.proxy):
            raise UsageError(f"--proxy must look like 'http://host:port', not {self.proxy!r}.")
        if self.proxy is not None and self.proxy.startswith("socks") and self.transport == "requests":
            raise UsageError("A SOCKS proxy needs --transport curl.")

    def check_files(self) -> None:
        """Raise UsageError if a file is missing; when it is wanted, as a job may have been moved since."""
        if self.ca_bundle is not None and not Path(self.ca_bundle).is_file():
            raise UsageError(f"--ca-bundle: there is no file {self.ca_bundle!r}; give another one.")

    @property
    def agent_token(self) -> str:
        """Our name in an X-Robots-Tag: the product of the user agent, in lower case."""
        return re.split(r"[/\s]", self.user_agent.strip(), maxsplit=1)[0].lower()

    def header_pairs(self) -> list[tuple[str, str]]:
        """Every header of a request that is the same for all of them."""
        own = {
            "user-agent": ("User-Agent", self.user_agent),
            "accept": ("Accept", "image/*,*/*;q=0.5"),
            "accept-encoding": ("Accept-Encoding", "identity"),
        }
        given = [(name, value.strip()) for name, _, value in (line.partition(":") for line in self.headers)]
        for name, _ in given:
            own.pop(name.lower(), None)
        return [*own.values(), *given]
