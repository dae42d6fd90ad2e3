"""One message to one receiver: signed, sent, and what came of it. Runs in the service process.

By Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec 1.0): the signature covers the message's id,
the time of this attempt and the body. The address guard is that of fetched portraits, so a webhook is no way into this
computer or its network either, unless the settings say so.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Protocol

import anyio
import httpcore
import httpx

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.utils.addresses import AddressGuard, parse_url
from backend.utils.guarded_http import GuardedBackend, GuardedTransport, system_resolver, tls_context

# For everything: name, connection, answer. A receiver is to say "got it" and work afterwards.
TIMEOUT_S = 15.0
# What a receiver answers is not looked at; this much is read so that it need not see a broken connection.
MAX_ANSWER_BYTES = 4096
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix, not a secret
# The specification asks for 24 to 64.
_SECRET_BYTES = 32
_USER_AGENT = "All-in-one/1 (webhook)"


@dataclass(frozen=True)
class Message:
    """What is sent. `webhook_id` stays the same however often it is sent."""

    webhook_id: str
    url: str
    secret: str
    body: bytes


@dataclass(frozen=True)
class Sent:
    """How an attempt ended. `error` None: the receiver took it. `refused_for_good`: it wants nothing more."""

    status: int | None = None
    error: str | None = None
    refused_for_good: bool = False


class Sender(Protocol):
    """The seam to the network."""

    def check(self, url: str) -> None:
        """Refuse what the URL alone shows to be wrong. Raises InputError(fetch_refused)."""

    async def send(self, message: Message, *, at_s: int) -> Sent:
        """Never raises for what the receiver or the network does. `at_s`: now, s since 1970."""


class WebhookSender:
    """Sends by HTTP, one connection each."""

    def __init__(self, *, allow_private: bool) -> None:
        self._guard = AddressGuard(system_resolver, allow_private=allow_private)

    def check(self, url: str) -> None:
        """See `Sender.check`."""
        try:
            self._guard.check_url(parse_url(url))
        except InputError as error:
            raise InputError(
                ErrorCode.FETCH_REFUSED,
                f"The address of the webhook cannot be used. {error.detail}",
                hint="Use a public http or https address. For one on this computer or in the local network, set "
                "WEBHOOK_ALLOW_PRIVATE=true in .env.",
            ) from error

    async def send(self, message: Message, *, at_s: int) -> Sent:
        """See `Sender.send`."""
        try:
            with anyio.fail_after(TIMEOUT_S):
                status = await self._post(message, at_s)
        except InputError as error:
            return Sent(error=error.detail)
        except TimeoutError:
            return Sent(error=f"The receiver did not answer within {TIMEOUT_S:.0f} seconds.")
        except (httpx.HTTPError, httpx.InvalidURL, httpcore.NetworkError, httpcore.TimeoutException):
            return Sent(error="The receiver could not be reached.")
        except (httpcore.ProtocolError, OSError, ValueError):
            return Sent(error="The receiver does not answer properly.")
        if 200 <= status < 300:
            return Sent(status)
        return Sent(
            status,
            f"The receiver answered with status {status}.",
            refused_for_good=status == httpx.codes.GONE,
        )

    async def _post(self, message: Message, at_s: int) -> int:
        target = parse_url(message.url)
        self._guard.check_url(target)
        tls = await asyncio.to_thread(tls_context)
        transport = GuardedTransport(GuardedBackend(self._guard, httpcore.AnyIOBackend()), tls)
        headers = {
            "User-Agent": _USER_AGENT,
            "Content-Type": "application/json",
            "webhook-id": message.webhook_id,
            "webhook-timestamp": str(at_s),
            "webhook-signature": signature(message, at_s),
        }
        async with (
            httpx.AsyncClient(transport=transport, trust_env=False, timeout=TIMEOUT_S) as client,
            client.stream(
                "POST", target, content=message.body, headers=headers, follow_redirects=False
            ) as response,
        ):
            received = 0
            async for chunk in response.aiter_raw():
                received += len(chunk)
                if received >= MAX_ANSWER_BYTES:
                    break
            return response.status_code


def new_secret() -> str:
    """A fresh signing secret, as receivers' libraries take it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(message: Message, at_s: int) -> str:
    """`v1,` and the base64 of the HMAC-SHA256 over `id.timestamp.body`."""
    key = base64.b64decode(message.secret.removeprefix(SECRET_PREFIX))
    signed = f"{message.webhook_id}.{at_s}.".encode() + message.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
