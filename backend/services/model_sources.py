"""Where a model's file can be had, in which order, and what a hub says about it. Runs in the service process.

Places are made from the catalogue and the settings alone: `HF_ENDPOINT` (a mirror of Hugging Face), ModelScope,
hf-mirror.com, huggingface.co, and an address of the file's own. `auto` measures the first megabytes of each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from backend.models.model_catalogue import CatalogueFile, CatalogueModel, HubPlace
from backend.utils.digests import digest_of_etag
from backend.utils.download_http import TransferTrouble, opened
from backend.utils.downloader import WantedFile
from backend.utils.logger import app_logger

# Names of the setting MODEL_SOURCES. `hf_endpoint` stands for the address in HF_ENDPOINT.
SOURCE_NAMES = ("hf_endpoint", "modelscope", "hf-mirror", "huggingface", "url")
ADDRESSES: Mapping[str, str] = {
    "modelscope": "https://www.modelscope.cn",
    "hf-mirror": "https://hf-mirror.com",
    "huggingface": "https://huggingface.co",
}
# `auto`: enough to get past the start of a connection, little enough to be worth it.
SAMPLE_BYTES = 4 << 20
SAMPLE_S = 6.0
# For so long a measurement holds; a home's line changes with the hour.
MEASURED_FOR_S = 3600.0
# A listing of a repository with thousands of files.
MAX_LISTING_BYTES = 16 << 20


@dataclass(frozen=True)
class Candidate:
    """One place of one file. `address` may hold a password of HF_ENDPOINT: it is never logged."""

    source: str
    address: str
    hub: HubPlace | None


class ModelSources:
    """The order of places, and what was learned about them."""

    def __init__(
        self,
        order: Sequence[str],
        *,
        hf_endpoint: str | None = None,
        addresses: Mapping[str, str] = ADDRESSES,
    ) -> None:
        """`order`: names of SOURCE_NAMES, or `auto` alone. `addresses` is a seam for tests."""
        self._addresses = dict(addresses)
        self._speeds: dict[str, float] = {}
        self.use(order, hf_endpoint=hf_endpoint)
        self._listings: dict[tuple[str, str, str], list[dict[str, object]]] = {}

    def use(self, order: Sequence[str], *, hf_endpoint: str | None) -> None:
        """Another order or mirror, from the next file on."""
        self._measure = "auto" in order
        self._order = SOURCE_NAMES if self._measure else tuple(order)
        self._bases = dict(self._addresses)
        if hf_endpoint:
            self._bases["hf_endpoint"] = hf_endpoint.rstrip("/")
        self._speeds = {}
        self._measured_at = -MEASURED_FOR_S

    def candidates(self, model: CatalogueModel, file: CatalogueFile) -> list[Candidate]:
        """The places of a file, best first, each address once."""
        places = model.places(file)
        found: dict[str, Candidate] = {}
        for source in self._in_order():
            base = self._bases.get(source)
            if source == "url":
                if places.url is not None:
                    found.setdefault(places.url, Candidate("url", places.url, None))
            elif base is not None and source == "modelscope":
                if places.modelscope is not None:
                    address = _resolve(f"{base}/models", places.modelscope)
                    found.setdefault(address, Candidate(source, address, places.modelscope))
            elif base is not None and places.huggingface is not None:
                address = _resolve(base, places.huggingface)
                found.setdefault(address, Candidate(source, address, places.huggingface))
        return list(found.values())

    def _in_order(self) -> list[str]:
        if not self._measure or not self._speeds:
            return list(self._order)
        return sorted(self._order, key=lambda source: -self._speeds.get(source, 0.0))

    async def measure(self, client: httpx.AsyncClient, model: CatalogueModel) -> None:
        """With `auto`: how fast each place sends its first megabytes of the largest file, all at once."""
        if not self._measure or time.monotonic() - self._measured_at < MEASURED_FOR_S:
            return
        largest = max(model.files, key=lambda file: file.expected_bytes)
        candidates = self.candidates(model, largest)
        if len(candidates) < 2:
            return
        speeds = await asyncio.gather(*(_speed(client, candidate) for candidate in candidates))
        self._speeds = dict(zip((candidate.source for candidate in candidates), speeds, strict=True))
        self._measured_at = time.monotonic()
        told = ", ".join(f"{name} {speed / 1e6:.1f} MB/s" for name, speed in self._speeds.items())
        app_logger.info("measured the sources of models: %s", told)

    async def describe(self, client: httpx.AsyncClient, candidate: Candidate) -> WantedFile:
        """Size and hash that a hub states for its file. Raises TransferTrouble when it states none."""
        if candidate.hub is None:
            raise TransferTrouble("an address without a pinned hash", again=False)
        if candidate.source == "modelscope":
            return await self._from_listing(client, candidate.hub)
        async with opened(client, "HEAD", candidate.address) as answer:
            # Before a redirect to the CDN: X-Linked-*; a small file has its git id as its tag.
            headers = answer.response.headers
            digest = digest_of_etag(answer.seen.get("x-linked-etag")) or digest_of_etag(headers.get("etag"))
            size = answer.seen.get("x-linked-size") or headers.get("content-length", "")
        if digest is None or not size.isdigit() or int(size) < 1:
            raise TransferTrouble("the hub states no size and hash for this file", again=False)
        return WantedFile(int(size), digest)

    async def _from_listing(self, client: httpx.AsyncClient, place: HubPlace) -> WantedFile:
        key = (self._bases["modelscope"], place.repo, place.revision)
        if key not in self._listings:
            address = f"{key[0]}/api/v1/models/{place.repo}/repo/files?Revision={quote(place.revision)}&Recursive=true"
            self._listings[key] = await _listing(client, address)
        for entry in self._listings[key]:
            if entry.get("Path") == place.path:
                digest, size = digest_of_etag(str(entry.get("Sha256") or "")), entry.get("Size")
                if digest is not None and isinstance(size, int) and size > 0:
                    return WantedFile(size, digest)
        raise TransferTrouble("the hub states no size and hash for this file", again=False)

    def forget_listings(self) -> None:
        """A new download asks the hubs again."""
        self._listings.clear()


def _resolve(base: str, place: HubPlace) -> str:
    return f"{base}/{place.repo}/resolve/{quote(place.revision, safe='')}/{quote(place.path or '')}"


async def _listing(client: httpx.AsyncClient, address: str) -> list[dict[str, object]]:
    body = bytearray()
    async with opened(client, "GET", address) as answer:
        async for chunk in answer.response.aiter_bytes():
            body += chunk
            if len(body) > MAX_LISTING_BYTES:
                raise TransferTrouble("the hub's listing is too long", again=False)
    try:
        files = json.loads(bytes(body))["Data"]["Files"]
    except (ValueError, KeyError, TypeError) as error:
        raise TransferTrouble("the hub's listing cannot be read", again=False) from error
    return [entry for entry in files if isinstance(entry, dict)] if isinstance(files, list) else []


async def _speed(client: httpx.AsyncClient, candidate: Candidate) -> float:
    """Bytes a second of the beginning of a file; 0 when it does not come."""
    got, started = 0, time.monotonic()

    async def pull() -> None:
        nonlocal got
        headers = {"Range": f"bytes=0-{SAMPLE_BYTES - 1}"}
        async with opened(client, "GET", candidate.address, headers) as answer:
            async for chunk in answer.response.aiter_raw():
                got += len(chunk)
                if got >= SAMPLE_BYTES:
                    return

    # What came until then counts.
    with contextlib.suppress(TransferTrouble, asyncio.TimeoutError):
        await asyncio.wait_for(pull(), SAMPLE_S)
    return got / max(time.monotonic() - started, 1e-3)
