"""What the store returns of jobs: frozen rows of the database as the rest of the service sees them.

Runs in the service process. Storage builds these, services read them; nothing here does I/O. Times
end in `_at` and are ms since 1970 UTC; `progress` is 0..100 and reaches 100 only with success.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from backend.models.codes import TERMINAL_STATES, ErrorCode, JobState, JobStatus, StageName, StageState
from backend.models.file_records import AvatarRecord as AvatarRecord
from backend.models.file_records import FileKind as FileKind
from backend.models.file_records import FileRecord as FileRecord
from backend.models.file_records import NewAvatar as NewAvatar
from backend.models.file_records import NewFile as NewFile
from backend.models.file_records import NewVoice as NewVoice
from backend.models.file_records import StoredBlob as StoredBlob
from backend.models.file_records import VoiceRecord as VoiceRecord
from backend.models.file_records import WorkerRecord as WorkerRecord


class AttemptOutcome(str, Enum):
    """How one engine hop ended. `SKIPPED`: it was never started, for example because not installed."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    LOST = "lost"
    RELEASED = "released"

    def __str__(self) -> str:
        return str(self.value)


class EventType(str, Enum):
    """Every kind of row in `job_events`; also the `event:` name of a server-sent event."""

    QUEUED = "queued"
    STARTED = "started"
    STAGE_STARTED = "stage_started"
    STAGE_COMPLETED = "stage_completed"
    PROGRESS = "progress"
    FALLBACK = "fallback"
    RETRY_SCHEDULED = "retry_scheduled"
    LOST = "lost"
    RELEASED = "released"
    PRIORITY_CHANGED = "priority_changed"
    UPDATED = "updated"
    CANCEL_REQUESTED = "cancel_requested"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELETED = "deleted"

    def __str__(self) -> str:
        return str(self.value)


# After one of these a job has no further change of state; `deleted` may still follow.
TERMINAL_EVENTS = frozenset({EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED})


def public_status(state: JobState, *, fell_back: bool, cancel_requested: bool) -> JobStatus:
    """The one place where the stored state becomes the word that callers see.

    `fell_back`: a fallback reason is set; `cancel_requested`: the flag is set. A completed job keeps
    its reason but is `completed`; a cancel in progress outranks a fallback in progress.
    """
    if state is JobState.SUCCEEDED:
        return JobStatus.COMPLETED
    if state is JobState.FAILED:
        return JobStatus.FAILED
    if state is JobState.CANCELLED:
        return JobStatus.CANCELLED
    if cancel_requested:
        return JobStatus.CANCELLING
    if fell_back:
        return JobStatus.FALLBACK
    return JobStatus.QUEUED if state is JobState.QUEUED else JobStatus.PROCESSING


def stored_keys(statuses: Iterable[JobStatus]) -> tuple[str, ...]:
    """All `state|fell_back|cancel_requested` keys (flags as 0/1) that `public_status` maps to `statuses`.

    Lets SQL filter by status without a second copy of the mapping.
    """
    wanted = frozenset(statuses)
    return tuple(
        f"{state.value}|{int(fell_back)}|{int(cancel)}"
        for state, fell_back, cancel in itertools.product(JobState, (False, True), (False, True))
        if public_status(state, fell_back=fell_back, cancel_requested=cancel) in wanted
    )


@dataclass(frozen=True)
class NewJob:
    """What `enqueue` needs. `request_sha256` is the hash of the caller's canonical request body.

    `inputs` maps a role ("portrait", "voice") to a file id and keeps these files from being collected
    while the job may still read them. `search_text` is what `q` searches (title, script).
    """

    job_id: str
    request: Mapping[str, Any]
    request_sha256: str
    engine_plan: tuple[str, ...]
    seed: int
    title: str = ""
    search_text: str = ""
    owner: str = ""
    priority: int = 0
    idempotency_key: str | None = None
    selected_engine: str | None = None
    fallback_reason: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    draft: bool = False
    notice: Mapping[str, Any] | None = None
    batch_id: str | None = None
    folder_id: str | None = None
    promoted_from: str | None = None


