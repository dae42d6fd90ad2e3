"""Who may use the API: keys and page sessions. Runs in the service process.

On loopback nothing is asked for unless API_KEY is set. On any other address a key is needed: API_KEY, or one
that is made at the first start, shown once in the terminal and kept only as a hash. The page trades the key for
a session cookie, a signed expiry time, so that no list of sessions has to be kept.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sys
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError, RequestError
from backend.services.wrong_keys import WrongKeys
from backend.storage.settings_kv import SettingsRepository
from backend.utils.clock import Clock
from backend.utils.config import Settings

KEY_FLAG = "api_key"
# A month: a phone on the sofa should not ask every evening.
SESSION_S = 30 * 24 * 3600
_KEY_BYTES = 20


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


class Access:
    """Decides about keys and session tokens. Refuses everything until `load` has run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loaded = False
        self._key_digest: bytes | None = None
        self._session_secret = b""
        self._wrong = WrongKeys(clock)

    async def load(self, settings: Settings, flags: SettingsRepository) -> None:
        """Learn or make the key. Raises ProductError, or what the store raises: without a key nothing is served."""
        if settings.api_key is not None:
            self._key_digest = _digest(settings.api_key.get_secret_value())
        elif not settings.is_loopback:
            self._key_digest = await self._stored_or_new(flags)
        if self._key_digest is not None:
            # Bound to the key: whoever changes the key ends all sessions.
            self._session_secret = hashlib.sha256(b"session:" + self._key_digest).digest()
        self._loaded = True

    async def _stored_or_new(self, flags: SettingsRepository) -> bytes:
        stored = await flags.get(KEY_FLAG)
        if stored is not None:
            return _digest_in(stored)
        key = "aio_" + secrets.token_hex(_KEY_BYTES)
        digest = _digest(key)
        # Shown before it is kept: if the service dies in between, the next start shows a new one. The other
        # way round nobody would ever have seen the key that counts.
        _show(key)
        await flags.set(KEY_FLAG, {"sha256": digest.hex()})
        return digest

    @property
    def is_required(self) -> bool:
        """Whether callers must show something."""
        return self._key_digest is not None or not self._loaded

    def accepts_key(self, key: str, caller: str = "") -> bool:
        """Compared in constant time. `caller`, a network address, is not heard after too many wrong keys."""
        if self._key_digest is None or self._wrong.must_wait(caller):
            return False
        is_right = hmac.compare_digest(_digest(key), self._key_digest)
        if not is_right:
            self._wrong.note(caller)
        return is_right

    def accepts_session(self, token: str) -> bool:
        """Whether a cookie is one of ours and has not run out."""
        expiry, _, signature = token.partition(".")
        if self._key_digest is None or not (expiry.isascii() and expiry.isdigit()) or len(expiry) > 12:
            return False
        # As bytes: compare_digest refuses text that is not ASCII, and a cookie may hold anything.
        is_ours = hmac.compare_digest(self._sign(expiry).encode(), signature.encode())
        return is_ours and int(expiry) * 1000 > self._clock.now_ms()

    def open_session(self, key: str, caller: str = "") -> str:
        """A token for the right key. Raises `unauthorized`, and `rate_limited` after too many wrong ones."""
        if self._wrong.must_wait(caller):
            raise RequestError(
                ErrorCode.RATE_LIMITED, "Too many tries to log in.", hint="Wait a minute, then try again."
            )
        if not self.accepts_key(key, caller):
            raise RequestError(
                ErrorCode.UNAUTHORIZED,
                "That is not the key.",
                hint="The key was shown in the terminal at the first start, or it is API_KEY in .env.",
            )
        expiry = str(self._clock.now_ms() // 1000 + SESSION_S)
        return f"{expiry}.{self._sign(expiry)}"

    def _sign(self, expiry: str) -> str:
        return hmac.new(self._session_secret, expiry.encode(), hashlib.sha256).hexdigest()


def _digest_in(stored: dict[str, Any]) -> bytes:
    try:
        digest = bytes.fromhex(str(stored["sha256"]))
    except (KeyError, ValueError) as error:
        raise _no_key("The stored key of this service is damaged.") from error
    if len(digest) != hashlib.sha256().digest_size:
        raise _no_key("The stored key of this service is damaged.")
    return digest


def _show(key: str) -> None:
    """To the terminal alone: a log file would keep it. Raises ProductError where there is no terminal."""
    terminal = sys.stderr
    try:
        if terminal is None:
            raise OSError("there is no standard error")
        terminal.write(
            "\n  This service can be reached from other machines, so a key is needed.\n"
            "  密钥只显示这一次，请妥善保存。 It is shown only this once:\n\n"
            f"      {key}\n\n"
        )
        terminal.flush()
    except (OSError, ValueError) as error:
        raise _no_key("A key is needed, and there is no terminal to show a new one in.") from error


def _no_key(reason: str) -> ProductError:
    return ProductError(
        ErrorCode.UNAUTHORIZED,
        reason,
        hint="Set API_KEY in .env to a key of your own, or HOST=127.0.0.1 to serve this machine alone.",
    )
