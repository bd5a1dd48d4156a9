"""Addresses that a list of URLs must not make us talk to: everything that is not a public host."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# Public as far as the registries know, yet answered by the machine's own cloud (Azure's wire server).
_METADATA = frozenset({IPv4Address("168.63.129.16")})

# Only this part of IPv6 is handed out to public hosts. The rest (loopback, link-local, unique-local,
# site-local, multicast, translation prefixes) is not, whatever it may become.
_GLOBAL_UNICAST = IPv6Network("2000::/3")

# IPv6 addresses that stand for an IPv4 address: prefix, and by how much its 32 bits are shifted.
_EMBEDDED = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)

# Not routed to hosts, but not listed as private by every Python version.
_RESERVED_V4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv4Network("240.0.0.0/4"))
_RESERVED_V6 = (IPv6Network("2001::/23"), IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"))


@lru_cache(maxsize=4096)
def refused(address: str) -> bool:
    """Whether a numeric address (as the resolver gives it, perhaps with a ``%scope``) is off limits.

    What cannot be parsed is refused too.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(parsed, IPv4Address):
        return _refused_v4(parsed)
    for network, shift in _EMBEDDED:
        if parsed in network:
            return _refused_v4(IPv4Address((int(parsed) >> shift) & 0xFFFFFFFF))
    return _refused_v6(parsed)


def _refused_v4(address: IPv4Address) -> bool:
    if address in _METADATA or address.is_multicast or not address.is_global:
        return True
    return any(address in network for network in _RESERVED_V4)


def _refused_v6(address: IPv6Address) -> bool:
    if address not in _GLOBAL_UNICAST or not address.is_global:
        return True
    return any(address in network for network in _RESERVED_V6)
