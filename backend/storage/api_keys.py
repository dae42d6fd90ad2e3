"""Rows of the keys that were made on the page. The key itself is never here, only its SHA-256. Service process."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError, UnknownId
from backend.storage.db import Database, Transaction
from backend.utils.clock import Clock

# Each shown key is compared with all of them; and a person still knows what each is for.
MAX_KEYS = 50

_INSERT = """
INSERT INTO api_keys (key_id, name, sha256, prefix, created_at)
SELECT :key_id, :name, :sha256, :prefix, :now WHERE (SELECT count(*) FROM api_keys) < :most
RETURNING *
"""
_ALL = "SELECT * FROM api_keys ORDER BY created_at DESC, key_id"
_DELETE = "DELETE FROM api_keys WHERE key_id = :key_id RETURNING key_id"
_USED = "UPDATE api_keys SET last_used_at = :at WHERE key_id = :key_id"


@dataclass(frozen=True)
class ApiKeyRecord:
    """Times are ms since 1970 UTC. `prefix`: the beginning of the key, by which people know it again."""

    key_id: str
    name: str
    digest: bytes
    prefix: str
    created_at: int
    last_used_at: int | None


class ApiKeysRepository:
    """Keys by id."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list_all(self) -> list[ApiKeyRecord]:
        """All keys, newest first."""
        return [_record(row) for row in await self._db.all(_ALL)]

    async def create(self, key_id: str, name: str, digest: bytes, prefix: str) -> ApiKeyRecord:
        """Write a key. Raises `rate_limited` beyond MAX_KEYS."""
        params = {
            "key_id": key_id,
            "name": name,
            "sha256": digest.hex(),
            "prefix": prefix,
            "now": self._clock.now_ms(),
            "most": MAX_KEYS,
        }
        row = await self._db.write(lambda transaction: transaction.one(_INSERT, params))
        if row is None:
            raise RequestError(
                ErrorCode.RATE_LIMITED,
                f"There are {MAX_KEYS} keys already.",
                hint="Delete keys that are no longer used.",
            )
        return _record(row)

    async def delete(self, key_id: str) -> None:
        """Forget a key. Raises `UnknownId`."""
        if await self._db.write(lambda transaction: transaction.one(_DELETE, {"key_id": key_id})) is None:
            raise UnknownId("There is no such key.", hint="List the keys with GET /api/keys.")

    async def note_uses(self, used_at: Mapping[str, int]) -> None:
        """When each of these was last used, ms; keys that are gone are passed over."""

        async def body(transaction: Transaction) -> None:
            for key_id, at in used_at.items():
                await transaction.run(_USED, {"key_id": key_id, "at": at})

        await self._db.write(body)


def _record(row: sqlite3.Row) -> ApiKeyRecord:
    return ApiKeyRecord(
        key_id=row["key_id"],
        name=row["name"],
        digest=bytes.fromhex(row["sha256"]),
        prefix=row["prefix"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
    )
