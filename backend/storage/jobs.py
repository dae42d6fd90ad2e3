"""Jobs as the rest of the service reads them, and the one object that offers all verbs of the queue.

Runs in the service process. Reads go to the read-only connections, one statement each; the verbs live
in `job_listing.py` (lists), `job_library.py` (title, star, folder, priority), `job_queue.py` (who runs what),
`job_transitions.py` and `job_endings.py` (what a running job may do) and
`job_lifecycle.py` (what users and the start-up sweep do).
"""

from __future__ import annotations

from backend.models.codes import JobState, JobStatus
from backend.models.records import (
    EventRecord,
    JobRecord,
    JobView,
    public_status,
)
from backend.storage import job_queue_sql as sql
from backend.storage.job_endings import JobEndings
from backend.storage.job_library import JobLibrary
from backend.storage.job_lifecycle import JobLifecycle
from backend.storage.job_listing import JobListing
from backend.storage.job_queue import JobQueue
from backend.storage.job_rows import event_from_row, job_from_row, view_from_row
from backend.storage.job_tables import JobTables, job_not_found
from backend.storage.job_transitions import JobTransitions

# One reading of events for a stream that has fallen behind; it asks again for the rest.
MAX_EVENTS = 500


class JobReads(JobTables):
    """Everything that only looks."""

    def version(self) -> int | None:
        """See `Database.version`."""
        return self._db.version()

    async def get(self, job_id: str) -> JobRecord:
        """One job, deleted ones too (`deleted_at` is set). Raises `job_not_found`."""
        row = await self._db.one(sql.BY_ID, {"job_id": job_id})
        if row is None:
            raise job_not_found(job_id)
        return job_from_row(row)

    async def get_view(self, job_id: str) -> JobView:
        """One job with stages, hops, artifacts, inputs and place in the queue, as one snapshot."""
        row = await self._db.one(sql.VIEW, {"job_id": job_id})
        if row is None:
            raise job_not_found(job_id)
        return view_from_row(row)

    async def queue_positions(self) -> dict[str, int]:
        """Job id to place in the queue (1 is next), for all that wait."""
        return {row["job_id"]: row["position"] for row in await self._db.all(sql.POSITIONS)}

    async def queue_position(self, job_id: str) -> int:
        """Place in the queue, 1 is next; 0 when the job does not wait."""
        row = await self._db.one(sql.POSITION, {"job_id": job_id})
        return 0 if row is None else int(row[0])

    async def counts(self) -> dict[JobStatus, int]:
        """How many jobs have each status; every status is a key."""
        counts = dict.fromkeys(JobStatus, 0)
        for row in await self._db.all(sql.COUNTS):
            status = public_status(
                JobState(row["state"]),
                fell_back=bool(row["fell_back"]),
                cancel_requested=bool(row["cancelling"]),
            )
            counts[status] += row["jobs"]
        return counts

    async def is_cancel_requested(self, job_id: str) -> bool:
        """Whether someone asked to stop this job; also true once it is cancelled."""
        row = await self._db.one(sql.CANCEL_FLAG, {"job_id": job_id})
        if row is None:
            raise job_not_found(job_id)
        return bool(row[0])

    async def events_since(
        self, last_id: int, *, job_id: str | None = None, limit: int = MAX_EVENTS
    ) -> list[EventRecord]:
        """Events after `last_id` in order, of one job or of all; ask again when `limit` came back."""
        params = {"last_id": last_id, "job_id": job_id, "limit": min(limit, MAX_EVENTS)}
        rows = await self._db.all(sql.EVENTS_OF_JOB_SINCE if job_id else sql.EVENTS_SINCE, params)
        return [event_from_row(row) for row in rows]

    async def latest_event_id(self) -> int:
        """The newest event's id, 0 when there is none: where a stream without replay begins."""
        row = await self._db.one(sql.LATEST_EVENT_ID)
        return int(row[0]) if row else 0


class JobStore(JobReads, JobListing, JobLibrary, JobQueue, JobTransitions, JobEndings, JobLifecycle):
    """All verbs on jobs. Every write of a running job carries its `Fence`."""
