"""Drafts: what a page keeps of work that is not sent yet, so that a reload loses nothing. Runs in the service process.

Every save names the revision that it changes; two pages that write at once are told apart by it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import OutOfDate, RequestError, UnknownId
from backend.models.library_records import DraftHead, DraftRecord
from backend.storage.db import Database, Transaction
from backend.storage.job_rows import dump
from backend.utils.clock import Clock

# One for each screen with a form, and some for scripts that are kept aside; 200 kB each at most.
MAX_DRAFTS = 100

_BY_NAME = "SELECT * FROM drafts WHERE name = :name"
_ALL = "SELECT name, revision, saved_at FROM drafts ORDER BY saved_at DESC, name"
_COUNT = "SELECT count(*) FROM drafts"
_SAVE = """
INSERT INTO drafts (name, body_json, revision, saved_at) VALUES (:name, :body, :revision, :now)
ON CONFLICT (name) DO UPDATE SET body_json = excluded.body_json, revision = excluded.revision,
  saved_at = excluded.saved_at
RETURNING *
"""
_DELETE = "DELETE FROM drafts WHERE name = :name RETURNING name"


class DraftsRepository:
    """Drafts by name."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list_all(self) -> list[DraftHead]:
        """All drafts, the one saved last first. Without the bodies: together they may be 20 MB."""
        rows = await self._db.all(_ALL)
        return [DraftHead(row["name"], row["revision"], row["saved_at"]) for row in rows]

    async def get(self, name: str) -> DraftRecord:
        """One draft. Raises `UnknownId`."""
        row = await self._db.one(_BY_NAME, {"name": name})
        if row is None:
            raise _unknown()
        return _draft(row)

    async def save(self, name: str, body_: Mapping[str, Any], *, revision: int | None) -> DraftRecord:
        """Write the draft; `revision` is the one it replaces, None when there is none yet.

        Raises `OutOfDate` for another revision than the stored one, `rate_limited` beyond MAX_DRAFTS.
        """

        async def body(transaction: Transaction) -> DraftRecord:
            row = await transaction.one(_BY_NAME, {"name": name})
            stored = None if row is None else int(row["revision"])
            if stored != revision:
                raise _out_of_date(stored)
            if stored is None:
                count = await transaction.one(_COUNT)
                if count is not None and count[0] >= MAX_DRAFTS:
                    raise RequestError(
                        ErrorCode.RATE_LIMITED,
                        f"There are {MAX_DRAFTS} drafts already.",
                        hint="Delete drafts that are no longer needed.",
                    )
            params = {
                "name": name,
                "body": dump(dict(body_)),
                "revision": (stored or 0) + 1,
                "now": self._clock.now_ms(),
            }
            saved = await transaction.one(_SAVE, params)
            if saved is None:  # pragma: no cover - INSERT ... RETURNING always returns its row
                raise AssertionError("the draft was not written")
            return _draft(saved)

        return await self._db.write(body)

    async def delete(self, name: str) -> None:
        """Forget a draft. Raises `UnknownId`."""
        if await self._db.write(lambda transaction: transaction.one(_DELETE, {"name": name})) is None:
            raise _unknown()


def _unknown() -> UnknownId:
    return UnknownId("There is no such draft.", hint="List the drafts with GET /api/drafts.")


def _out_of_date(stored: int | None) -> OutOfDate:
    found = "there is no such draft (any more)" if stored is None else f"the stored revision is {stored}"
    return OutOfDate(
        f"The draft was changed elsewhere: {found}.",
        field="revision",
        hint="Read it with GET and save again with its revision.",
    )


def _draft(row: sqlite3.Row) -> DraftRecord:
    return DraftRecord(row["name"], json.loads(row["body_json"]), row["revision"], row["saved_at"])
