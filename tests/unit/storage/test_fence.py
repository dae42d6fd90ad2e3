"""An attempt that no longer owns the job can write nothing, whichever verb it tries."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from backend.models.codes import ErrorCode, StageName
from backend.models.errors import StaleAttempt
from backend.models.file_records import NewFile, StoredBlob
from backend.models.records import AttemptOutcome, Fence
from backend.storage.jobs import JobStore
from backend.storage.store import Store
from tests.unit.storage.kit import BOOT, claim, complete, enqueue, fall_back, succeed

_RESULT = NewFile("file_stale0000", "artifact", StoredBlob("outputs/x/v.mp4", 1, "0" * 64), "video/mp4")
_FAILURE = {"error_code": ErrorCode.GPU_OOM, "error_message": "x"}

VERBS: dict[str, Callable[[JobStore, Fence], Awaitable[object]]] = {
    "renew_lease": lambda jobs, fence: jobs.renew_lease(fence, lease_ms=1),
    "report_progress": lambda jobs, fence: jobs.report_progress(fence, 50),
    "begin_stage": lambda jobs, fence: jobs.begin_stage(fence, StageName.FINISH),
    "complete_stage": lambda jobs, fence: jobs.complete_stage(fence, StageName.FINISH),
    "begin_attempt": lambda jobs, fence: jobs.begin_attempt(fence, StageName.VIDEO, "draft"),
    "note_worker": lambda jobs, fence: jobs.note_worker(fence, "w"),
    "end_attempt": lambda jobs, fence: jobs.end_attempt(fence, AttemptOutcome.SUCCEEDED),
    "fall_back": lambda jobs, fence: jobs.fall_back(fence, "draft", reason="r", **_FAILURE),
    "retry_later": lambda jobs, fence: jobs.retry_later(fence, run_after_ms=0, message="m", **_FAILURE),
    "succeed": lambda jobs, fence: jobs.succeed(fence, result=_RESULT, draft=False),
    "fail": lambda jobs, fence: jobs.fail(fence, ErrorCode.GPU_OOM, "m"),
    "finish_cancelled": lambda jobs, fence: jobs.finish_cancelled(fence),
    "release": lambda jobs, fence: jobs.release(fence),
}


def test_every_verb_that_takes_a_fence_is_tried_here() -> None:
    fenced = {
        name
        for name, member in inspect.getmembers(JobStore, inspect.iscoroutinefunction)
        if "fence" in inspect.signature(member).parameters
    }
    assert fenced == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("why", ["attempt", "owner", "ended", "queued", "unknown"])
async def test_a_stale_attempt_writes_nothing(store: Store, verb: str, why: str) -> None:
    job = await enqueue(store)
    stale = (await claim(store)).fence
    if why == "attempt":
        await store.jobs.release(stale)
        await claim(store)
    elif why == "owner":
        stale = replace(stale, lease_owner="somebody-else")
    elif why == "ended":
        await store.jobs.fail(stale, ErrorCode.GPU_FAULT, "broken")
    elif why == "queued":
        await store.jobs.release(stale)
    else:
        stale = Fence("job_unknown000", 1, BOOT)
    before = await store.jobs.get_view(job.job_id)
    last_event = await store.jobs.latest_event_id()
    with pytest.raises(StaleAttempt):
        await VERBS[verb](store.jobs, stale)
    assert await store.jobs.get_view(job.job_id) == before
    assert await store.jobs.latest_event_id() == last_event
    assert await store.files.find(_RESULT.file_id) is None


async def test_the_old_attempt_that_wakes_late_does_not_disturb_the_new_one(store: Store) -> None:
    await enqueue(store)
    old = await claim(store)
    await fall_back(store, old)
    new = await claim(store)
    for verb in VERBS.values():
        with pytest.raises(StaleAttempt):
            await verb(store.jobs, old.fence)
    await complete(store, new)
    assert (await succeed(store, new)).percent == 100
