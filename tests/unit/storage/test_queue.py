"""Who is served, when, and what the queue refuses."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from backend.models.codes import STAGE_ORDER, ErrorCode, JobState, JobStatus, StageName, StageState
from backend.models.errors import RequestError
from backend.models.library_records import JobChange
from backend.models.records import AttemptOutcome
from backend.storage.store import Store
from backend.utils.clock import ManualClock
from tests.unit.storage.kit import (
    BOOT,
    LEASE_MS,
    claim,
    complete,
    enqueue,
    event_types,
    fall_back,
    new_job,
    open_test_store,
    run_to_success,
    succeed,
)


async def test_a_job_goes_from_queued_to_completed_with_its_stages_and_artifacts(store: Store) -> None:
    job = await enqueue(store, title="六月公告")
    assert job.status is JobStatus.QUEUED
    claimed = await claim(store)
    assert claimed.job.status is JobStatus.PROCESSING
    assert [stage.name for stage in claimed.view.stages] == list(STAGE_ORDER)
    await complete(store, claimed)
    done = await succeed(store, claimed)
    assert (done.status, done.percent) == (JobStatus.COMPLETED, 100)
    view = await store.jobs.get_view(job.job_id)
    assert all(stage.state is StageState.COMPLETED for stage in view.stages)
    result = view.artifact("video.mp4")
    assert result is not None
    assert result.file.file_id == done.result_file_id
    assert {item.name for item in view.artifacts} == {"script.bin", "speech.bin", "video.bin", "video.mp4"}


async def test_first_come_is_first_served(store: Store) -> None:
    ids = [(await enqueue(store)).job_id for _ in range(5)]
    assert [(await claim(store)).job.job_id for _ in range(5)] == ids
    assert await store.jobs.claim(BOOT, lease_ms=LEASE_MS) is None


async def test_a_higher_priority_is_served_before_everything_else(store: Store) -> None:
    plain = await enqueue(store)
    urgent = await enqueue(store, priority=5, owner="b")
    late = await enqueue(store)
    await store.jobs.change(late.job_id, JobChange(priority=9))
    order = [(await claim(store)).job.job_id for _ in range(3)]
    assert order == [late.job_id, urgent.job_id, plain.job_id]


@pytest.mark.parametrize("priority", [-101, 101])
async def test_a_priority_out_of_range_is_refused(store: Store, priority: int) -> None:
    job = await enqueue(store)
    with pytest.raises(RequestError) as caught:
        await store.jobs.change(job.job_id, JobChange(priority=priority))
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


async def test_the_priority_of_an_ended_job_cannot_be_changed(store: Store) -> None:
    job = await enqueue(store)
    await store.jobs.request_cancel(job.job_id)
    with pytest.raises(RequestError) as caught:
        await store.jobs.change(job.job_id, JobChange(priority=1))
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


async def test_two_owners_are_served_alternately_although_one_has_a_hundred_jobs(store: Store) -> None:
    for _ in range(100):
        await enqueue(store, owner="many")
    for _ in range(4):
        await enqueue(store, owner="few")
    served = [(await claim(store)).job.owner for _ in range(8)]
    assert served == ["many", "few"] * 4
    assert (await claim(store)).job.owner == "many"


async def test_queue_positions_are_the_order_in_which_jobs_are_served(store: Store) -> None:
    for index in range(12):
        await enqueue(store, owner="abca"[index % 4])
    await claim(store)
    positions = await store.jobs.queue_positions()
    promised = sorted(positions, key=positions.__getitem__)
    assert sorted(positions.values()) == list(range(1, 12))
    view = await store.jobs.get_view(promised[4])
    assert view.queue_position == 5
    assert await store.jobs.queue_position(promised[4]) == 5
    assert [(await claim(store)).job.job_id for _ in range(11)] == promised


@pytest.mark.parametrize("seed", range(4))
async def test_a_jobs_own_position_is_its_place_in_all_positions(store: Store, seed: int) -> None:
    random = Random(seed)  # noqa: S311
    for _ in range(30):
        await enqueue(store, owner=random.choice("abcd"), priority=random.choice([0, 0, 1]))
        if random.random() < 0.2:
            await claim(store)
    positions = await store.jobs.queue_positions()
    assert {job_id: await store.jobs.queue_position(job_id) for job_id in positions} == positions
    assert {job_id: (await store.jobs.get_view(job_id)).queue_position for job_id in positions} == positions
    highest = [job_id for job_id in positions if (await store.jobs.get(job_id)).priority == 1]
    served = [(await claim(store)).job.job_id for _ in highest]
    assert served == sorted(highest, key=positions.__getitem__)


async def test_queue_positions_put_higher_priorities_first(store: Store) -> None:
    plain = await enqueue(store)
    urgent = await enqueue(store, priority=1)
    assert await store.jobs.queue_positions() == {urgent.job_id: 1, plain.job_id: 2}


async def test_a_job_that_does_not_wait_has_position_zero(store: Store) -> None:
    job = await enqueue(store)
    await claim(store)
    assert await store.jobs.queue_position(job.job_id) == 0
    assert (await store.jobs.get_view(job.job_id)).queue_position == 0


async def test_a_paused_queue_hands_out_nothing_and_remembers_it_over_a_restart(
    tmp_path, clock: ManualClock
) -> None:
    store = await open_test_store(tmp_path, clock)
    await enqueue(store)
    await store.jobs.pause("The disk is full.")
    assert await store.jobs.claim(BOOT, lease_ms=LEASE_MS) is None
    await store.close()
    store = await open_test_store(tmp_path, clock)
    try:
        state = await store.jobs.pause_state()
        assert (state.paused, state.reason, state.since) == (True, "The disk is full.", clock.now_ms())
        assert await store.jobs.claim(BOOT, lease_ms=LEASE_MS) is None
        assert not (await store.jobs.resume()).paused
        await claim(store)
    finally:
        await store.close()


async def test_a_delayed_retry_is_skipped_until_its_time_and_wakes_the_dispatcher_then(
    store: Store, clock: ManualClock
) -> None:
    job = await enqueue(store)
    claimed = await claim(store)
    due = clock.now_ms() + 5_000
    again = await store.jobs.retry_later(
        claimed.fence,
        run_after_ms=due,
        message="Trying once more.",
        error_code=ErrorCode.WORKER_CRASHED,
        error_message="signal 11",
        exit_code=-11,
    )
    assert (again.state, again.selected_engine) == (JobState.QUEUED, "infinitetalk")
    assert await store.jobs.claim(BOOT, lease_ms=LEASE_MS) is None
    assert await store.jobs.next_wake_ms() == due
    clock.advance(5)
    assert await store.jobs.next_wake_ms() is None
    assert (await claim(store)).job.job_id == job.job_id


async def test_a_claim_may_be_limited_to_engines(store: Store) -> None:
    await enqueue(store, engine_plan=("wan2gp",))
    light = await enqueue(store, engine_plan=("draft",))
    claimed = await store.jobs.claim(BOOT, lease_ms=LEASE_MS, engines=("draft",))
    assert claimed is not None
    assert claimed.job.job_id == light.job_id
    assert await store.jobs.claim(BOOT, lease_ms=LEASE_MS, engines=("draft",)) is None


async def test_beyond_the_limit_the_queue_is_full_until_a_job_leaves_it(tmp_path) -> None:
    store = await open_test_store(tmp_path, max_queued=2)
    try:
        first = await enqueue(store)
        await enqueue(store)
        with pytest.raises(RequestError) as caught:
            await enqueue(store)
        assert caught.value.code is ErrorCode.QUEUE_FULL
        await store.jobs.request_cancel(first.job_id)
        await enqueue(store)
    finally:
        await store.close()


async def test_a_hundred_parallel_identical_posts_make_one_job(store: Store) -> None:
    answers = await asyncio.gather(*(store.jobs.enqueue(new_job(idempotency_key="k")) for _ in range(100)))
    assert len({job.job_id for job, _ in answers}) == 1
    assert sum(not replayed for _, replayed in answers) == 1
    assert (await store.jobs.counts())[JobStatus.QUEUED] == 1


async def test_the_same_key_with_another_request_is_a_conflict_and_makes_nothing(store: Store) -> None:
    await enqueue(store, idempotency_key="k")
    with pytest.raises(RequestError) as caught:
        await enqueue(store, idempotency_key="k", request_sha256="b" * 64)
    assert caught.value.code is ErrorCode.IDEMPOTENCY_CONFLICT
    assert (await store.jobs.counts())[JobStatus.QUEUED] == 1


async def test_a_replay_is_answered_although_the_queue_is_full(tmp_path) -> None:
    store = await open_test_store(tmp_path, max_queued=1)
    try:
        job = await enqueue(store, idempotency_key="k")
        again, replayed = await store.jobs.enqueue(new_job(idempotency_key="k"))
        assert (again.job_id, replayed) == (job.job_id, True)
    finally:
        await store.close()


async def test_keys_of_two_owners_do_not_meet(store: Store) -> None:
    one = await enqueue(store, idempotency_key="k", owner="a")
    other = await enqueue(store, idempotency_key="k", owner="b")
    assert one.job_id != other.job_id


async def test_a_fallback_keeps_the_job_shows_its_reason_and_keeps_finished_stages(store: Store) -> None:
    job = await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed, STAGE_ORDER[:2])
    await store.jobs.begin_stage(claimed.fence, StageName.VIDEO)
    await store.jobs.begin_attempt(claimed.fence, StageName.VIDEO, "infinitetalk", worker_id="w1")
    waiting = await fall_back(store, claimed, "wan2gp", exit_code=3)
    assert waiting.status is JobStatus.FALLBACK
    assert waiting.selected_engine == "wan2gp"
    again = await claim(store)
    assert again.job.status is JobStatus.FALLBACK
    assert again.job.attempt == 2
    states = [stage.state for stage in again.view.stages]
    assert states == [StageState.COMPLETED, StageState.COMPLETED, StageState.PENDING, StageState.PENDING]
    (hop,) = again.view.attempts
    assert (hop.engine, hop.worker_id, str(hop.outcome), hop.error_code, hop.exit_code) == (
        "infinitetalk",
        "w1",
        "failed",
        ErrorCode.GPU_OOM,
        3,
    )
    await complete(store, again, [StageName.VIDEO])
    done = await succeed(store, again)
    assert done.status is JobStatus.COMPLETED
    assert done.fallback_reason == waiting.fallback_reason
    assert await event_types(store, job.job_id) == [
        "queued",
        "started",
        *["stage_started", "stage_completed"] * 2,
        "stage_started",
        "fallback",
        "started",
        *["stage_started", "stage_completed"],
        "stage_started",
        "completed",
    ]


async def test_a_fallback_that_redoes_a_stage_forgets_its_artifact_and_may_write_the_same_file_again(
    store: Store,
) -> None:
    await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed)
    await fall_back(store, claimed, redo=(StageName.VIDEO,))
    again = await claim(store)
    assert again.view.artifact("video.bin") is None
    assert again.view.stage(StageName.VIDEO).state is StageState.PENDING
    await complete(store, again, [StageName.VIDEO])
    await succeed(store, again)
    assert await store.files.to_purge() == []


async def test_hops_of_one_attempt_are_kept_in_order_with_worker_outcome_and_what_changed(
    store: Store,
) -> None:
    job = await enqueue(store)
    fence = (await claim(store)).fence
    await store.jobs.begin_stage(fence, StageName.SCRIPT)
    await store.jobs.begin_attempt(fence, StageName.SCRIPT, "wan2gp")
    await store.jobs.note_worker(fence, "wan2gp-1")
    await store.jobs.end_attempt(
        fence, AttemptOutcome.FAILED, error_code=ErrorCode.GPU_OOM, error_message="oom", exit_code=1
    )
    await store.jobs.begin_attempt(fence, StageName.SCRIPT, "wan2gp", detail="with the low memory profile")
    await store.jobs.complete_stage(fence, StageName.SCRIPT)
    hops = (await store.jobs.get_view(job.job_id)).attempts
    assert [(hop.worker_id, str(hop.outcome), hop.error_code, hop.detail) for hop in hops] == [
        ("wan2gp-1", "failed", ErrorCode.GPU_OOM, ""),
        (None, "succeeded", None, "with the low memory profile"),
    ]


async def test_success_without_the_stages_before_is_refused(store: Store) -> None:
    await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed, STAGE_ORDER[:2])
    with pytest.raises(Exception, match="break its rules"):
        await succeed(store, claimed)
    assert (await store.jobs.get(claimed.job.job_id)).state is JobState.RUNNING


async def test_a_completed_stage_is_not_begun_again_and_an_idle_one_not_completed(store: Store) -> None:
    await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed, STAGE_ORDER[:1])
    with pytest.raises(ValueError, match="completed already"):
        await store.jobs.begin_stage(claimed.fence, StageName.SCRIPT)
    with pytest.raises(ValueError, match="not running"):
        await store.jobs.complete_stage(claimed.fence, StageName.SPEECH)


async def test_progress_never_goes_back_and_stays_below_a_hundred_before_success(store: Store) -> None:
    await enqueue(store)
    fence = (await claim(store)).fence
    seen = [(await store.jobs.report_progress(fence, percent)).percent for percent in (10, 40.7, 12, -5, 250)]
    assert seen == [10, 40, 40, 40, 99]
    for nonsense in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            await store.jobs.report_progress(fence, nonsense)


async def test_a_new_attempt_begins_with_progress_zero(store: Store) -> None:
    await enqueue(store)
    claimed = await claim(store)
    await store.jobs.report_progress(claimed.fence, 80, stage=StageName.VIDEO, message="Frames", eta_s=3.5)
    assert (await store.jobs.get(claimed.job.job_id)).eta_s == 3.5
    await fall_back(store, claimed)
    assert (await claim(store)).job.percent == 0


async def test_events_can_be_read_on_from_any_id_without_gap_or_double(store: Store) -> None:
    job = await enqueue(store)
    await run_to_success(store)
    everything = await store.jobs.events_since(0, job_id=job.job_id)
    assert everything[-1].is_terminal
    assert everything[-1].data["status"] == "completed"
    for index, event in enumerate(everything):
        rest = await store.jobs.events_since(event.event_id, job_id=job.job_id)
        assert rest == everything[index + 1 :]
    assert [event.event_id for event in await store.jobs.events_since(0, limit=3)] == [1, 2, 3]
    assert await store.jobs.latest_event_id() == everything[-1].event_id
