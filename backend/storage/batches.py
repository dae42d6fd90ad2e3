"""Batches: many jobs accepted as one. Runs in the service process.

A batch, its jobs and its idempotency key are one transaction: a crash leaves all of them or none, so a caller
who got no answer may send the same batch again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from backend.models.batch_records import BatchRecord, BatchTally
from backend.models.codes import ErrorCode, JobState, JobStatus
from backend.models.errors import RequestError, UnknownId
from backend.models.records import JobRecord, NewJob, public_status
from backend.storage.cursors import MAX_PAGE, make_cursor, read_cursor
from backend.storage.db import Database, Transaction
from backend.storage.job_rows import dump, job_from_row
from backend.storage.job_tables import JobTables
from backend.utils.clock import Clock

_INSERT = """
INSERT INTO batches (batch_id, owner, title, idempotency_key, request_sha256, items_json, created_at)
VALUES (:batch_id, :owner, :title, :key, :sha256, '[]', :now) RETURNING *
"""
_SET_ITEMS = "UPDATE batches SET items_json = :items WHERE batch_id = :batch_id RETURNING *"
_BY_KEY = "SELECT * FROM batches WHERE owner = :owner AND idempotency_key = :key"
_BY_ID = "SELECT * FROM batches WHERE batch_id = :batch_id"
_PAGE = "SELECT * FROM batches WHERE seq < :after ORDER BY seq DESC LIMIT :limit"
JOBS = "SELECT * FROM jobs WHERE batch_id = :batch_id AND deleted_at IS NULL ORDER BY seq"
TALLY = """
SELECT batch_id, state, fallback_reason IS NOT NULL AS fell_back, cancel_requested_at IS NOT NULL AS cancelling,
  count(*) AS jobs, SUM(progress) AS progress
