"""The settings of fetching a portrait by URL, bound once. Runs in the service process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.utils.addresses import AddressGuard
from backend.utils.fetcher import fetch_image
from backend.utils.guarded_http import system_resolver

# A portrait of a phone is 3 to 8 MiB; more from a foreign server is not worth waiting for.
MAX_FETCH_BYTES = 10 << 20
FETCH_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Fetcher:
    """Fetches pictures with the guards of `utils/fetcher.py`. `allow_addresses` is for tests."""

    proxy: str | None = None
    allow_addresses: frozenset[str] = frozenset()

    def check(self, url: str) -> None:
        """Refuse what the URL alone shows to be wrong, before a job is accepted."""
        guard = AddressGuard(system_resolver, allow_addresses=self.allow_addresses)
        try:
            guard.check_url(httpx.URL(url))
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise InputError(
                ErrorCode.FETCH_REFUSED,
                "That is not a valid address of a picture.",
                hint="Use an http or https address, or upload the picture.",
            ) from error

    async def fetch_image(self, url: str, dest: Path) -> None:
        """Write the picture to `dest`. Raises InputError(fetch_refused or fetch_failed)."""
        await fetch_image(
            url,
            dest,
            max_bytes=MAX_FETCH_BYTES,
            timeout_s=FETCH_TIMEOUT_S,
            allow_addresses=self.allow_addresses,
            proxy=self.proxy,
        )
