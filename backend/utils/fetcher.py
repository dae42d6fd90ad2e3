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
import ssl
from dataclasses import dataclass
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
    parse_url,
    private_network,
    refused,
)
from backend.utils.guarded_http import GuardedBackend, GuardedTransport, system_resolver, tls_context
from backend.utils.sniff import HEAD_BYTES, Sniffed, sniff_bytes

MAX_IMAGE_BYTES = 10 * 1024 * 1024
FETCH_TIMEOUT_S = 10.0
MAX_REDIRECTS = 3
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
            tls = await asyncio.to_thread(tls_context)
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
    transport = GuardedTransport(GuardedBackend(guard, backend or httpcore.AnyIOBackend()), tls)
    return httpx.AsyncClient(transport=transport, trust_env=False, headers=headers, timeout=timeout_s)


async def _follow(
    client: httpx.AsyncClient, guard: AddressGuard, url: str, max_bytes: int, *, proxied: bool
) -> tuple[bytes, Sniffed]:
    target = parse_url(url)
    for _ in range(MAX_REDIRECTS + 1):
        guard.check_url(target)
        if proxied and is_local_name(host_of(target)):
            raise private_network()
        async with client.stream("GET", target, follow_redirects=False) as response:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                target = parse_url(response.headers["location"], base=target)
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
