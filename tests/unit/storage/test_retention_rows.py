"""What the retention statements choose, and above all what they spare."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backend.models.codes import ErrorCode, StageName
from backend.models.errors import ProductError
from backend.models.records import JobRecord
from backend.storage.retention import OldJobs
from backend.storage.store import Store
from tests.unit.storage.kit import (
    claim,
    complete,
    enqueue,
    event_types,
    open_test_store,
    run_to_success,
    succeed,
)

DAY_MS = 24 * 3600 * 1000


async def ended(store: Store, clock, **changes) -> JobRecord:
    """A job that succeeded, an hour after the one before."""
    clock.advance(3600)
    await enqueue(store, **changes)
    return await run_to_success(store)


def old(clock, *, days: float = 30, keep: int = 0) -> OldJobs:
    now = clock.now_ms()
    return OldJobs(before_ms=int(now - days * DAY_MS), keep=keep, key_before_ms=now - DAY_MS)


async def test_jobs_are_old_by_age_or_by_number_whichever_comes_first(store: Store, clock) -> None:
    jobs = [await ended(store, clock) for _ in range(4)]
    waiting = await enqueue(store)
    assert await store.retention.old_jobs(old(clock)) == []
    assert await store.retention.old_jobs(old(clock, keep=3)) == [jobs[0].job_id]
    clock.advance(29 * 24 * 3600)
    assert await store.retention.old_jobs(old(clock, keep=3)) == [jobs[0].job_id]
    clock.advance(2 * 24 * 3600)
    chosen = await store.retention.old_jobs(old(clock, keep=3))
    assert chosen == [job.job_id for job in jobs]
    assert waiting.job_id not in chosen


async def test_a_job_whose_key_must_still_answer_is_not_old(store: Store, clock) -> None:
    keyed = await ended(store, clock, idempotency_key="order-7")
    await ended(store, clock)
    assert await store.retention.old_jobs(old(clock, keep=1)) == []
    clock.advance(24 * 3600)
    assert await store.retention.old_jobs(old(clock, keep=1)) == [keyed.job_id]


async def test_a_job_whose_webhook_is_owed_is_not_old(store: Store, clock) -> None:
    job = await ended(
        store, clock, request={"webhook": {"url": "http://x.example/", "events": ["job.completed"]}}
    )
    clock.advance(40 * 24 * 3600)
    assert await store.retention.old_jobs(old(clock)) == []
    await store.jobs.delete(job.job_id)
    assert await store.retention.drop_gone_jobs(before_ms=clock.now_ms() + 1) == 0
    assert (await store.webhooks.due(besides=(), limit=9))[0].job_id == job.job_id


async def test_old_jobs_tell_the_bytes_that_their_deletion_frees(store: Store, clock) -> None:
    first = await ended(store, clock)
    retry, _ = await store.jobs.new_retry(first.job_id, from_stage=StageName.VIDEO)
    clock.advance(40 * 24 * 3600)
    usage = await store.retention.old_jobs_usage(old(clock))
    # script.bin and speech.bin are shared with the retry that waits; video.bin (5) and video.mp4 (3) are not.
    assert (usage.count, usage.size_bytes) == (1, 8)
    freed = (await store.jobs.delete(first.job_id)).files
    assert sum(file.size_bytes for file in freed) == usage.size_bytes
    assert (await store.jobs.get_view(retry.job_id)).artifact("script.bin") is not None


async def test_artifacts_are_given_up_oldest_first_and_only_as_many_as_asked(store: Store, clock) -> None:
    jobs = [await ended(store, clock) for _ in range(3)]
    assert (await store.retention.releasable_usage(["video.bin"])).size_bytes == 15
    freed = await store.retention.release(["video.bin"], up_to_bytes=6)
    assert [file.rel_path for file in freed] == [f"outputs/{job.job_id}/video.bin" for job in jobs[:2]]
    assert len(await store.retention.release(["video.bin"])) == 1
    assert await store.retention.release(["video.bin"]) == []


async def test_what_a_live_job_references_is_never_given_up(store: Store, clock) -> None:
    first = await ended(store, clock)
    await store.jobs.new_retry(first.job_id, from_stage=StageName.FINISH)
    await enqueue(store, priority=1)
    await complete(store, await claim(store))
    for names in (["video.bin"], ["script.bin", "speech.bin"]):
        assert await store.retention.release(names) == []
        assert (await store.retention.releasable_usage(names)).count == 0
    freed = await store.retention.release(["video.mp4"])
    assert [file.rel_path for file in freed] == [f"outputs/{first.job_id}/video.mp4"]


async def test_the_database_refuses_to_give_up_what_a_running_job_needs(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    await enqueue(store)
    await complete(store, await claim(store))
    await store.close()
    with (
        closing(sqlite3.connect(tmp_path / "data" / "sqlite.db")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="has not ended"),
    ):
        connection.execute("UPDATE artifacts SET released_at = 1")


async def test_a_retry_makes_again_what_was_given_up(store: Store, clock) -> None:
    await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed)
    await store.jobs.begin_stage(claimed.fence, StageName.FINISH)
    failed = await store.jobs.fail(claimed.fence, ErrorCode.NO_OUTPUT, "Nothing came out.")
    await store.retention.release(["video.bin"])
    retry, _ = await store.jobs.new_retry(failed.job_id)
    states = {stage.name: stage.state.value for stage in (await store.jobs.get_view(retry.job_id)).stages}
    assert states == {"script": "completed", "speech": "completed", "video": "pending", "finish": "pending"}


async def test_progress_of_ended_jobs_is_dropped_and_every_other_event_stays(store: Store, clock) -> None:
    await enqueue(store)
    claimed = await claim(store)
    await store.jobs.report_progress(claimed.fence, 10.0)
    await complete(store, claimed)
    assert await store.retention.drop_progress_events(before_ms=clock.now_ms() + 1) == 0
    job = await succeed(store, claimed)
    before = await event_types(store, job.job_id)
    assert await store.retention.drop_progress_events(before_ms=clock.now_ms() + 1) == 1
    assert await event_types(store, job.job_id) == [kind for kind in before if kind != "progress"]


async def test_rows_of_deleted_jobs_and_purged_files_go_after_a_while(store: Store, clock) -> None:
    job = await ended(store, clock)
    kept = await ended(store, clock)
    deleted = await store.jobs.delete(job.job_id)
    await store.files.mark_purged([file.file_id for file in deleted.files])
    assert await store.retention.drop_gone_jobs(before_ms=clock.now_ms()) == 0
    clock.advance(1)
    assert await store.retention.drop_gone_files(before_ms=clock.now_ms()) == 0, "the job's rows name them"
    assert await store.retention.drop_gone_jobs(before_ms=clock.now_ms()) == 1
    assert await store.retention.drop_gone_files(before_ms=clock.now_ms()) == 4
    with pytest.raises(ProductError):
        await store.jobs.get(job.job_id)
    assert await event_types(store, job.job_id) == []
    assert len((await store.jobs.get_view(kept.job_id)).artifacts) == 4


async def test_usage_tells_intermediates_from_results(store: Store, clock) -> None:
    await ended(store, clock)
    usage = await store.retention.usage_by_kind(["video.bin"])
    assert (usage["intermediate"].count, usage["intermediate"].size_bytes) == (1, 5)
    assert usage["artifact"].count == 3


async def test_the_database_file_gives_free_pages_back(tmp_path: Path, clock) -> None:
    store = await open_test_store(tmp_path, clock)
    for _ in range(4):
        await enqueue(store, request={"script_input": "x" * 400_000})
        claimed = await claim(store)
        await store.jobs.fail(claimed.fence, ErrorCode.NO_OUTPUT, "x")
        await store.jobs.delete(claimed.job.job_id)
    assert await store.retention.drop_gone_jobs(before_ms=clock.now_ms() + 1) == 4
    held = await store.retention.free_bytes()
    assert held > 1_000_000
    while (left := await store.retention.vacuum()) < held:
        held = left
        if not left:
            break
    assert left == 0
    await store.close()
