"""What a running job may do, each verb fenced by (job_id, attempt, lease_owner) and one transaction.

Runs in the service process. A write by a claim that no longer owns the job raises `StaleAttempt` and
changes nothing. Whatever end is asked for, a requested cancel wins: the verbs return the job as it
became, so look at `job.state`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backend.models.codes import ErrorCode, JobState, StageName
from backend.models.errors import StaleAttempt
from backend.models.records import AttemptOutcome, EventType, Fence, JobRecord, NewFile
from backend.storage import job_queue_sql as sql
from backend.storage.db import Transaction
from backend.storage.job_rows import append_event, dump, dump_or_none, insert_file, job_from_row
from backend.storage.job_tables import JobTables

CANCELLED_MESSAGE = "Cancelled."
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
    await transaction.run(sql.DROP_ARTIFACTS, {"job_id": fence.job_id, "redo": names})
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


class JobTransitions(JobTables):
    """The verbs of the process that runs a job."""

    async def renew_lease(self, fence: Fence, *, lease_ms: int) -> bool:
        """Keep the job for another `lease_ms`; returns whether a cancel was requested."""

        async def body(transaction: Transaction) -> bool:
            expires = self._clock.now_ms() + lease_ms
            row = await transaction.one(sql.RENEW_LEASE, fence_params(fence, expires=expires))
            if row is None:
                raise StaleAttempt(f"attempt {fence.attempt} no longer owns {fence.job_id}")
            return row["cancel_requested_at"] is not None

        return await self._db.write(body)

    async def report_progress(
        self,
        fence: Fence,
        percent: float,
        *,
        stage: StageName | None = None,
        message: str | None = None,
        eta_s: float | None = None,
    ) -> JobRecord:
        """Write progress, 0..100. A lower figure than before is kept out, and 99 is the most before success.

        None keeps the stage or message of before; `eta_s` is replaced, None means unknown.
        """
        if not math.isfinite(percent):
            raise ValueError("progress must be a finite number")

        async def body(transaction: Transaction) -> JobRecord:
            now = self._clock.now_ms()
            job = await fenced_update(
                transaction,
                sql.PROGRESS,
                fence,
                percent=float(percent),
                stage=stage.value if stage else None,
                message=message,
                eta_s=eta_s,
                now=now,
            )
            await append_event(transaction, job, EventType.PROGRESS, now)
            return job

        return await self._db.write(body)

    async def begin_stage(
        self, fence: Fence, stage: StageName, *, message: str | None = None, detail: str = ""
    ) -> JobRecord:
        """Mark a stage as running. A completed stage is not begun again: that is a `ValueError`."""

        async def body(transaction: Transaction) -> JobRecord:
            now = self._clock.now_ms()
            params = {"name": stage.value, "now": now, "detail": detail}
            await check_fence(transaction, fence)
            if await transaction.one(sql.BEGIN_STAGE, fence_params(fence, **params)) is None:
                raise ValueError(f"stage {stage.value} of {fence.job_id} is completed already")
            job = await fenced_update(
                transaction,
                sql.PROGRESS,
                fence,
                percent=0.0,
                stage=stage.value,
                message=message,
                eta_s=None,
                now=now,
            )
            await append_event(transaction, job, EventType.STAGE_STARTED, now)
            return job

        return await self._db.write(body)

    async def complete_stage(
        self,
        fence: Fence,
        stage: StageName,
        *,
        artifacts: Artifacts = (),
        percent: float = 0.0,
        detail: str | None = None,
    ) -> JobRecord:
        """Complete the running stage together with the rows of its files, which are durable on disk.

        Closes an open hop as succeeded. A name that exists already is replaced; the file it had before
        is left to the collector.
        """

        async def body(transaction: Transaction) -> JobRecord:
            now = self._clock.now_ms()
            await check_fence(transaction, fence)
            await self._finish_stage(transaction, fence, stage, artifacts, detail, now)
            job = await fenced_update(
                transaction,
                sql.PROGRESS,
                fence,
                percent=percent,
                stage=None,
                message=None,
                eta_s=None,
                now=now,
            )
            await append_event(transaction, job, EventType.STAGE_COMPLETED, now)
            return job

        return await self._db.write(body)

    async def _finish_stage(
        self,
        transaction: Transaction,
        fence: Fence,
        stage: StageName,
        artifacts: Artifacts,
        detail: str | None,
        now: int,
    ) -> None:
        params = {"name": stage.value, "now": now, "detail": detail}
        if await transaction.one(sql.COMPLETE_STAGE, fence_params(fence, **params)) is None:
            raise ValueError(f"stage {stage.value} of {fence.job_id} is not running")
        await close_hop(transaction, fence.job_id, AttemptOutcome.SUCCEEDED, now)
        for name, new in artifacts:
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

    async def begin_attempt(
        self,
        fence: Fence,
        stage: StageName,
        engine: str,
        *,
        worker_id: str | None = None,
        detail: str = "",
    ) -> int:
        """Open the row of an engine hop and return its id. A job has one open hop at a time."""

        async def body(transaction: Transaction) -> int:
            await check_fence(transaction, fence)
            row = await transaction.one(
                sql.OPEN_HOP,
                fence_params(
                    fence,
                    stage=stage.value,
                    engine=engine,
                    worker_id=worker_id,
                    detail=detail,
                    now=self._clock.now_ms(),
                ),
            )
            return int(row["attempt_id"]) if row else 0

        return await self._db.write(body)

    async def note_worker(self, fence: Fence, worker_id: str) -> None:
        """Write into the open hop which worker took it."""

        async def body(transaction: Transaction) -> None:
            await check_fence(transaction, fence)
            await transaction.run(sql.SET_WORKER, {"job_id": fence.job_id, "worker_id": worker_id})

        await self._db.write(body)

    async def end_attempt(
        self,
        fence: Fence,
        outcome: AttemptOutcome,
        *,
        error_code: ErrorCode | None = None,
        error_message: str | None = None,
        exit_code: int | None = None,
        detail: str = "",
    ) -> None:
        """Close the open hop while the job goes on (the ends of a job close it by themselves)."""

        async def body(transaction: Transaction) -> None:
            await check_fence(transaction, fence)
            await close_hop(
                transaction,
                fence.job_id,
                outcome,
                self._clock.now_ms(),
                error_code=error_code,
                error_message=error_message,
                exit_code=exit_code,
                detail=detail,
            )

        await self._db.write(body)

    async def fall_back(
        self,
        fence: Fence,
        next_engine: str,
        *,
        reason: str,
        error_code: ErrorCode,
        error_message: str,
        outcome: AttemptOutcome = AttemptOutcome.FAILED,
        exit_code: int | None = None,
        redo: Iterable[StageName] = (),
    ) -> JobRecord:
        """running -> queued for the next engine. `reason` is the sentence callers see as `fallback_reason`."""
        if not reason:
            raise ValueError("a fallback always leaves a reason")

        async def body(transaction: Transaction) -> JobRecord:
            now = self._clock.now_ms()
            job = await check_fence(transaction, fence)
            if job.cancel_requested_at is not None:
                return await end_cancelled(transaction, fence, now)
            await close_hop(
                transaction,
                fence.job_id,
                outcome,
                now,
                error_code=error_code,
                error_message=error_message,
                exit_code=exit_code,
            )
            return await requeue(
                transaction,
                fence,
                EventType.FALLBACK,
                now,
                message=reason,
                engine=next_engine,
                reason=reason,
                redo=redo,
            )

        return await self._db.write(body)

    async def retry_later(
        self,
        fence: Fence,
        *,
        run_after_ms: int,
        message: str,
        error_code: ErrorCode,
        error_message: str,
        outcome: AttemptOutcome = AttemptOutcome.FAILED,
        exit_code: int | None = None,
        redo: Iterable[StageName] = (),
    ) -> JobRecord:
        """running -> queued for the same engine, not before `run_after_ms` (ms UTC)."""

        async def body(transaction: Transaction) -> JobRecord:
            now = self._clock.now_ms()
            job = await check_fence(transaction, fence)
            if job.cancel_requested_at is not None:
                return await end_cancelled(transaction, fence, now)
            await close_hop(
                transaction,
                fence.job_id,
                outcome,
                now,
                error_code=error_code,
                error_message=error_message,
                exit_code=exit_code,
            )
            return await requeue(
                transaction,
                fence,
                EventType.RETRY_SCHEDULED,
                now,
                message=message,
                run_after=run_after_ms,
                redo=redo,
            )

        return await self._db.write(body)

    async def succeed(
        self,
        fence: Fence,
        *,
        result: NewFile,
        result_name: str = "video.mp4",
        artifacts: Artifacts = (),
        draft: bool,
        notice: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> JobRecord:
        """running -> succeeded: completes the running finish stage, its artifacts and the job as one.

        The database refuses unless the three stages before are completed. When a cancel was requested,
        the job becomes cancelled instead and none of the files gets a row.
        """

        async def body(transaction: Transaction) -> JobRecord:
            now = self._clock.now_ms()
            job = await check_fence(transaction, fence)
            if job.cancel_requested_at is not None:
                return await end_cancelled(transaction, fence, now)
            files = [(result_name, result), *artifacts]
            await self._finish_stage(transaction, fence, StageName.FINISH, files, None, now)
            job = await fenced_update(
                transaction,
                sql.SUCCEED,
                fence,
                message=message,
                draft=int(draft),
                notice_json=dump_or_none(dict(notice) if notice is not None else None),
                result_file_id=result.file_id,
                now=now,
            )
            await append_event(transaction, job, EventType.COMPLETED, now)
            return job

        return await self._db.write(body)

    async def fail(
        self,
        fence: Fence,
        code: ErrorCode,
        message: str,
        *,
        hint: str | None = None,
        attempt_message: str | None = None,
        outcome: AttemptOutcome = AttemptOutcome.FAILED,
        exit_code: int | None = None,
    ) -> JobRecord:
        """running -> failed, or cancelled when that was requested. `message` is for a person.

        `attempt_message` (default: `message`) goes into the hop's row.
        """

        async def body(transaction: Transaction) -> JobRecord:
            now = self._clock.now_ms()
            job = await check_fence(transaction, fence)
            if job.cancel_requested_at is not None:
                return await end_cancelled(transaction, fence, now)
            await close_hop(
                transaction,
                fence.job_id,
                outcome,
                now,
                error_code=code,
                error_message=attempt_message or message,
                exit_code=exit_code,
            )
            return await end_failed(transaction, fence, now, code=code, message=message, hint=hint)

        return await self._db.write(body)

    async def finish_cancelled(self, fence: Fence) -> JobRecord:
        """running -> cancelled, once the engine has stopped."""

        async def body(transaction: Transaction) -> JobRecord:
            await check_fence(transaction, fence)
            return await end_cancelled(transaction, fence, self._clock.now_ms())

        return await self._db.write(body)

    async def release(self, fence: Fence) -> JobRecord:
        """running -> queued without counting a loss: the service stops in good order."""

        async def body(transaction: Transaction) -> JobRecord:
            job = await check_fence(transaction, fence)
            return await release_job(transaction, job, fence, self._clock.now_ms())

        return await self._db.write(body)


async def release_job(transaction: Transaction, job: JobRecord, fence: Fence, now: int) -> JobRecord:
    """Put a running job back, or end it when a cancel was requested."""
    if job.state is not JobState.RUNNING:
        raise ValueError("only a running job can be released")
    if job.cancel_requested_at is not None:
        return await end_cancelled(transaction, fence, now)
    await close_hop(transaction, job.job_id, AttemptOutcome.RELEASED, now)
    message = "The service was stopped; the job goes on at the next start."
    return await requeue(transaction, fence, EventType.RELEASED, now, message=message)
