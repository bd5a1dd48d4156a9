"""Fetching: one policy that decides, two transports that move bytes.

options     everything a user can set
urls        a line of a list -> what goes on the wire
policy      what to do after each exchange (no sockets, no clock)
robots      X-Robots-Tag
sniff       the image format that the first bytes show
hosts       how many requests a host gets at a time, and who waits
quota       the limits per host that all processes of a job share
decoding    Content-Encoding
addresses   which addresses nobody may be sent to
proxies     which proxy a URL goes through
resolver    names to addresses
transport   what the policy and a transport say to each other
curl        the default transport, and ``handle``, one exchange of it
requests    the other one, on the connections in ``guarded``
"""

from collections.abc import Callable

from .options import FetchOptions
from .transport import Transport

__all__ = ["FetchOptions", "Transport", "load_transport", "open_transport"]


def open_transport(options: FetchOptions) -> Transport:
    """The transport that the options ask for, ready for requests. Close it after use."""
    return load_transport(options.transport)(options)


def load_transport(name: str) -> Callable[[FetchOptions], Transport]:
    """Import a transport; what opens it."""
    if name == "requests":
        from .requests import RequestsTransport

        return RequestsTransport
    from .curl import CurlTransport

    return CurlTransport
