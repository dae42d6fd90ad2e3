"""What a running job reports on its way, each verb fenced by (job_id, attempt, lease_owner), one transaction.

Runs in the service process. A write by a claim that no longer owns the job raises `StaleAttempt` and
changes nothing. The verbs that end a run are in `job_endings.py`.
"""

from __future__ import annotations

import math

from backend.models.codes import ErrorCode, StageName
from backend.models.errors import StaleAttempt
from backend.models.records import AttemptOutcome, EventType, Fence, JobRecord
from backend.storage import job_queue_sql as sql
from backend.storage.db import Transaction
from backend.storage.job_fence import (
    Artifacts,
    check_fence,
    close_hop,
    fence_params,
    fenced_update,
    finish_stage,
)
from backend.storage.job_rows import append_event
from backend.storage.job_tables import JobTables
from backend.storage.search_text import fold


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
        searched: str = "",
    ) -> JobRecord:
        """Complete the running stage together with the rows of its files, which are durable on disk.

        Closes an open hop as succeeded. A name that exists already is replaced; the file it had before
        is left to the collector. `searched`: a text that the job is found by from now on.
        """

        async def body(transaction: Transaction) -> JobRecord:
            now = self._clock.now_ms()
            await check_fence(transaction, fence)
            await finish_stage(transaction, fence, stage, artifacts, detail, now)
            if searched:
                await transaction.run(sql.ADD_SEARCHED, {"job_id": fence.job_id, "text": fold(searched)})
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
