"""Batches in the store: all or nothing for a crash, one by one for a refusal, one key for the whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backend.models.codes import ErrorCode, JobStatus
from backend.models.errors import RequestError, UnknownId
from backend.models.library_records import JobFilter
from backend.storage.store import Store
from backend.utils.ids import new_id
from tests.unit.storage.kit import BOOT, claim, complete, new_job, open_test_store, run_to_success, succeed

REFUSED = {"code": "voice_not_found", "detail": "There is no such voice.", "hint": None}


async def make(store: Store, count: int = 3, *, key: str | None = None, sha256: str = "b" * 64, **more):
    batch_id = new_id("batch")
    items = [new_job(batch_id=batch_id) for _ in range(count)]
    return await store.batches.create(
        batch_id, title="Week 3", request_sha256=sha256, idempotency_key=key, items=items, **more
    )


async def test_a_refused_item_stops_no_other_and_keeps_its_place(store: Store) -> None:
    batch_id = new_id("batch")
    items = [new_job(batch_id=batch_id), REFUSED, new_job(batch_id=batch_id)]
    batch, replayed = await store.batches.create(
        batch_id, title="", request_sha256="x", idempotency_key=None, items=items
    )
    assert replayed is False
    assert [item["index"] for item in batch.items] == [0, 1, 2]
    assert [item["error"] for item in batch.items] == [None, REFUSED, None]
    assert [job.job_id for job in await store.batches.jobs(batch_id)] == list(batch.job_ids)
    assert await store.batches.get(batch_id) == batch


async def test_a_full_queue_refuses_the_items_that_do_not_fit(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, max_queued=2)
    batch, _ = await make(store, 3)
    assert [item["error"] and item["error"]["code"] for item in batch.items] == [None, None, "queue_full"]
    await store.close()


async def test_the_same_key_gives_the_same_batch_and_no_second_job(store: Store) -> None:
    first, _ = await make(store, key="order-7")
    again, replayed = await make(store, key="order-7")
    assert (again, replayed) == (first, True)
    assert len((await store.jobs.list_page(limit=10)).jobs) == 3
    assert await store.batches.replay_of("order-7", "b" * 64) == first
    for call in (make(store, key="order-7", sha256="c" * 64), store.batches.replay_of("order-7", "c" * 64)):
        with pytest.raises(RequestError) as caught:
            await call
        assert caught.value.code is ErrorCode.IDEMPOTENCY_CONFLICT
    assert await store.batches.replay_of("order-8", "b" * 64) is None


async def test_two_callers_with_one_key_at_once_make_one_batch(store: Store) -> None:
    made = await asyncio.gather(*(make(store, key="order-7") for _ in range(5)))
    assert len({batch.batch_id for batch, _ in made}) == 1
    assert sorted(replayed for _, replayed in made) == [False, True, True, True, True]
    assert len((await store.jobs.list_page(limit=10)).jobs) == 3


async def test_a_batch_that_cannot_be_written_whole_leaves_nothing(store: Store) -> None:
    batch_id = new_id("batch")
    twice = new_job(batch_id=batch_id)
    with pytest.raises(Exception, match="refused a change"):
        await store.batches.create(
            batch_id, title="", request_sha256="x", idempotency_key=None, items=[twice, twice]
        )
    assert (await store.jobs.list_page()).jobs == ()
    with pytest.raises(UnknownId):
        await store.batches.get(batch_id)


async def test_a_tally_counts_by_status_and_forgets_deleted_jobs(store: Store) -> None:
    batch, _ = await make(store, 4)
    await run_to_success(store)
    running = await claim(store)
    await store.jobs.report_progress(running.fence, 50.0)
    await store.jobs.request_cancel(batch.job_ids[2])
    await store.jobs.delete(batch.job_ids[2])
    tally = (await store.batches.tallies([batch.batch_id]))[batch.batch_id]
    expected = {JobStatus.COMPLETED: 1, JobStatus.PROCESSING: 1, JobStatus.QUEUED: 1}
    assert tally.counts == {status: expected.get(status, 0) for status in JobStatus}
    assert (tally.jobs, tally.progress_sum) == (3, 150.0)


async def test_cancelling_stops_what_has_not_ended_and_hands_out_nothing_in_between(store: Store) -> None:
    batch, _ = await make(store, 3)
    other, _ = await make(store, 1)
    await run_to_success(store)
    running = await claim(store)
    assert set(await store.batches.cancel(batch.batch_id)) == set(batch.job_ids[1:])
    statuses = [job.status for job in await store.batches.jobs(batch.batch_id)]
    assert statuses == [JobStatus.COMPLETED, JobStatus.CANCELLING, JobStatus.CANCELLED]
    assert await store.batches.cancel(batch.batch_id) == [running.job.job_id]
    assert (await claim(store)).job.job_id == other.job_ids[0]


async def test_batches_are_paged_newest_first(store: Store) -> None:
    ids = [(await make(store, 1))[0].batch_id for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = await store.batches.page(limit=2, cursor=cursor)
        seen += [batch.batch_id for batch in page]
        if cursor is None:
            break
    assert seen == ids[::-1]
    with pytest.raises(RequestError):
        await store.batches.page(limit=2, cursor="nonsense")


async def test_jobs_are_listed_by_batch(store: Store) -> None:
    batch, _ = await make(store, 2)
    await make(store, 1)
    page = await store.jobs.list_page(JobFilter(batch_id=batch.batch_id), order="asc")
    assert tuple(job.job_id for job in page.jobs) == batch.job_ids


async def test_a_batch_goes_on_after_a_restart(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    batch, _ = await make(store, 2, key="k")
    await store.close()
    store = await open_test_store(tmp_path)
    assert await store.batches.get(batch.batch_id) == batch
    claimed = await claim(store, BOOT)
    await complete(store, claimed)
    assert (await succeed(store, claimed)).batch_id == batch.batch_id
    await store.close()
