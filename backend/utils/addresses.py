"""Which network addresses a fetch on a stranger's behalf may reach. Pure functions; service process.

Written as tables of our own: `ipaddress.is_global` differs between Python releases, and it calls
addresses global that carry a private IPv4 address inside (6to4, NAT64).
Sources: IANA special-purpose address registries (RFC 6890 and successors), RFC 6052, RFC 3056, RFC 4380.
"""

from __future__ import annotations

import ipaddress

_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches loopback on Linux
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; some clouds' metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's host service, on a public address
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

# Only global unicast is considered at all: that leaves out loopback, unspecified, v4-mapped,
# v4-compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local, link-local, site-local, multicast.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: Teredo (2001::/32), ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address, private ones too
        "3fff::/20",  # documentation
    )
)


def is_public(address: str) -> bool:
    """Whether `address` is an IP address of the open internet; False for what cannot be read as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _REFUSED_V4)
    if parsed.scope_id is not None:
        return False
    return parsed in _GLOBAL_V6 and not any(parsed in network for network in _REFUSED_V6)
