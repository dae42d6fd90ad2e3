"""Who may use the API: keys and page sessions. Runs in the service process.

On loopback nothing is asked for unless API_KEY is set. On any other address a key is needed: API_KEY, or one
that is made at the first start, shown once in the terminal and kept only as a hash. The page trades the key for
a session cookie, a signed expiry time, so that no list of sessions has to be kept.

That key is the owner's. Keys made on the page (`key_ring.py`) open the same doors but two: who came in with one may
neither manage keys nor change settings, also not through a session that was opened with it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sys
from typing import Any, Protocol

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError, RequestError
from backend.services.key_ring import digest_of
from backend.services.wrong_keys import WrongKeys
from backend.storage.settings_kv import SettingsRepository
from backend.utils.clock import Clock
from backend.utils.config import Settings

KEY_FLAG = "api_key"
# A month: a phone on the sofa should not ask every evening.
SESSION_S = 30 * 24 * 3600
_KEY_BYTES = 20
# Who came in with the key of the settings or of the first start. No id of a key looks like this.
OWNER = "owner"


class OtherKeys(Protocol):
    """Keys besides the owner's; `KeyRing` is the real one."""

    def holder_of(self, key: str) -> str | None: ...

    def holds(self, key_id: str) -> bool: ...

    def note_use(self, key_id: str) -> None: ...


class NoOtherKeys:
    """Before the ring is there."""

    def holder_of(self, key: str) -> str | None:
        return None

    def holds(self, key_id: str) -> bool:
        return False

    def note_use(self, key_id: str) -> None:
        """Nobody uses what is not there."""


class Access:
    """Decides about keys and session tokens. Refuses everything until `load` has run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loaded = False
        self._key_digest: bytes | None = None
        self._session_secret = b""
        self._wrong = WrongKeys(clock)
        self._others: OtherKeys = NoOtherKeys()

    def use(self, others: OtherKeys) -> None:
        """Let these keys in too, where a key is asked for."""
        self._others = others

    async def load(self, settings: Settings, flags: SettingsRepository) -> None:
        """Learn or make the key. Raises ProductError, or what the store raises: without a key nothing is served."""
        if settings.api_key is not None:
            self._key_digest = digest_of(settings.api_key.get_secret_value())
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
        digest = digest_of(key)
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
        return self._holder(key, caller) is not None

    def is_owner_key(self, key: str, caller: str = "") -> bool:
        """Whether it is API_KEY or the key of the first start."""
        return self._holder(key, caller) == OWNER

    def _holder(self, key: str, caller: str) -> str | None:
        """OWNER, the id of a key of the page, or None for a wrong one."""
        if self._key_digest is None or self._wrong.must_wait(caller):
            return None
        is_owner = hmac.compare_digest(digest_of(key), self._key_digest)
        other = self._others.holder_of(key)
        if is_owner:
            return OWNER
        if other is None:
            self._wrong.note(caller)
        else:
            self._others.note_use(other)
        return other

    def accepts_session(self, token: str) -> bool:
        """Whether a cookie is one of ours and has not run out."""
        return self._session_holder(token) is not None

    def is_owner_session(self, token: str) -> bool:
        return self._session_holder(token) == OWNER

    def _session_holder(self, token: str) -> str | None:
        """Whose key opened it. A session of the owner is `expiry.signature`, another one `expiry.key_id.signature`."""
        claim, _, signature = token.rpartition(".")
        expiry, _, key_id = claim.partition(".")
        if self._key_digest is None or not (expiry.isascii() and expiry.isdigit()) or len(expiry) > 12:
            return None
        # As bytes: compare_digest refuses text that is not ASCII, and a cookie may hold anything.
        shown = signature.encode("utf-8", "surrogatepass")
        is_ours = hmac.compare_digest(self._sign(claim).encode(), shown)
        if not is_ours or int(expiry) * 1000 <= self._clock.now_ms():
            return None
        if key_id and not self._others.holds(key_id):
            return None
        return key_id or OWNER

    def open_session(self, key: str, caller: str = "") -> str:
        """A token for the right key. Raises `unauthorized`, and `rate_limited` after too many wrong ones."""
        if self._wrong.must_wait(caller):
            raise RequestError(
                ErrorCode.RATE_LIMITED, "Too many tries to log in.", hint="Wait a minute, then try again."
            )
        holder = self._holder(key, caller)
        if holder is None:
            raise RequestError(
                ErrorCode.UNAUTHORIZED,
                "That is not the key.",
                hint="The key was shown in the terminal at the first start, or it is API_KEY in .env.",
            )
        claim = str(self._clock.now_ms() // 1000 + SESSION_S)
        if holder != OWNER:
            claim += f".{holder}"
        return f"{claim}.{self._sign(claim)}"

    def _sign(self, claim: str) -> str:
        return hmac.new(
            self._session_secret, claim.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()


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
