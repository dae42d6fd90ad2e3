"""The parts that the verbs of a running job are made of: the fence, hops, and the ways out of "running".

Runs in the service process; every function is a part of its caller's transaction. A write by a claim that
no longer owns the job raises `StaleAttempt` and, with the transaction, changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from backend.models.codes import ErrorCode, StageName
from backend.models.errors import StaleAttempt
from backend.models.file_records import NewFile
from backend.models.records import AttemptOutcome, EventType, Fence, JobRecord
from backend.storage import job_queue_sql as sql
from backend.storage.db import Transaction
from backend.storage.job_rows import append_event, dump, insert_file, job_from_row

CANCELLED_MESSAGE = "Cancelled."
STOPPED_MESSAGE = "The service was stopped; the job goes on at the next start."
Artifacts = Sequence[tuple[str, NewFile]]


def fence_params(fence: Fence, **more: Any) -> dict[str, Any]:
    """Parameters of a fenced statement."""
    return {
        "job_id": fence.job_id,
        "attempt": fence.attempt,
        "lease_owner": fence.lease_owner,
        **more,
    }


async def check_fence(transaction: Transaction, fence: Fence) -> JobRecord:
    """The job, if this claim still owns it."""
    row = await transaction.one(sql.CHECK_FENCE, fence_params(fence))
    if row is None:
        raise StaleAttempt(f"attempt {fence.attempt} no longer owns {fence.job_id}")
    return job_from_row(row)


async def fenced_update(transaction: Transaction, statement: str, fence: Fence, **more: Any) -> JobRecord:
    """Run a fenced `UPDATE ... RETURNING *`."""
    row = await transaction.one(statement, fence_params(fence, **more))
    if row is None:
        raise StaleAttempt(f"attempt {fence.attempt} no longer owns {fence.job_id}")
    return job_from_row(row)


async def close_hop(
    transaction: Transaction,
    job_id: str,
    outcome: AttemptOutcome,
    now: int,
    *,
    error_code: ErrorCode | None = None,
    error_message: str | None = None,
    exit_code: int | None = None,
    detail: str = "",
) -> None:
    """Close the open hop of a job, if there is one."""
    await transaction.run(
        sql.CLOSE_HOP,
        {
            "job_id": job_id,
            "outcome": outcome.value,
            "error_code": error_code.value if error_code else None,
            "error_message": error_message,
            "exit_code": exit_code,
            "detail": detail,
            "now": now,
        },
    )


async def end_cancelled(transaction: Transaction, fence: Fence, now: int) -> JobRecord:
    """running -> cancelled: stages that were begun wait again, the hop is closed."""
    await close_hop(transaction, fence.job_id, AttemptOutcome.CANCELLED, now)
    await transaction.run(sql.RESET_STAGES, {"job_id": fence.job_id, "redo": "[]"})
    job = await fenced_update(transaction, sql.FINISH_CANCELLED, fence, now=now, message=CANCELLED_MESSAGE)
    await append_event(transaction, job, EventType.CANCELLED, now)
    return job


async def requeue(
    transaction: Transaction,
    fence: Fence,
    kind: EventType,
    now: int,
    *,
    message: str,
    engine: str | None = None,
    reason: str | None = None,
    run_after: int = 0,
    lost: int = 0,
    redo: Iterable[StageName] = (),
) -> JobRecord:
    """running -> queued: completed stages keep their work unless named in `redo`."""
    names = dump([stage.value for stage in redo])
    await transaction.run(sql.RESET_STAGES, {"job_id": fence.job_id, "redo": names})
    dropped = await transaction.all(sql.DROP_ARTIFACTS, {"job_id": fence.job_id, "redo": names})
    await _forget_files(transaction, fence.job_id, dropped, now)
    job = await fenced_update(
        transaction,
        sql.REQUEUE,
        fence,
        engine=engine,
        reason=reason,
        run_after=run_after,
        lost=lost,
        message=message,
        now=now,
    )
    await append_event(transaction, job, kind, now)
    return job


async def _forget_files(transaction: Transaction, job_id: str, rows: Sequence[sqlite3.Row], now: int) -> None:
    if rows:
        file_ids = dump([row["file_id"] for row in rows])
        params = {"file_ids": file_ids, "folder": f"outputs/{job_id}/", "now": now}
        await transaction.run(sql.FORGET_FILES, params)


async def end_failed(
    transaction: Transaction,
    fence: Fence,
    now: int,
    *,
    code: ErrorCode,
    message: str,
    hint: str | None,
    lost: int = 0,
) -> JobRecord:
    """running -> failed."""
    await transaction.run(sql.FAIL_STAGES, {"job_id": fence.job_id, "now": now})
    job = await fenced_update(
        transaction,
        sql.FAIL,
        fence,
        error_code=code.value,
        error_message=message,
        error_hint=hint,
        lost=lost,
        now=now,
    )
    await append_event(transaction, job, EventType.FAILED, now)
    return job


async def finish_stage(
    transaction: Transaction,
    fence: Fence,
    stage: StageName,
    artifacts: Artifacts,
    detail: str | None,
    now: int,
) -> None:
    """Complete the running stage, close its hop, write its files and artifacts."""
    params = {"name": stage.value, "now": now, "detail": detail}
    if await transaction.one(sql.COMPLETE_STAGE, fence_params(fence, **params)) is None:
        raise ValueError(f"stage {stage.value} of {fence.job_id} is not running")
    await close_hop(transaction, fence.job_id, AttemptOutcome.SUCCEEDED, now)
    for name, new in artifacts:
        before = await transaction.all(sql.DROP_ARTIFACT, {"job_id": fence.job_id, "name": name})
        await _forget_files(transaction, fence.job_id, before, now)
        file = await insert_file(transaction, new, now)
        await transaction.run(
            sql.PUT_ARTIFACT,
            {
                "job_id": fence.job_id,
                "name": name,
                "stage": stage.value,
                "file_id": file.file_id,
                "now": now,
            },
        )


async def release_job(
    transaction: Transaction, job: JobRecord, fence: Fence, now: int, *, message: str = STOPPED_MESSAGE
) -> JobRecord:
    """Put a running job back, or end it when a cancel was requested."""
    if job.cancel_requested_at is not None:
        return await end_cancelled(transaction, fence, now)
    await close_hop(transaction, job.job_id, AttemptOutcome.RELEASED, now)
    return await requeue(transaction, fence, EventType.RELEASED, now, message=message)