FROM jobs WHERE batch_id IN (SELECT value FROM json_each(:batch_ids)) AND deleted_at IS NULL GROUP BY 1, 2, 3, 4
"""
# Waiting ones first: when a running one is stopped before, the next would be claimed in between.
TO_CANCEL = """
SELECT job_id FROM jobs WHERE batch_id = :batch_id AND state IN ('queued','running') ORDER BY state, seq
"""


class BatchesRepository:
    """Batches by id. `jobs` holds the verbs that make and stop a job inside a transaction."""

    def __init__(self, db: Database, clock: Clock, jobs: JobTables) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs

    async def replay_of(self, key: str, request_sha256: str, *, owner: str = "") -> BatchRecord | None:
        """The batch that this key made before, if any. Raises `idempotency_conflict` for another request."""
        return _same(await self._db.one(_BY_KEY, {"owner": owner, "key": key}), request_sha256)

    async def create(
        self,
        batch_id: str,
        *,
        title: str,
        request_sha256: str,
        idempotency_key: str | None,
        items: Sequence[NewJob | Mapping[str, Any]],
        owner: str = "",
    ) -> tuple[BatchRecord, bool]:
        """Accept what can be accepted; returns the batch and whether the key replayed an earlier one.

        An item is a job, or the error (code, detail, hint) for which it was refused before. A job that finds the
        queue full becomes such an error, and the rest goes on.
        """

        async def body(transaction: Transaction) -> tuple[BatchRecord, bool]:
            if idempotency_key is not None:
                row = await transaction.one(_BY_KEY, {"owner": owner, "key": idempotency_key})
                replayed = _same(row, request_sha256)
                if replayed is not None:
                    return replayed, True
            params = {
                "batch_id": batch_id,
                "owner": owner,
                "title": title,
                "key": idempotency_key,
                "sha256": request_sha256,
                "now": self._clock.now_ms(),
            }
            await transaction.run(_INSERT, params)
            results = []
            for index, item in enumerate(items):
                job_id, error = await self._accept(transaction, item)
                results.append({"index": index, "job_id": job_id, "error": error})
            row = await transaction.one(_SET_ITEMS, {"batch_id": batch_id, "items": dump(results)})
            if row is None:  # pragma: no cover - inserted a statement ago
                raise AssertionError("the batch row vanished")
            return _batch(row), False

        return await self._db.write(body)

    async def _accept(
        self, transaction: Transaction, item: NewJob | Mapping[str, Any]
    ) -> tuple[str | None, Mapping[str, Any] | None]:
        if not isinstance(item, NewJob):
            return None, dict(item)
        try:
            # Only a full queue is refused here, before anything of the job is written.
            return (await self._jobs.insert(transaction, item, retry_of=None)).job_id, None
        except RequestError as error:
            return None, {"code": error.code.value, "detail": error.detail, "hint": error.hint}

    async def get(self, batch_id: str) -> BatchRecord:
        """One batch. Raises `UnknownId`."""
        row = await self._db.one(_BY_ID, {"batch_id": batch_id})
        if row is None:
            raise batch_not_found(batch_id)
        return _batch(row)

    async def jobs(self, batch_id: str) -> list[JobRecord]:
        """Its jobs that are not deleted, in order."""
        return [job_from_row(row) for row in await self._db.all(JOBS, {"batch_id": batch_id})]

    async def page(self, *, limit: int, cursor: str | None) -> tuple[list[BatchRecord], str | None]:
        """Batches, newest first, and the cursor of the next page."""
        limit = max(1, min(limit, MAX_PAGE))
        rows = await self._db.all(_PAGE, {"after": read_cursor(cursor, "desc"), "limit": limit + 1})
        found = [_batch(row) for row in rows[:limit]]
        return found, make_cursor(found[-1].seq, "desc") if len(rows) > limit else None

    async def tallies(self, batch_ids: Collection[str]) -> dict[str, BatchTally]:
        """How far each of these batches is; every status is a key of every count."""
        counts = {batch_id: dict.fromkeys(JobStatus, 0) for batch_id in batch_ids}
        progress = dict.fromkeys(batch_ids, 0.0)
        for row in await self._db.all(TALLY, {"batch_ids": dump(list(batch_ids))}):
            status = public_status(
                JobState(row["state"]),
                fell_back=bool(row["fell_back"]),
                cancel_requested=bool(row["cancelling"]),
            )
            counts[row["batch_id"]][status] += row["jobs"]
            progress[row["batch_id"]] += row["progress"]
        return {batch_id: BatchTally(counts[batch_id], progress[batch_id]) for batch_id in batch_ids}

    async def cancel(self, batch_id: str) -> list[str]:
        """Ask all its jobs to stop, as one; returns the ids of those that had not ended."""

        async def body(transaction: Transaction) -> list[str]:
            now = self._clock.now_ms()
            rows = await transaction.all(TO_CANCEL, {"batch_id": batch_id})
            for row in rows:
                await self._jobs.ask_to_stop(transaction, row["job_id"], now)
            return [row["job_id"] for row in rows]

        return await self._db.write(body)


def batch_not_found(batch_id: str) -> UnknownId:
    """The answer for an id that does not exist."""
    return UnknownId(f"There is no batch {batch_id}.", hint="List the batches with GET /api/batches.")


def _same(row: sqlite3.Row | None, request_sha256: str) -> BatchRecord | None:
    if row is None:
        return None
    if row["request_sha256"] != request_sha256:
        raise RequestError(
            ErrorCode.IDEMPOTENCY_CONFLICT,
            "This Idempotency-Key was used before with another batch.",
            hint="Use a new key for a new batch, or send the same body again.",
        )
    return _batch(row)


def _batch(row: sqlite3.Row) -> BatchRecord:
    return BatchRecord(
        seq=row["seq"],
        batch_id=row["batch_id"],
        title=row["title"],
        request_sha256=row["request_sha256"],
        items=tuple(json.loads(row["items_json"])),
        created_at=row["created_at"],
    )
