"""A store in a temporary folder and the few moves that many tests repeat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.models.codes import STAGE_ORDER, ErrorCode, StageName
from backend.models.file_records import FileKind, NewFile
from backend.models.records import ClaimedJob, JobRecord, NewJob
from backend.storage.db import EventHook
from backend.storage.setup import prepare_directories
from backend.storage.store import Store, open_store
from backend.utils.clock import Clock, ManualClock
from backend.utils.ids import new_id

BOOT = "boot-a"
LEASE_MS = 60_000


async def open_test_store(
    folder: Path, clock: Clock | None = None, *, on_events: EventHook | None = None, max_queued: int = 1000
) -> Store:
    """A store below `folder`, as the service opens it."""
    layout = prepare_directories(folder / "data", folder / "logs")
    return await open_store(layout, clock or ManualClock(), on_events=on_events, max_queued=max_queued)


def new_job(**changes: Any) -> NewJob:
    """A job as the service would enqueue it."""
    values: dict[str, Any] = {
        "job_id": new_id("job"),
        "request": {"script_input": "你好", "preferred_engine": "auto"},
        "request_sha256": "a" * 64,
        "engine_plan": ("infinitetalk", "wan2gp", "draft"),
        "seed": 7,
    }
    return NewJob(**{**values, **changes})


async def new_file(
    store: Store, rel_path: str, data: bytes = b"bytes", kind: FileKind = "artifact"
) -> NewFile:
    """A file that is durable on disk, and its row to be."""
    blob = await store.blobs.write_bytes(data, rel_path)
    return NewFile(new_id("file"), kind, blob, "application/octet-stream")


async def enqueue(store: Store, **changes: Any) -> JobRecord:
    """Accept a job."""
    job, _ = await store.jobs.enqueue(new_job(**changes))
    return job


async def claim(store: Store, owner: str = BOOT) -> ClaimedJob:
    """Claim the next job; there must be one."""
    claimed = await store.jobs.claim(owner, lease_ms=LEASE_MS)
    assert claimed is not None
    return claimed


async def complete(store: Store, claimed: ClaimedJob, stages: Sequence[StageName] = STAGE_ORDER[:3]) -> None:
    """Complete stages, each with one artifact `<stage>.bin`."""
    for stage in stages:
        await store.jobs.begin_stage(claimed.fence, stage)
        name = f"{stage}.bin"
        file = await new_file(store, f"outputs/{claimed.job.job_id}/{name}", stage.value.encode())
        await store.jobs.complete_stage(claimed.fence, stage, artifacts=[(name, file)])


async def succeed(store: Store, claimed: ClaimedJob) -> JobRecord:
    """Begin the finish stage and end the job with a result."""
    await store.jobs.begin_stage(claimed.fence, StageName.FINISH)
    result = await new_file(store, f"outputs/{claimed.job.job_id}/video.mp4", b"mp4")
    return await store.jobs.succeed(claimed.fence, result=result, draft=False)


async def run_to_success(store: Store) -> JobRecord:
    """Claim the next job and bring it to its end."""
    claimed = await claim(store)
    await complete(store, claimed)
    return await succeed(store, claimed)


async def fall_back(store: Store, claimed: ClaimedJob, engine: str = "draft", **changes: Any) -> JobRecord:
    """Hop to the next engine."""
    return await store.jobs.fall_back(
        claimed.fence,
        engine,
        reason="The engine ran out of memory; the next one takes over.",
        error_code=ErrorCode.GPU_OOM,
        error_message="out of memory",
        **changes,
    )


async def event_types(store: Store, job_id: str) -> list[str]:
    """The types of a job's events in order."""
    return [event.type.value for event in await store.jobs.events_since(0, job_id=job_id)]
