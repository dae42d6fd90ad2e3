"""What becomes of jobs whose process died or stopped."""

from __future__ import annotations

from backend.models.codes import STAGE_ORDER, ErrorCode, JobState, JobStatus, StageName, StageState
from backend.storage.store import Store
from tests.unit.storage.kit import claim, complete, enqueue, event_types


async def test_a_job_of_a_dead_boot_goes_on_from_its_last_finished_stage(store: Store) -> None:
    job = await enqueue(store)
    claimed = await claim(store, "boot-a/0")
    await complete(store, claimed, STAGE_ORDER[:2])
    await store.jobs.begin_stage(claimed.fence, StageName.VIDEO)
    await store.jobs.begin_attempt(claimed.fence, StageName.VIDEO, "draft")
    report = await store.jobs.reap_lost("boot-b")
    assert (report.requeued, report.failed, report.cancelled) == ((job.job_id,), (), ())
    again = await claim(store, "boot-b/0")
    assert (again.job.attempt, again.job.lost_attempts) == (2, 1)
    states = [stage.state for stage in again.view.stages]
    assert states == [StageState.COMPLETED, StageState.COMPLETED, StageState.PENDING, StageState.PENDING]
    assert [(str(hop.outcome), hop.error_code) for hop in again.view.attempts] == [
        ("lost", ErrorCode.WORKER_LOST)
    ]
    assert "lost" in await event_types(store, job.job_id)


async def test_jobs_of_this_boot_are_not_reaped_in_any_slot(store: Store) -> None:
    for slot in ("boot-b", "boot-b/0", "boot-b/17"):
        await enqueue(store)
        await claim(store, slot)
    await enqueue(store)
    await claim(store, "boot-bb/0")
    assert len((await store.jobs.reap_lost("boot-b")).requeued) == 1


async def test_a_job_lost_three_times_fails_with_worker_lost_and_is_not_run_again(store: Store) -> None:
    job = await enqueue(store)
    for boot in range(2):
        await claim(store, f"boot-{boot}/0")
        assert (await store.jobs.reap_lost(f"boot-{boot + 1}")).requeued == (job.job_id,)
    await claim(store, "boot-2/0")
    assert (await store.jobs.reap_lost("boot-3")).failed == (job.job_id,)
    ended = await store.jobs.get(job.job_id)
    assert (ended.status, ended.error_code, ended.attempt) == (JobStatus.FAILED, ErrorCode.WORKER_LOST, 3)
    assert ended.error_hint
    assert await store.jobs.claim("boot-3", lease_ms=1) is None


async def test_a_lost_job_whose_cancel_was_requested_becomes_cancelled(store: Store) -> None:
    job = await enqueue(store)
    await claim(store, "boot-a")
    await store.jobs.request_cancel(job.job_id)
    assert (await store.jobs.reap_lost("boot-b")).cancelled == (job.job_id,)
    assert (await store.jobs.get(job.job_id)).state is JobState.CANCELLED


async def test_reaping_twice_finds_nothing_the_second_time(store: Store) -> None:
    await enqueue(store)
    await claim(store, "boot-a")
    await store.jobs.reap_lost("boot-b")
    again = await store.jobs.reap_lost("boot-b")
    assert (again.requeued, again.failed, again.cancelled) == ((), (), ())


async def test_a_stop_in_good_order_puts_jobs_back_without_counting_a_loss(store: Store) -> None:
    kept = await enqueue(store)
    ended = await enqueue(store)
    await claim(store, "boot-a/0")
    await claim(store, "boot-a/1")
    await store.jobs.request_cancel(ended.job_id)
    released = await store.jobs.release_all("boot-a")
    assert [(job.job_id, job.state) for job in released] == [
        (kept.job_id, JobState.QUEUED),
        (ended.job_id, JobState.CANCELLED),
    ]
    again = await claim(store, "boot-b/0")
    assert (again.job.job_id, again.job.lost_attempts, again.job.attempt) == (kept.job_id, 0, 2)
    assert await store.jobs.release_all("boot-a") == ()
