"""Keys that were made on the page: who may come in besides the owner. Runs in the service process.

The ring is small and held in memory, so a deleted key is refused from that moment on and a request waits for no
database. When a key was last used is written down once a minute at most.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable

from backend.models.access_key import KeyCreated, KeyList, KeyView
from backend.models.errors import ProductError
from backend.storage.api_keys import ApiKeyRecord, ApiKeysRepository
from backend.utils.clock import Clock, iso_from_ms
from backend.utils.ids import new_id
from backend.utils.logger import app_logger

# "Last used" is for people who tidy up; a program that calls ten times a second costs one write a minute.
NOTE_EVERY_S = 60.0
# 160 bits: nobody guesses it, and it still fits a line.
_KEY_BYTES = 20
KEY_MARK = "aio_"
# "aio_" and four digits: enough to tell fifty keys apart, nothing for somebody who guesses.
PREFIX_CHARS = 8


def digest_of(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


class KeyRing:
    """All keys of the page. Call `start` before, `stop` after."""

    def __init__(
        self, rows: ApiKeysRepository, clock: Clock, *, on_death: Callable[[BaseException], None]
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._on_death = on_death
        self._keys: dict[str, ApiKeyRecord] = {}
        self._used_at: dict[str, int] = {}
        self._unwritten: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    # -- life --------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Learn the keys. Idempotent."""
        self._keys = {record.key_id: record for record in await self._rows.list_all()}
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name="key-uses")
            self._task.add_done_callback(self._watch)

    async def stop(self) -> None:
        """Write down what was not yet. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            await self._write_uses()

    def _watch(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            app_logger.critical("the notes about keys died", exc_info=error)
            self._on_death(error)

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            await self._write_uses()

    async def _write_uses(self) -> None:
        # A request on another thread may add one meanwhile: it stays for the next round.
        noted = {
            key_id: self._used_at[key_id] for key_id in tuple(self._unwritten) if key_id in self._used_at
        }
        self._unwritten.difference_update(noted)
        if not noted:
            return
        try:
            await self._rows.note_uses(noted)
        except ProductError as error:
            # A busy database: when the key is used again, it is written then.
            app_logger.warning("when keys were used was not written down: %s", error.detail)

    # -- who may come in ---------------------------------------------------------------------------
    def holder_of(self, key: str) -> str | None:
        """The id of a key that is right, else None. Compared with all of them, in constant time. Any thread."""
        shown = digest_of(key)
        found = None
        for key_id, record in tuple(self._keys.items()):
            if hmac.compare_digest(record.digest, shown):
                found = key_id
        return found

    def holds(self, key_id: str) -> bool:
        return key_id in self._keys

    def note_use(self, key_id: str) -> None:
        """It was used now. Any thread."""
        self._used_at[key_id] = self._clock.now_ms()
        self._unwritten.add(key_id)

    # -- the list ----------------------------------------------------------------------------------
    def all(self) -> KeyList:
        """Newest first."""
        # A copy: this runs on a thread while a key may be made.
        records = list(self._keys.values())
        records.sort(key=lambda record: (-record.created_at, record.key_id))
        return KeyList(data=[self._view(record) for record in records])

    async def create(self, name: str) -> KeyCreated:
        """A new key, which is told only here. Raises `rate_limited` beyond MAX_KEYS."""
        key = KEY_MARK + secrets.token_hex(_KEY_BYTES)
        record = await self._rows.create(new_id("key"), name, digest_of(key), key[:PREFIX_CHARS])
        self._keys[record.key_id] = record
        app_logger.info("key %s was made", record.key_id)
        return KeyCreated(**self._view(record).model_dump(), key=key)

    async def delete(self, key_id: str) -> None:
        """Refuse it from now on, with the sessions that were opened with it. Raises `UnknownId`; after another error
        (a full disk) it is refused until the next start, and has to be deleted again."""
        self._keys.pop(key_id, None)
        self._used_at.pop(key_id, None)
        await self._rows.delete(key_id)
        app_logger.info("key %s was deleted", key_id)

    def _view(self, record: ApiKeyRecord) -> KeyView:
        used_at = self._used_at.get(record.key_id, record.last_used_at)
        return KeyView(
            key_id=record.key_id,
            name=record.name,
            prefix=record.prefix,
            created_at=iso_from_ms(record.created_at),
            last_used_at=None if used_at is None else iso_from_ms(used_at),
        )
