"""Fetches a picture from an address that somebody typed, without becoming their way into our network.

Runs in the service process, on the event loop. In: a URL; out: a file that is a picture by its first
bytes. What is held, on every hop of a redirect:

* http and https only, no user name in the URL, no number that poses as a name;
* the name is resolved once, every address it has must be public, and the connection goes to one of
  the addresses that were checked (so a second answer of a hostile name server is never asked for);
* the peer of the connected socket is compared with that address before a byte is sent;
* proxies of the environment are ignored; size, time and number of hops are bounded.

An operator may name a proxy. Then the proxy resolves the names and connects, and only what the URL
itself shows can be checked here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import anyio
import httpcore
import httpx

from backend.models.errors import InputError
from backend.utils.addresses import (
    AddressGuard,
    Resolver,
    failed,
    host_of,
    is_local_name,
    private_network,
    refused,
    same_address,
)
from backend.utils.sniff import HEAD_BYTES, Sniffed, sniff_bytes

MAX_IMAGE_BYTES = 10 * 1024 * 1024
FETCH_TIMEOUT_S = 10.0
MAX_REDIRECTS = 3
MAX_URL_CHARS = 2048
# The kinds that the portrait probe reads. TIFF is left out: browsers do not show it either.
IMAGE_TYPES = frozenset(f"image/{name}" for name in ("png", "jpeg", "webp", "gif", "bmp", "heic"))
# Every signature of a picture is shorter: what is none is dropped after the first packet.
_SNIFF_AFTER_BYTES = 64
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_USER_AGENT = "All-in-one/1 (portrait fetch)"


@dataclass(frozen=True)
class FetchedImage:
    """What was fetched; `sniffed` is by content, whatever the server called it."""

    path: Path
    sniffed: Sniffed
    size_bytes: int


async def system_resolver(host: str, port: int) -> list[str]:
    """All addresses of `host` by the system's resolver, in its order of preference."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def fetch_image(
    url: str,
    dest: Path,
    *,
    max_bytes: int = MAX_IMAGE_BYTES,
    timeout_s: float = FETCH_TIMEOUT_S,
    allow_private: bool = False,
    allow_addresses: frozenset[str] = frozenset(),
    proxy: str | None = None,
    resolver: Resolver = system_resolver,
    backend: httpcore.AsyncNetworkBackend | None = None,
) -> FetchedImage:
    """Write the picture at `url` to `dest`, atomically, within `timeout_s` in all.

    `allow_private` lets the operator's own network in; `allow_addresses` single addresses of it.
    `resolver` and `backend` are seams: the guards stand between them and around them.
    Raises InputError: fetch_refused when the address or what it holds is not allowed,
    fetch_failed when it cannot be reached or does not answer with a file.
    """
    guard = AddressGuard(resolver, allow_private=allow_private, allow_addresses=allow_addresses)
    try:
        with anyio.fail_after(timeout_s):
            tls = await asyncio.to_thread(_tls_context)
            async with _client(guard, proxy, backend, tls, timeout_s) as client:
                content, sniffed = await _follow(client, guard, url, max_bytes, proxied=proxy is not None)
    except TimeoutError as error:
        raise failed(f"The address did not deliver the picture within {timeout_s:.0f} seconds.") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpcore.NetworkError, httpcore.TimeoutException) as error:
        raise failed("The address could not be reached.") from error
    except (httpcore.ProtocolError, OSError, UnicodeError) as error:
        raise failed("The server at this address does not answer properly.") from error
    await asyncio.to_thread(_write, dest, content)
    return FetchedImage(path=dest, sniffed=sniffed, size_bytes=len(content))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for httpcore, only to addresses that the guard has checked.

    httpcore asks for the host of the URL and afterwards uses that same name for TLS, so the
    certificate is still checked against the name although the socket goes to an address.
    """

    def __init__(self, guard: AddressGuard, inner: httpcore.AsyncNetworkBackend) -> None:
        self._guard = guard
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._guard.addresses_of(host, port)
        except OSError as error:  # socket.gaierror
            raise failed("The host name in this address was not found.") from error
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                stream = await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            peer = stream.get_extra_info("server_addr")
            if not peer or not self._guard.allows(str(peer[0])) or not same_address(str(peer[0]), address):
                await stream.aclose()
                raise private_network()
            return stream
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise refused("Only http and https addresses are fetched.")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _GuardedTransport(httpx.AsyncBaseTransport):
    """httpx over an httpcore pool with our network backend (httpx has no public way to set one)."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend, tls: ssl.SSLContext) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_ResponseStream(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _ResponseStream(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


