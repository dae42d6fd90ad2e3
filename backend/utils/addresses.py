"""Which addresses a fetch on a stranger's behalf may reach: the judgement of URLs and IP addresses.

Runs in the service process; no I/O of its own, the resolver is handed in.

Written as tables of our own: `ipaddress.is_global` differs between Python releases, and it calls
addresses global that carry a private IPv4 address inside (6to4, NAT64).
Sources: IANA special-purpose address registries (RFC 6890 and successors), RFC 6052, RFC 3056, RFC 4380.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable

import httpx

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.models.job import MAX_URL_CHARS

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


MAX_PORT = 65535
# A DNS name: letters, digits, hyphens, underscores; percent signs and the like are tricks.
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
# WHATWG: a host whose last label is a number is an IPv4 address, in whatever spelling.
_NUMBER_LABEL = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\Z")
# RFC 6761: these mean this computer, whatever a resolver says of them.
_LOOPBACK_NAME = re.compile(r"(^|\.)localhost\.?\Z", re.IGNORECASE)

Resolver = Callable[[str, int], Awaitable[list[str]]]


class AddressGuard:
    """Decides where a connection may go."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        allow_private: bool = False,
        allow_addresses: frozenset[str] = frozenset(),
    ) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._allow_addresses = allow_addresses

    def allows(self, address: str) -> bool:
        """Whether this IP address may be connected to."""
        return self._allow_private or address in self._allow_addresses or is_public(address)

    def check_url(self, url: httpx.URL) -> None:
        """Refuse what the URL alone shows to be wrong. Raises InputError(fetch_refused)."""
        if url.scheme not in ("http", "https"):
            raise refused("Only http and https addresses can be used.")
        if url.userinfo:
            raise refused("An address with a user name or password cannot be used.")
        if url.port is not None and not 1 <= url.port <= MAX_PORT:
            raise refused("The port in this address is not valid.")
        host = host_of(url)
        literal = literal_of(host)
        if literal is not None:
            if not self.allows(literal):
                raise private_network()
            return
        if not _NAME.fullmatch(host):
            raise refused("The host name in this address is not valid.")
        if _NUMBER_LABEL.match(host.rstrip(".").rpartition(".")[2]):
            raise refused("A host that is written as a number cannot be used.")
        if not self._allow_private and _LOOPBACK_NAME.search(host):
            raise private_network()

    async def addresses_of(self, host: str, port: int) -> list[str]:
        """The checked addresses of a host. One forbidden address among them refuses them all."""
        literal = literal_of(host)
        addresses = [literal] if literal is not None else await self._resolver(host, port)
        if not addresses:
            raise failed("The host name in this address was not found.")
        if not all(self.allows(address) for address in addresses):
            raise private_network()
        return addresses


def parse_url(url: str, *, base: httpx.URL | None = None) -> httpx.URL:
    """A full address, or one relative to `base` (a redirect). Raises InputError(fetch_refused)."""
    if len(url) > MAX_URL_CHARS:
        raise refused(f"The address is longer than {MAX_URL_CHARS} characters.")
    if any(char.isspace() or not char.isprintable() or char == "\\" for char in url):
        raise refused("The address holds characters that no address may have.")
    try:
        parsed = base.join(url) if base is not None else httpx.URL(url)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise refused("This is not a valid address.") from error
    if not parsed.host:
        raise refused("This is not a full http or https address.")
    return parsed


def host_of(url: httpx.URL) -> str:
    """The host as it goes to the resolver: ASCII, internationalised names encoded."""
    return url.raw_host.decode("ascii", "replace")


def literal_of(host: str) -> str | None:
    """The host as an IP address in its usual spelling, or None when it is a name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None


def same_address(peer: str, wanted: str) -> bool:
    """Whether two spellings are one IP address."""
    one, other = literal_of(peer), literal_of(wanted)
    return one is not None and one == other


def is_local_name(host: str) -> bool:
    """Names that a proxy would resolve to itself or to its own network."""
    if literal_of(host) is not None:
        return False
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa"))


def refused(sentence: str, *, hint: str = "Download the picture and upload it instead.") -> InputError:
    """What may not be fetched: trying again cannot help."""
    return InputError(ErrorCode.FETCH_REFUSED, sentence, hint=hint)


def private_network() -> InputError:
    """The refusal of a private address. It does not tell the address: that would map the network."""
    return refused(
        "This address leads to this computer or into a private network, so it is not used.",
        # Proxy programs in "fake IP" mode answer every name with an address of 198.18.0.0/15.
        hint="Download the picture and upload it instead. If a proxy program on this computer answers for all "
        "names, put its address into FETCH_PROXY.",
    )


def failed(sentence: str) -> InputError:
    """What could not be fetched this time."""
    return InputError(
        ErrorCode.FETCH_FAILED,
        sentence,
        hint="Open the address in a browser to check it, or download the picture and upload it.",
    )
