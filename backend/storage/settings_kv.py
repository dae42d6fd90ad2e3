"""Small flags that must survive a restart: the queue's pause, the hash of the API key.

Runs in the service process. A value is a JSON object; a missing row means "never set".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backend.storage.db import Database, Transaction
from backend.utils.clock import Clock

# The claim statement looks for this row itself: paused and claimed cannot race.
QUEUE_PAUSED = "queue_paused"

_READ = "SELECT value_json, updated_at FROM settings_kv WHERE key = :key"
_WRITE = """
INSERT INTO settings_kv (key, value_json, updated_at) VALUES (:key, :value_json, :now)
ON CONFLICT (key) DO UPDATE SET value_json = excluded.value_json, updated_at = excluded.updated_at
"""
_WRITE_FIRST = """
INSERT INTO settings_kv (key, value_json, updated_at) VALUES (:key, :value_json, :now)
ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING value_json
"""
_DELETE = "DELETE FROM settings_kv WHERE key = :key"


async def read_flag(db: Database, key: str) -> tuple[dict[str, Any], int] | None:
    """The value and when it was set (ms UTC)."""
    row = await db.one(_READ, {"key": key})
    return None if row is None else (json.loads(row["value_json"]), row["updated_at"])


async def write_flag(transaction: Transaction, key: str, value: Mapping[str, Any], now: int) -> None:
    """Set a flag inside the caller's transaction."""
    await transaction.run(_WRITE, {"key": key, "value_json": json.dumps(dict(value)), "now": now})


async def delete_flag(transaction: Transaction, key: str) -> None:
    """Remove a flag inside the caller's transaction."""
    await transaction.run(_DELETE, {"key": key})


class SettingsRepository:
    """Flags, one transaction each."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def get(self, key: str) -> dict[str, Any] | None:
        """The value, or None when it was never set."""
        found = await read_flag(self._db, key)
        return None if found is None else found[0]

    async def set(self, key: str, value: Mapping[str, Any]) -> None:
        """Set or replace a value."""
        now = self._clock.now_ms()
        await self._db.write(lambda transaction: write_flag(transaction, key, value, now))

    async def get_or_set(self, key: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """The value, which is `value` from now on when it was never set. Callers that race get the same one."""
        params = {"key": key, "value_json": json.dumps(dict(value)), "now": self._clock.now_ms()}
        row = await self._db.write(lambda transaction: transaction.one(_WRITE_FIRST, params))
        if row is None:  # pragma: no cover - INSERT ... RETURNING always returns its row
            raise AssertionError("the flag was not written")
        kept: dict[str, Any] = json.loads(row["value_json"])
        return kept

    async def delete(self, key: str) -> None:
        """Forget a value; nothing happens when there is none."""
        await self._db.write(lambda transaction: delete_flag(transaction, key))
