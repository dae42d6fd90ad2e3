"""Rows of the project's dictionary: a term and how it is read. Runs in the service process."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError, UnknownId
from backend.storage.db import Database, Transaction
from backend.utils.clock import Clock

# Every sentence of every script is searched for all terms; and a person can still look through these.
MAX_ENTRIES = 1000

_WRITE = """
INSERT INTO dictionary (term, reading, language, created_at)
SELECT :term, :reading, :language, :now
  WHERE EXISTS (SELECT 1 FROM dictionary WHERE term = :term) OR (SELECT count(*) FROM dictionary) < :most
ON CONFLICT (term) DO UPDATE SET reading = excluded.reading, language = excluded.language
RETURNING *
"""
_DELETE = "DELETE FROM dictionary WHERE term = :term RETURNING term"
_ALL = "SELECT * FROM dictionary ORDER BY created_at DESC, term"


@dataclass(frozen=True)
class DictionaryEntry:
    """`created_at` is ms since 1970 UTC; a new reading for a known term keeps it."""

    term: str
    reading: str
    language: str
    created_at: int


class DictionaryRepository:
    """Entries by term."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def put(self, term: str, reading: str, language: str) -> DictionaryEntry:
        """Add or replace a reading. Raises `rate_limited` beyond MAX_ENTRIES."""
        params = {
            "term": term,
            "reading": reading,
            "language": language,
            "most": MAX_ENTRIES,
            "now": self._clock.now_ms(),
        }

        async def body(transaction: Transaction) -> sqlite3.Row | None:
            return await transaction.one(_WRITE, params)

        row = await self._db.write(body)
        if row is None:
            raise RequestError(
                ErrorCode.RATE_LIMITED,
                f"The dictionary holds {MAX_ENTRIES} terms already.",
                hint="Delete terms that are no longer needed.",
            )
        return _entry(row)

    async def delete(self, term: str) -> None:
        """Forget a term. Raises `UnknownId`."""
        if await self._db.write(lambda transaction: transaction.one(_DELETE, {"term": term})) is None:
            raise UnknownId(
                "The dictionary does not hold this term.", hint="List the terms with GET /api/dictionary."
            )

    async def list_all(self) -> list[DictionaryEntry]:
        """All entries, newest first."""
        return [_entry(row) for row in await self._db.all(_ALL)]


def _entry(row: sqlite3.Row) -> DictionaryEntry:
    return DictionaryEntry(row["term"], row["reading"], row["language"], row["created_at"])
