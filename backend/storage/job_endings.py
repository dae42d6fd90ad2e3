"""How a run ends: success, failure, the next engine, a later try, a cancel, or back into the queue.

Runs in the service process; each verb is fenced and one transaction. Whatever end is asked for, a
requested cancel wins: the verbs return the job as it became, so look at `job.state`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backend.models.codes import ErrorCode, StageName
from backend.models.file_records import NewFile
from backend.models.records import AttemptOutcome, EventType, Fence, JobRecord
from backend.storage import job_queue_sql as sql
from backend.storage.db import Transaction
from backend.storage.job_fence import (
    STOPPED_MESSAGE,
    Artifacts,
    check_fence,
    close_hop,
    end_cancelled,
    end_failed,
    fenced_update,
    finish_stage,
    release_job,
    requeue,
)
from backend.storage.job_rows import append_event, dump_or_none
from backend.storage.job_tables import JobTables


class JobEndings(JobTables):
    """The verbs after which this claim no longer owns the job."""

    async def fall_back(
        self,
        fence: Fence,
        next_engine: str | None,
        *,
        reason: str,
        error_code: ErrorCode,
        error_message: str,
        outcome: AttemptOutcome = AttemptOutcome.FAILED,
        exit_code: int | None = None,
        redo: Iterable[StageName] = (),
    ) -> JobRecord:
        """running -> queued for the next engine. `reason` is the sentence callers see as `fallback_reason`.

        `next_engine` None: another engine of speech follows, and the one for the picture stays as it is.
        """
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
            await finish_stage(transaction, fence, StageName.FINISH, files, None, now)
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

    async def release(self, fence: Fence, *, message: str = STOPPED_MESSAGE) -> JobRecord:
        """running -> queued without counting a loss: the job could not go on, and not by its own fault."""

        async def body(transaction: Transaction) -> JobRecord:
            job = await check_fence(transaction, fence)
            return await release_job(transaction, job, fence, self._clock.now_ms(), message=message)

        return await self._db.write(body)
