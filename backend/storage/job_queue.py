"""Who runs what, and when: enqueue, claim, pause.

Runs in the service process. A job that `enqueue` returned is durable (WAL with synchronous=FULL).
"""

from __future__ import annotations

from collections.abc import Collection

from backend.models.records import (
    ClaimedJob,
    EventType,
    Fence,
    JobRecord,
    NewJob,
    PauseState,
)
from backend.storage import job_queue_sql as sql
from backend.storage.db import Transaction
from backend.storage.job_rows import append_event, dump, job_from_row, view_from_row
from backend.storage.job_tables import JobTables, same_request
from backend.storage.settings_kv import QUEUE_PAUSED, delete_flag, read_flag, write_flag


class JobQueue(JobTables):
    """The queue's own verbs."""

    async def enqueue(self, new: NewJob) -> tuple[JobRecord, bool]:
        """Accept a job; returns it and whether it is a replay of an earlier one.

        The same idempotency key with the same request hash gives the first job again. Raises
        `idempotency_conflict` for another hash and `queue_full` beyond the limit.
        """
        if not new.engine_plan:
            raise ValueError("a job needs at least one engine in its plan")

        async def body(transaction: Transaction) -> tuple[JobRecord, bool]:
            replayed = await self.replay_of(transaction, new)
            if replayed is not None:
                return replayed, True
            return await self.insert(transaction, new, retry_of=None), False

        return await self._db.write(body)

    async def replay(self, idempotency_key: str, request_sha256: str) -> JobRecord | None:
        """The job that this key made before, None when it made none. Raises `idempotency_conflict`."""
        row = await self._db.one(sql.BY_IDEMPOTENCY_KEY, {"owner": "", "key": idempotency_key})
        return None if row is None else same_request(row, request_sha256)

    async def claim(
        self, lease_owner: str, *, lease_ms: int, engines: Collection[str] | None = None
    ) -> ClaimedJob | None:
        """Take the next job that may run now, or None. Nobody else can take the same one.

        `lease_owner` is this boot's id, or `<boot id>/<slot>`. Order: priority, owners in turn, first
        come. `engines` limits the choice to jobs for these engines. None while the queue is paused.
        """

        async def body(transaction: Transaction) -> ClaimedJob | None:
            now = self._clock.now_ms()
            row = await transaction.one(
                sql.CLAIM,
                {
                    "lease_owner": lease_owner,
                    "lease_ms": lease_ms,
                    "now": now,
                    "engines": None if engines is None else dump(list(engines)),
                },
            )
            if row is None:
                return None
            job = job_from_row(row)
            await append_event(transaction, job, EventType.STARTED, now)
            view = await transaction.one(sql.VIEW, {"job_id": job.job_id})
            if view is None:  # pragma: no cover - the row was updated a statement ago
                raise AssertionError("the claimed job vanished")
            return ClaimedJob(Fence(job.job_id, job.attempt, lease_owner), view_from_row(view))

        return await self._db.write(body)

    async def next_wake_ms(self) -> int | None:
        """When the earliest delayed job becomes claimable (ms UTC); None when none is delayed."""
        row = await self._db.one(sql.NEXT_WAKE, {"now": self._clock.now_ms()})
        return None if row is None or row[0] is None else int(row[0])

    async def pause(self, reason: str) -> PauseState:
        """Hand out no more jobs until `resume`; running ones go on. Survives a restart."""
        now = self._clock.now_ms()
        await self._db.write(
            lambda transaction: write_flag(transaction, QUEUE_PAUSED, {"reason": reason}, now)
        )
        return await self.pause_state()

    async def resume(self) -> PauseState:
        """Hand out jobs again."""
        await self._db.write(lambda transaction: delete_flag(transaction, QUEUE_PAUSED))
        return await self.pause_state()

    async def pause_state(self) -> PauseState:
        """Whether the queue is paused, since when and why."""
        flag = await read_flag(self._db, QUEUE_PAUSED)
        if flag is None:
            return PauseState(paused=False, reason="", since=None)
        value, since = flag
        return PauseState(paused=True, reason=str(value["reason"]), since=since)
