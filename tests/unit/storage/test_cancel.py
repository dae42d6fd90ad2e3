"""Cancel: at once for who waits, a flag for who runs, nothing for who has ended; always three times over."""

from __future__ import annotations

import pytest

from backend.models.codes import STAGE_ORDER, ErrorCode, JobState, JobStatus, StageName, StageState
from backend.storage.store import Store
from tests.unit.storage.kit import (
    claim,
    complete,
    enqueue,
    event_types,
    fall_back,
    new_file,
    run_to_success,
    succeed,
)


async def test_a_queued_job_is_cancelled_at_once_and_only_once(store: Store) -> None:
    job = await enqueue(store)
    assert not await store.jobs.is_cancel_requested(job.job_id)
    for _ in range(3):
        assert (await store.jobs.request_cancel(job.job_id)).status is JobStatus.CANCELLED
    assert await event_types(store, job.job_id) == ["queued", "cancelled"]
    assert await store.jobs.claim("boot-a", lease_ms=1) is None


async def test_a_running_job_is_flagged_and_ends_cancelled_when_its_engine_has_stopped(store: Store) -> None:
    job = await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed, STAGE_ORDER[:1])
    await store.jobs.begin_stage(claimed.fence, StageName.SPEECH)
    await store.jobs.begin_attempt(claimed.fence, StageName.SPEECH, "kokoro")
    for _ in range(3):
        assert (await store.jobs.request_cancel(job.job_id)).status is JobStatus.CANCELLING
    assert await store.jobs.is_cancel_requested(job.job_id)
    assert await store.jobs.renew_lease(claimed.fence, lease_ms=1)
    assert (await store.jobs.finish_cancelled(claimed.fence)).status is JobStatus.CANCELLED
    view = await store.jobs.get_view(job.job_id)
    assert [str(hop.outcome) for hop in view.attempts] == ["cancelled"]
    assert view.stage(StageName.SCRIPT).state is StageState.COMPLETED
    assert view.stage(StageName.SPEECH).state is StageState.PENDING
    assert (await event_types(store, job.job_id))[-2:] == ["cancel_requested", "cancelled"]


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
async def test_cancelling_an_ended_job_changes_nothing(store: Store, end: str) -> None:
    job = await enqueue(store)
    if end == "succeeded":
        await run_to_success(store)
    elif end == "failed":
        await store.jobs.fail((await claim(store)).fence, ErrorCode.GPU_FAULT, "broken")
    else:
        await store.jobs.request_cancel(job.job_id)
    before, events = await store.jobs.get_view(job.job_id), await event_types(store, job.job_id)
    for _ in range(3):
        assert (await store.jobs.request_cancel(job.job_id)).state.value == end
    assert await store.jobs.get_view(job.job_id) == before
    assert await event_types(store, job.job_id) == events


@pytest.mark.parametrize("late", ["succeed", "fail", "fall_back", "retry_later", "release"])
async def test_a_requested_cancel_wins_over_every_other_end(store: Store, late: str) -> None:
    job = await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed)
    await store.jobs.begin_stage(claimed.fence, StageName.FINISH)
    await store.jobs.begin_attempt(claimed.fence, StageName.FINISH, "draft")
    await store.jobs.request_cancel(job.job_id)
    if late == "succeed":
        result = await new_file(store, f"outputs/{job.job_id}/video.mp4")
        ended = await store.jobs.succeed(claimed.fence, result=result, draft=True)
        assert await store.files.find(result.file_id) is None
    elif late == "fail":
        ended = await store.jobs.fail(claimed.fence, ErrorCode.GPU_FAULT, "broken")
    elif late == "fall_back":
        ended = await fall_back(store, claimed)
    elif late == "retry_later":
        ended = await store.jobs.retry_later(
            claimed.fence, run_after_ms=0, message="m", error_code=ErrorCode.TIMEOUT, error_message="t"
        )
    else:
        ended = await store.jobs.release(claimed.fence)
    assert ended.state is JobState.CANCELLED
    assert ended.error_code is None
    assert ended.fallback_reason is None
    assert (await event_types(store, job.job_id)).count("cancelled") == 1


async def test_a_cancel_during_the_hand_over_to_the_next_engine_ends_the_job(store: Store) -> None:
    job = await enqueue(store)
    claimed = await claim(store)
    waiting = await fall_back(store, claimed)
    assert waiting.status is JobStatus.FALLBACK
    ended = await store.jobs.request_cancel(job.job_id)
    assert ended.status is JobStatus.CANCELLED
    assert ended.fallback_reason is not None
    assert await store.jobs.claim("boot-a", lease_ms=1) is None


async def test_finished_work_survives_a_cancel_for_a_later_retry(store: Store) -> None:
    job = await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed, STAGE_ORDER[:2])
    await store.jobs.request_cancel(job.job_id)
    await store.jobs.finish_cancelled(claimed.fence)
    again, _ = await store.jobs.new_retry(job.job_id)
    claimed = await claim(store)
    assert claimed.job.job_id == again.job_id
    await complete(store, claimed, [StageName.VIDEO])
    assert (await succeed(store, claimed)).status is JobStatus.COMPLETED