@dataclass(frozen=True)
class JobRecord:
    """One job as stored. `selected_engine` is the engine it runs on, or will run on, now."""

    seq: int
    job_id: str
    owner: str
    title: str
    state: JobState
    priority: int
    request: Mapping[str, Any]
    request_sha256: str
    idempotency_key: str | None
    engine_plan: tuple[str, ...]
    selected_engine: str
    fallback_reason: str | None
    attempt: int
    lost_attempts: int
    run_after: int
    lease_owner: str | None
    lease_expires_at: int | None
    cancel_requested_at: int | None
    progress: float
    stage: StageName | None
    message: str
    eta_s: float | None
    seed: int
    draft: bool
    notice: Mapping[str, Any] | None
    result_file_id: str | None
    retry_of: str | None
    batch_id: str | None
    error_code: ErrorCode | None
    error_message: str | None
    error_hint: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    updated_at: int
    deleted_at: int | None
    starred: bool = False
    folder_id: str | None = None
    promoted_from: str | None = None

    @property
    def status(self) -> JobStatus:
        """The word on the wire."""
        return public_status(
            self.state,
            fell_back=self.fallback_reason is not None,
            cancel_requested=self.cancel_requested_at is not None,
        )

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended for good."""
        return self.state in TERMINAL_STATES

    @property
    def percent(self) -> int:
        """Progress as the wire shows it: whole points, rounded down, so 100 means done."""
        return int(self.progress)


@dataclass(frozen=True)
class Fence:
    """Proof of ownership that every write of a running job carries; stale ones raise `StaleAttempt`."""

    job_id: str
    attempt: int
    lease_owner: str


@dataclass(frozen=True)
class StageRecord:
    """One stage of one job. `attempt` is the claim that last worked on it, 0 when never begun."""

    name: StageName
    state: StageState
    attempt: int
    started_at: int | None
    finished_at: int | None
    detail: str


@dataclass(frozen=True)
class ArtifactRecord:
    """A named file of a job (`audio.wav`, `video.mp4`, ...) and the stage that made it."""

    name: str
    stage: StageName
    file: FileRecord


@dataclass(frozen=True)
class AttemptRecord:
    """One engine hop: which engine worked on which stage under which claim, and how it ended.

    `detail` says in a sentence what was different from the hop before (lower profile, other engine).
    """

    attempt_id: int
    attempt: int
    stage: StageName
    engine: str
    worker_id: str | None
    started_at: int
    finished_at: int | None
    outcome: AttemptOutcome | None
    exit_code: int | None
    error_code: ErrorCode | None
    error_message: str | None
    detail: str


@dataclass(frozen=True)
class JobView:
    """A job with all that belongs to it, read in one statement. `queue_position` is 0 unless queued."""

    job: JobRecord
    stages: tuple[StageRecord, ...]
    attempts: tuple[AttemptRecord, ...]
    artifacts: tuple[ArtifactRecord, ...]
    inputs: Mapping[str, FileRecord]
    queue_position: int

    def stage(self, name: StageName) -> StageRecord:
        """The row of one stage; every job has all four."""
        return next(stage for stage in self.stages if stage.name is name)

    def artifact(self, name: str) -> ArtifactRecord | None:
        """The artifact of that name, if it exists yet."""
        return next((item for item in self.artifacts if item.name == name), None)


@dataclass(frozen=True)
class ClaimedJob:
    """A job that this process now owns. Completed stages in `view` are not to be repeated."""

    fence: Fence
    view: JobView

    @property
    def job(self) -> JobRecord:
        return self.view.job


@dataclass(frozen=True)
class JobPage:
    """One page of a list; `next_cursor` is None on the last page, `total` counts all pages."""

    jobs: tuple[JobRecord, ...]
    next_cursor: str | None
    total: int


@dataclass(frozen=True)
class DeletedJob:
    """A job that was deleted, and the files that nobody references any more (to be unlinked)."""

    job: JobRecord
    files: tuple[FileRecord, ...]


@dataclass(frozen=True)
class ReapReport:
    """What became of the jobs that a dead process had left running (job ids)."""

    requeued: tuple[str, ...]
    failed: tuple[str, ...]
    cancelled: tuple[str, ...]


@dataclass(frozen=True)
class PauseState:
    """Whether the queue hands out jobs; `reason` is a sentence for a person when it does not."""

    paused: bool
    reason: str
    since: int | None


@dataclass(frozen=True)
class NewEvent:
    """An event row that was just committed: what the bus is told."""

    event_id: int
    job_id: str
    type: EventType


@dataclass(frozen=True)
class EventRecord:
    """One row of `job_events`; `event_id` is the SSE id and grows without reuse."""

    event_id: int
    job_id: str
    type: EventType
    data: Mapping[str, Any]
    at: int

    @property
    def is_terminal(self) -> bool:
        """Whether the job's stream ends here."""
        return self.type in TERMINAL_EVENTS


def event_payload(job: JobRecord) -> dict[str, Any]:
    """What a subscriber is told about a job: the small part of it that changes."""
    return {
        "job_id": job.job_id,
        "status": job.status.value,
        "progress": job.percent,
        "stage": job.stage.value if job.stage else None,
        "message": job.message,
        "fallback_reason": job.fallback_reason,
        "selected_engine": job.selected_engine,
        "attempt": job.attempt,
        "eta_seconds": job.eta_s,
        "draft": job.draft,
        "error_code": job.error_code.value if job.error_code else None,
        "error_message": job.error_message,
        "title": job.title,
        "starred": job.starred,
        "folder_id": job.folder_id,
    }
