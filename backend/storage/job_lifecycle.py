"""What happens to a job from outside its run: cancel, delete, retry as a new job, and the reaper.

Runs in the service process. `reap_lost` is called once at start, under the single-instance lock: every
job that still says "running" then belongs to a process that is dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.models.codes import STAGE_ORDER, ErrorCode, JobState, StageName, StageState
from backend.models.errors import RequestError
from backend.models.records import (
    AttemptOutcome,
    DeletedJob,
    EventType,
    Fence,
    JobRecord,
    JobView,
    NewJob,
    ReapReport,
)
from backend.storage import job_queue_sql as sql
from backend.storage.db import Transaction
from backend.storage.job_fence import (
    CANCELLED_MESSAGE,
    close_hop,
    end_cancelled,
    end_failed,
    release_job,
    requeue,
)
from backend.storage.job_rows import append_event, dump, file_from_row, job_from_row, view_from_row
from backend.storage.job_tables import JobTables, job_not_found
from backend.utils.ids import new_id

# A job may be lost with the server twice; the third loss ends it, so that a job that kills the
# machine cannot do so for ever ("a job runs at most three times").
MAX_LOSSES = 2


class JobLifecycle(JobTables):
    """The verbs of users and of the start-up sweep."""

    async def request_cancel(self, job_id: str) -> JobRecord:
        """Ask for a stop; may be called any number of times and returns the job as it is then.

        A queued job is cancelled at once, a running one is flagged (status `cancelling`), a terminal one
        stays what it is. Raises `job_not_found`.
        """

        async def body(transaction: Transaction) -> JobRecord:
            job = await self.ask_to_stop(transaction, job_id, self._clock.now_ms())
            if job is not None:
                return job
            row = await transaction.one(sql.BY_ID, {"job_id": job_id})
            if row is None:
                raise job_not_found(job_id)
            return job_from_row(row)

        return await self._db.write(body)

    async def delete(self, job_id: str, *, spare_starred: bool = False) -> DeletedJob:
        """Delete a job that has ended, or cancel and delete one that waits. Deleting twice is no error.

        `spare_starred`: one that has a star stays, and its record says that it is not deleted.

        Returns the files that nobody references any more; their rows are marked, their bytes are the caller's to
        unlink. Raises `job_not_found`, and `not_ready` while the job runs.
        """

        async def body(transaction: Transaction) -> DeletedJob:
            now = self._clock.now_ms()
            params = {
                "job_id": job_id,
                "now": now,
                "message": CANCELLED_MESSAGE,
                "spare_starred": spare_starred,
            }
            cancelled = await transaction.one(sql.CANCEL_QUEUED, params)
            if cancelled is not None:
                await append_event(transaction, job_from_row(cancelled), EventType.CANCELLED, now)
            row = await transaction.one(sql.SOFT_DELETE, params)
            if row is None:
                row = await transaction.one(sql.BY_ID, {"job_id": job_id})
                if row is None:
                    raise job_not_found(job_id)
                if row["deleted_at"] is None and not (spare_starred and row["starred"]):
                    raise RequestError(
                        ErrorCode.NOT_READY,
                        "The job is still running.",
                        hint="Cancel it first, then delete it.",
                    )
                return DeletedJob(job_from_row(row), ())
            job = job_from_row(row)
            files = await transaction.all(sql.DELETE_FREED_ARTIFACTS, {"job_id": job_id, "now": now})
            await append_event(transaction, job, EventType.DELETED, now)
            return DeletedJob(job, tuple(file_from_row(item) for item in files))

        return await self._db.write(body)

    async def new_retry(
        self,
        job_id: str,
        *,
        from_stage: StageName | None = None,
        engine_plan: tuple[str, ...] | None = None,
        selected_engine: str | None = None,
        fallback_reason: str | None = None,
        seed: int | None = None,
        idempotency_key: str | None = None,
        request_sha256: str | None = None,
    ) -> tuple[JobRecord, bool]:
        """A new job that repeats an ended one from `from_stage` on, sharing the files of the stages before.

        `from_stage` None: from the first stage that is not completed. Stages whose files are gone are
        redone too. Without `engine_plan` the old one is used from its beginning. Returns the new job and
        whether an idempotency key replayed it. Raises `job_not_found`, `gone` (deleted), `not_ready`
        (still running), `queue_full`, `idempotency_conflict`.
        """

        async def body(transaction: Transaction) -> tuple[JobRecord, bool]:
            source, view, searched = await _ended(transaction, job_id)
            new = NewJob(
                job_id=new_id("job"),
                request=source.request,
                request_sha256=request_sha256 or source.request_sha256,
                engine_plan=engine_plan or source.engine_plan,
                seed=source.seed if seed is None else seed,
                title=source.title,
                search_text=searched,
                owner=source.owner,
                priority=source.priority,
                idempotency_key=idempotency_key,
                selected_engine=selected_engine,
                fallback_reason=fallback_reason,
                folder_id=source.folder_id,
                promoted_from=source.promoted_from,
            )
            return await self._repeat(transaction, new, view, from_stage, retry_of=job_id)

        return await self._db.write(body)

    async def new_promotion(
        self,
        job_id: str,
        *,
        request: Mapping[str, Any],
        from_stage: StageName,
        engine_plan: tuple[str, ...],
        inputs: Mapping[str, str] | None,
        request_sha256: str,
        idempotency_key: str | None = None,
    ) -> tuple[JobRecord, bool]:
        """A new job with a `request` like that of an ended one, sharing the files of the stages before `from_stage`.

        Stages whose files are gone are redone. `inputs` None: those of the source. Returns the new job and whether an idempotency key replayed it. Raises
        as `new_retry`.
        """

        async def body(transaction: Transaction) -> tuple[JobRecord, bool]:
            source, view, searched = await _ended(transaction, job_id)
            new = NewJob(
                job_id=new_id("job"),
                request=request,
                request_sha256=request_sha256,
                engine_plan=engine_plan,
                seed=source.seed,
                title=source.title,
                search_text=searched,
                owner=source.owner,
                priority=source.priority,
                idempotency_key=idempotency_key,
                folder_id=source.folder_id,
                promoted_from=job_id,
                inputs=inputs or {},
            )
            return await self._repeat(transaction, new, view, from_stage, retry_of=None)

        return await self._db.write(body)

    async def _repeat(
        self,
        transaction: Transaction,
        new: NewJob,
        source: JobView,
        from_stage: StageName | None,
        *,
        retry_of: str | None,
    ) -> tuple[JobRecord, bool]:
        """Write `new` with what it shares of `source`, unless its key made a job before."""
        replayed = await self.replay_of(transaction, new)
        if replayed is not None:
            return replayed, True
        job = await self.insert(transaction, new, retry_of=retry_of)
        params = {
            "job_id": job.job_id,
            "source_id": source.job.job_id,
            "names": dump([stage.value for stage in reusable_stages(source, from_stage)]),
            "now": self._clock.now_ms(),
        }
        if not new.inputs:
            await transaction.run(sql.SHARE_INPUTS, params)
        await transaction.run(sql.SHARE_STAGES, params)
        await transaction.run(sql.SHARE_ARTIFACTS, params)
        return job, False

    async def reap_lost(self, current_boot: str) -> ReapReport:
        """Settle every job that an earlier boot left running.

        Each goes back to the queue with one loss more, becomes cancelled when that was requested, or
        fails with `worker_lost` when it was lost more than MAX_LOSSES times.
        """

        async def body(transaction: Transaction) -> ReapReport:
            now = self._clock.now_ms()
            requeued: list[str] = []
            failed: list[str] = []
            cancelled: list[str] = []
            for row in await transaction.all(sql.OWNED_BY_OTHERS, {"boot": current_boot}):
                job = job_from_row(row)
                fence = Fence(job.job_id, job.attempt, row["lease_owner"])
                if job.cancel_requested_at is not None:
                    await end_cancelled(transaction, fence, now)
                    cancelled.append(job.job_id)
                    continue
                await close_hop(
                    transaction,
                    job.job_id,
                    AttemptOutcome.LOST,
                    now,
                    error_code=ErrorCode.WORKER_LOST,
                    error_message="The service stopped while the job ran.",
                )
                if job.lost_attempts >= MAX_LOSSES:
                    await end_failed(
                        transaction,
                        fence,
                        now,
                        code=ErrorCode.WORKER_LOST,
                        message=f"The service stopped {MAX_LOSSES + 1} times while it worked on this job.",
                        hint="Look into logs/app.log for the cause, then retry the job.",
                        lost=1,
                    )
                    failed.append(job.job_id)
                else:
                    message = (
                        "The service stopped unexpectedly; the job goes on from its last finished stage."
                    )
                    await requeue(transaction, fence, EventType.LOST, now, message=message, lost=1)
                    requeued.append(job.job_id)
            return ReapReport(tuple(requeued), tuple(failed), tuple(cancelled))

        return await self._db.write(body)

    async def release_all(self, boot_id: str) -> tuple[JobRecord, ...]:
        """Put back every job this boot still owns, without counting a loss: the last act of a stop."""

        async def body(transaction: Transaction) -> tuple[JobRecord, ...]:
            now = self._clock.now_ms()
            released = []
            for row in await transaction.all(sql.OWNED_BY_BOOT, {"boot": boot_id}):
                job = job_from_row(row)
                fence = Fence(job.job_id, job.attempt, row["lease_owner"])
                released.append(await release_job(transaction, job, fence, now))
            return tuple(released)

        return await self._db.write(body)


async def _ended(transaction: Transaction, job_id: str) -> tuple[JobRecord, JobView, str]:
    """An ended job that can be repeated: its record, its view and what a search finds it by."""
    row = await transaction.one(sql.VIEW, {"job_id": job_id})
    if row is None:
        raise job_not_found(job_id)
    source = job_from_row(row)
    if source.deleted_at is not None:
        raise RequestError(
            ErrorCode.GONE, "The job was deleted and cannot be repeated.", hint="Make a new one."
        )
    if not source.is_terminal:
        raise RequestError(
            ErrorCode.NOT_READY, "The job has not ended yet.", hint="Wait for its end or cancel it."
        )
    return source, view_from_row(row), row["search_text"]


def reusable_stages(view: JobView, from_stage: StageName | None) -> list[StageName]:
    """The leading completed stages before `from_stage` whose files are all still there."""
    reusable: list[StageName] = []
    for name in STAGE_ORDER:
        files = [artifact.file for artifact in view.artifacts if artifact.stage is name]
        intact = all(file.deleted_at is None for file in files)
        if name is from_stage or view.stage(name).state is not StageState.COMPLETED or not intact:
            break
        reusable.append(name)
    # A retry of a success from nowhere in particular would have nothing left to do.
    if view.job.state is JobState.SUCCEEDED and from_stage is None:
        return []
    return reusable
