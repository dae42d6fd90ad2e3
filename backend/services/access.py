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
from collections import deque

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.storage.settings_kv import SettingsRepository
from backend.utils.clock import Clock
from backend.utils.config import Settings

KEY_FLAG = "api_key"
# A month: a phone on the sofa should not ask every evening.
SESSION_S = 30 * 24 * 3600
# Guesses per minute over all callers; the key has 160 bits, so this only keeps logs and CPU quiet.
MAX_LOGINS_PER_MINUTE = 10
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
        self._logins: deque[float] = deque()

    async def load(self, settings: Settings, flags: SettingsRepository) -> None:
        """Learn or make the key. Raises what the store raises: without a key nothing is served."""
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
            return bytes.fromhex(str(stored["sha256"]))
        key = "aio_" + secrets.token_hex(_KEY_BYTES)
        digest = _digest(key)
        await flags.set(KEY_FLAG, {"sha256": digest.hex()})
        # To the terminal alone: a log file would keep it.
        sys.stderr.write(
            "\n  This service can be reached from other machines, so a key is needed.\n"
            "  密钥只显示这一次，请妥善保存。 It is shown only this once:\n\n"
            f"      {key}\n\n"
        )
        sys.stderr.flush()
        return digest

    @property
    def is_required(self) -> bool:
        """Whether callers must show something."""
        return self._key_digest is not None or not self._loaded

    def accepts_key(self, key: str) -> bool:
        """Compared in constant time."""
        return self._key_digest is not None and hmac.compare_digest(_digest(key), self._key_digest)

    def accepts_session(self, token: str) -> bool:
        """Whether a cookie is one of ours and has not run out."""
        expiry, _, signature = token.partition(".")
        if self._key_digest is None or not (expiry.isascii() and expiry.isdigit()) or len(expiry) > 12:
            return False
        is_ours = hmac.compare_digest(self._sign(expiry), signature)
        return is_ours and int(expiry) * 1000 > self._clock.now_ms()

    def open_session(self, key: str) -> str:
        """A token for the right key. Raises `unauthorized`, and `rate_limited` after too many tries."""
        now_s = self._clock.monotonic_s()
        while self._logins and now_s - self._logins[0] > 60:
            self._logins.popleft()
        if len(self._logins) >= MAX_LOGINS_PER_MINUTE:
            raise RequestError(
                ErrorCode.RATE_LIMITED, "Too many tries to log in.", hint="Wait a minute, then try again."
            )
        self._logins.append(now_s)
        if not self.accepts_key(key):
            raise RequestError(
                ErrorCode.UNAUTHORIZED,
                "That is not the key.",
                hint="The key was shown in the terminal at the first start, or it is API_KEY in .env.",
            )
        expiry = str(self._clock.now_ms() // 1000 + SESSION_S)
        return f"{expiry}.{self._sign(expiry)}"

    def _sign(self, expiry: str) -> str:
        return hmac.new(self._session_secret, expiry.encode(), hashlib.sha256).hexdigest()
