"""What all verbs on jobs share: the database, the clock, the limit, and how a job's rows are born.

Runs in the service process. The helpers with a transaction argument are parts of a caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from backend.models.codes import STAGE_ORDER, ErrorCode
from backend.models.errors import RequestError
from backend.models.records import EventType, JobRecord, NewJob
from backend.storage import job_queue_sql as sql
from backend.storage.db import Database, Transaction
from backend.storage.job_fence import CANCELLED_MESSAGE
from backend.storage.job_rows import append_event, dump, dump_or_none, job_from_row
from backend.storage.search_text import fold
from backend.utils.clock import Clock

# More waiting jobs than this is weeks of work on one PC; a runaway script is told so early.
MAX_QUEUED = 1000


def job_not_found(job_id: str) -> RequestError:
    """The answer for an id that does not exist."""
    return RequestError(
        ErrorCode.JOB_NOT_FOUND, f"There is no job {job_id}.", hint="List the jobs with GET /api/jobs."
    )


def _insert_params(new: NewJob, *, retry_of: str | None, now: int) -> dict[str, object]:
    """Parameters of INSERT_JOB."""
    return {
        "job_id": new.job_id,
        "owner": new.owner,
        "title": new.title,
        "search_text": fold(new.search_text),
        "priority": new.priority,
        "request_json": dump(dict(new.request)),
        "request_sha256": new.request_sha256,
        "idempotency_key": new.idempotency_key,
        "engine_plan_json": dump(list(new.engine_plan)),
        "selected_engine": new.selected_engine or new.engine_plan[0],
        "fallback_reason": new.fallback_reason,
        "seed": new.seed,
        "draft": int(new.draft),
        "notice_json": dump_or_none(dict(new.notice) if new.notice is not None else None),
        "retry_of": retry_of,
        "batch_id": new.batch_id,
        "folder_id": new.folder_id,
        "promoted_from": new.promoted_from,
        "now": now,
    }


def _voices(request: Mapping[str, Any]) -> list[str]:
    """The voices that speak, for `job_voices`."""
    speakers = request.get("speakers") or [request]
    return [speaker["voice_id"] for speaker in speakers if "voice_id" in speaker]


class JobTables:
    """Base of the verb classes."""

    def __init__(self, db: Database, clock: Clock, *, max_queued: int = MAX_QUEUED) -> None:
        self._db = db
        self._clock = clock
        self._max_queued = max_queued

    async def replay_of(self, transaction: Transaction, new: NewJob) -> JobRecord | None:
        """The job that this idempotency key made before, if any; raises on another request hash."""
        if new.idempotency_key is None:
            return None
        row = await transaction.one(sql.BY_IDEMPOTENCY_KEY, {"owner": new.owner, "key": new.idempotency_key})
        return None if row is None else same_request(row, new.request_sha256)

    async def insert(self, transaction: Transaction, new: NewJob, *, retry_of: str | None) -> JobRecord:
        """Write a new job with its stages, inputs and first event; raises `queue_full`."""
        waiting = await transaction.one(sql.COUNT_QUEUED, {"limit": self._max_queued})
        if waiting is not None and waiting[0] >= self._max_queued:
            raise RequestError(
                ErrorCode.QUEUE_FULL,
                f"{self._max_queued} jobs are waiting already.",
                hint="Wait for some to finish or cancel some, then send this one again.",
            )
        now = self._clock.now_ms()
        row = await transaction.one(sql.INSERT_JOB, _insert_params(new, retry_of=retry_of, now=now))
        if row is None:  # pragma: no cover - INSERT ... RETURNING always returns its row
            raise AssertionError("the job row was not written")
        names = dump([name.value for name in STAGE_ORDER])
        await transaction.run(sql.INSERT_STAGES, {"job_id": new.job_id, "names": names})
        if voices := _voices(new.request):
            await transaction.run(sql.INSERT_VOICES, {"seq": row["seq"], "voices": dump(voices)})
        if new.inputs:
            await transaction.run(sql.INSERT_INPUTS, {"job_id": new.job_id, "inputs": dump(dict(new.inputs))})
        job = job_from_row(row)
        await append_event(transaction, job, EventType.QUEUED, now)
        return job

    async def ask_to_stop(self, transaction: Transaction, job_id: str, now: int) -> JobRecord | None:
        """Cancel a job that waits, flag one that runs. None: it had ended, was asked before, or never was."""
        row = await transaction.one(
            sql.CANCEL_QUEUED, {"job_id": job_id, "now": now, "message": CANCELLED_MESSAGE}
        )
        kind = EventType.CANCELLED
        if row is None:
            row = await transaction.one(sql.FLAG_CANCEL, {"job_id": job_id, "now": now})
            kind = EventType.CANCEL_REQUESTED
        if row is None:
            return None
        job = job_from_row(row)
        await append_event(transaction, job, kind, now)
        return job


def same_request(row: sqlite3.Row, request_sha256: str) -> JobRecord:
    """The job that a key made, if it was for this request. Raises `idempotency_conflict`."""
    if row["request_sha256"] != request_sha256:
        raise RequestError(
            ErrorCode.IDEMPOTENCY_CONFLICT,
            "This Idempotency-Key was used before with another request.",
            hint="Use a new key for a new request, or send the same body again.",
        )
    return job_from_row(row)