@cache
def _tls_context() -> ssl.SSLContext:
    """Certificates are read once: it takes tens of milliseconds, so in a thread."""
    return httpx.create_ssl_context(trust_env=False)


def _client(
    guard: AddressGuard,
    proxy: str | None,
    backend: httpcore.AsyncNetworkBackend | None,
    tls: ssl.SSLContext,
    timeout_s: float,
) -> httpx.AsyncClient:
    headers = {
        "User-Agent": _USER_AGENT,
        "Accept": "image/*",
        # A compressed answer could unfold to any size; pictures are compressed already.
        "Accept-Encoding": "identity",
    }
    if proxy is not None:
        return httpx.AsyncClient(proxy=proxy, verify=tls, trust_env=False, headers=headers, timeout=timeout_s)
    transport = _GuardedTransport(GuardedBackend(guard, backend or httpcore.AnyIOBackend()), tls)
    return httpx.AsyncClient(transport=transport, trust_env=False, headers=headers, timeout=timeout_s)


async def _follow(
    client: httpx.AsyncClient, guard: AddressGuard, url: str, max_bytes: int, *, proxied: bool
) -> tuple[bytes, Sniffed]:
    target = _parse(url)
    for _ in range(MAX_REDIRECTS + 1):
        guard.check_url(target)
        if proxied and is_local_name(host_of(target)):
            raise private_network()
        async with client.stream("GET", target, follow_redirects=False) as response:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                target = _parse(response.headers["location"], base=target)
                continue
            return await _read_image(response, max_bytes)
    raise failed(f"The address redirects more than {MAX_REDIRECTS} times.")


async def _read_image(response: httpx.Response, max_bytes: int) -> tuple[bytes, Sniffed]:
    if response.status_code != httpx.codes.OK:
        raise failed(f"The server at this address answered with status {response.status_code}.")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise refused("The server sends the picture in a compressed wrapping, which is not accepted.")
    claimed = response.headers.get("content-length", "")
    if claimed.isascii() and claimed.isdigit() and int(claimed[:18]) > max_bytes:
        raise _too_large(max_bytes)
    content, looked = bytearray(), False
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > max_bytes:
            raise _too_large(max_bytes)
        if not looked and len(content) >= _SNIFF_AFTER_BYTES:
            _require_image(content)
            looked = True
    return bytes(content), _require_image(content)


def _require_image(content: bytearray) -> Sniffed:
    sniffed = sniff_bytes(bytes(content[:HEAD_BYTES]))
    if sniffed is None or sniffed.media_type not in IMAGE_TYPES:
        raise refused(
            "The address does not hold a picture.",
            hint="Give the address of the picture file itself (PNG, JPEG, WebP, GIF, BMP or HEIC), "
            "not of a page that shows it.",
        )
    return sniffed


def _parse(url: str, *, base: httpx.URL | None = None) -> httpx.URL:
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


def _write(dest: Path, content: bytes) -> None:
    partial = dest.with_name(dest.name + ".part")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(dest)
    finally:
        partial.unlink(missing_ok=True)


def _too_large(max_bytes: int) -> InputError:
    return refused(
        f"The picture at this address is larger than {max_bytes // (1024 * 1024)} MiB.",
        hint="Use a smaller picture, or upload it.",
    )
