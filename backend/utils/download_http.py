"""Opens one address of a model file, redirects and refusals included. Runs in the service process.

Hubs answer a request with a redirect to a signed address of their CDN. Redirects are followed here, not by the
client, because each hop is judged: https only (plain http between loopback addresses, for mirrors on this
computer and tests), never from the internet to an address of a private network, and a password that belongs to the
configured host goes to no other one. Addresses are never logged: what follows their `?` is a secret.
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx

from backend import __version__
from backend.utils.addresses import is_public

# A hub needs one or two; more is a loop.
MAX_REDIRECTS = 5
# Silence on the line, not the whole download: 20 GB over a slow path take hours.
READ_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 20.0
# The longest a server may ask us to wait (Retry-After) before the next try.
MAX_RETRY_AFTER_S = 120.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Worth another try at the same address: it is overloaded or in trouble, and may be well again soon.
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


class TransferTrouble(Exception):
    """An address did not deliver. The text is for people and logs and holds no address.

    `again`: the same address may do better a little later, after `wait_s` where the server said so. `network`: the
    trouble is on the way, not in what the server has.
    """

    def __init__(self, text: str, *, again: bool, wait_s: float | None = None, network: bool = False) -> None:
        super().__init__(text)
        self.again = again
        self.wait_s = wait_s
        self.network = network


@dataclass(frozen=True)
class OpenAnswer:
    """The final answer, its body not read yet, and the headers of every hop before it, lower case."""

    response: httpx.Response
    seen: Mapping[str, str]


def new_client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client for downloads. Proxies come from the environment, as a user has set them for this machine.

    Raises TransferTrouble when that proxy is of a kind that cannot be used.
    """
    timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    headers = {"User-Agent": f"All-in-one/{__version__}", "Accept-Encoding": "identity"}
    try:
        return httpx.AsyncClient(timeout=timeout, headers=headers, transport=transport)
    except (ImportError, ValueError) as error:  # socks without its package; an address that is none
        raise TransferTrouble(
            "the proxy of this machine's environment cannot be used: only http and https proxies are",
            again=False,
        ) from error


@contextlib.asynccontextmanager
async def opened(
    client: httpx.AsyncClient, method: str, address: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[OpenAnswer]:
    """Ask, follow redirects, and hand out the answer with status 200, 206 or 416. Raises TransferTrouble."""
    url = _first(address)
    start = url
    sent = dict(headers or {})
    seen: dict[str, str] = {}
    for _hop in range(MAX_REDIRECTS + 1):
        try:
            request = client.build_request(method, url.copy_with(username=None, password=None), headers=sent)
            auth = httpx.BasicAuth(url.username, url.password) if url.userinfo else None
            response = await client.send(request, auth=auth, stream=True, follow_redirects=False)
        except httpx.HTTPError as error:
            raise TransferTrouble(_words(error), again=True, network=True) from error
        try:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                # The first answer knows the file; the CDN's answers know only bytes.
                for name, value in response.headers.items():
                    seen.setdefault(name.lower(), value)
                url = _next(start, url, response.headers["location"])
                continue
            _refuse_status(response)
            yield OpenAnswer(response, {**{k.lower(): v for k, v in response.headers.items()}, **seen})
            return
        except httpx.HTTPError as error:
            raise TransferTrouble(_words(error), again=True, network=True) from error
        finally:
            await response.aclose()
    raise TransferTrouble("the server sends in circles", again=False)


def _first(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError) as error:
        raise TransferTrouble("the address cannot be read", again=False) from error
    if not (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host))):
        raise TransferTrouble("only https addresses are asked for models", again=False)
    return url


def _next(start: httpx.URL, current: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads, when that is somewhere a download may go."""
    try:
        url = current.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise TransferTrouble("the server sends to an address that cannot be read", again=False) from error
    home = is_loopback(start.host)
    if url.scheme != "https" and not (home and url.scheme == "http" and is_loopback(url.host)):
        raise TransferTrouble("the server sends to an address without https", again=False)
    if not home and _is_inside(url.host):
        raise TransferTrouble("the server sends into a private network", again=False)
    same_place = (url.scheme, url.host, url.port) == (start.scheme, start.host, start.port)
    if same_place:
        return url.copy_with(username=start.username or None, password=start.password or None)
    return url.copy_with(username=None, password=None)


def is_loopback(host: str) -> bool:
    """Whether a host is this computer, by name or as an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_inside(host: str) -> bool:
    """Whether a host is written as an address that is not of the open internet, or is this computer."""
    if is_loopback(host):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return not is_public(host.strip("[]"))


def _refuse_status(response: httpx.Response) -> None:
    status = response.status_code
    if status in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE):
        return
    wait_s = _retry_after(response.headers.get("retry-after"))
    raise TransferTrouble(
        f"the server answered HTTP {status}", again=status in _LATER, wait_s=wait_s, network=status in _LATER
    )


def _retry_after(value: str | None) -> float | None:
    """RFC 9110 10.2.3: seconds, or a date; bounded."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER_S)
    try:
        at = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return min(max(at.timestamp() - time.time(), 0.0), MAX_RETRY_AFTER_S)


def _words(error: httpx.HTTPError) -> str:
    """What went wrong on the way, in words; a library's own text may quote an address."""
    for kind, words in (
        (httpx.ConnectTimeout, "the server cannot be reached in time"),
        (httpx.ConnectError, "the server cannot be reached"),
        (httpx.ReadTimeout, "the server fell silent"),
        (httpx.ProxyError, "the proxy refused"),
        (httpx.DecodingError, "the answer is encoded in a way that cannot be read"),
        (httpx.TimeoutException, "the connection took too long"),
    ):
        if isinstance(error, kind):
            return words
    return "the connection broke"
