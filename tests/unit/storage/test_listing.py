"""Lists, pages, filters and counts."""

from __future__ import annotations

import pytest

from backend.models.codes import ErrorCode, JobStatus
from backend.models.errors import RequestError
from backend.models.library_records import JobChange, JobFilter
from backend.storage.store import Store
from tests.unit.storage.kit import claim, enqueue, fall_back, run_to_success


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_pages_show_every_job_once_in_order_although_new_ones_arrive(store: Store, order) -> None:
    ids = [(await enqueue(store)).job_id for _ in range(7)]
    seen, cursor = [], None
    while True:
        page = await store.jobs.list_page(order=order, limit=3, cursor=cursor)
        seen += [job.job_id for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            break
        if order == "desc":
            await enqueue(store)
    assert seen == (ids[::-1] if order == "desc" else ids)


async def test_a_page_that_ends_exactly_has_no_next_cursor(store: Store) -> None:
    for _ in range(3):
        await enqueue(store)
    assert (await store.jobs.list_page(limit=3)).next_cursor is None


@pytest.mark.parametrize(
    "cursor",
    ["x", "", "WyJkZXNjIiwxXQ===", "é", "bnVsbA", "WyJkZXNjIiwtMV0", "WyJkZXNjIiwiMSJd", "[" * 400, "\0"],
)
async def test_a_cursor_that_is_not_ours_is_refused_or_ignored_when_empty(store: Store, cursor: str) -> None:
    await enqueue(store)
    if cursor == "":
        assert len((await store.jobs.list_page(cursor=cursor)).jobs) == 1
        return
    with pytest.raises(RequestError) as caught:
        await store.jobs.list_page(cursor=cursor)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert caught.value.fields[0].field == "cursor"


async def test_a_cursor_of_the_other_order_is_refused(store: Store) -> None:
    for _ in range(3):
        await enqueue(store)
    page = await store.jobs.list_page(limit=1, order="asc")
    with pytest.raises(RequestError):
        await store.jobs.list_page(limit=1, order="desc", cursor=page.next_cursor)


async def test_every_status_can_be_listed_and_is_counted(store: Store) -> None:
    expected = {}
    expected[JobStatus.COMPLETED] = await enqueue(store)
    await run_to_success(store)
    expected[JobStatus.FAILED] = await enqueue(store)
    await store.jobs.fail((await claim(store)).fence, ErrorCode.GPU_FAULT, "broken")
    expected[JobStatus.FALLBACK] = await enqueue(store)
    await fall_back(store, await claim(store))
    await claim(store)
    expected[JobStatus.CANCELLING] = await enqueue(store)
    await claim(store)
    await store.jobs.request_cancel(expected[JobStatus.CANCELLING].job_id)
    expected[JobStatus.PROCESSING] = await enqueue(store)
    await claim(store)
    expected[JobStatus.CANCELLED] = await enqueue(store)
    await store.jobs.request_cancel(expected[JobStatus.CANCELLED].job_id)
    expected[JobStatus.QUEUED] = await enqueue(store)
    assert set(expected) == set(JobStatus)
    for status, job in expected.items():
        page = await store.jobs.list_page(JobFilter(statuses=(status,)))
        assert [(item.job_id, item.status) for item in page.jobs] == [(job.job_id, status)]
    assert await store.jobs.counts() == dict.fromkeys(JobStatus, 1)
    assert (
        len((await store.jobs.list_page(JobFilter(statuses=(JobStatus.FAILED, JobStatus.QUEUED)))).jobs) == 2
    )
    assert (await store.jobs.list_page(JobFilter(statuses=()))).jobs == ()


async def test_a_search_takes_every_character_literally(store: Store) -> None:
    percent = await enqueue(store, title="100% sure", search_text="100% sure\nhello_world")
    other = await enqueue(store, title="100 sure", search_text="100 sure\nhello world")
    for q, wanted in {
        "100%": [percent],
        "o_w": [percent],
        "SURE": [other, percent],
        other.job_id: [other],
        "'; DROP TABLE jobs; --": [],
        "\\": [],
    }.items():
        page = await store.jobs.list_page(JobFilter(q=q))
        assert [job.job_id for job in page.jobs] == [job.job_id for job in wanted], q


async def test_lists_can_be_limited_to_an_engine_or_an_owner_and_hide_deleted_jobs(store: Store) -> None:
    a = await enqueue(store, engine_plan=("draft",), owner="x")
    b = await enqueue(store, engine_plan=("wan2gp",), owner="y")
    assert [job.job_id for job in (await store.jobs.list_page(JobFilter(engine="draft"))).jobs] == [a.job_id]
    assert [job.job_id for job in (await store.jobs.list_page(JobFilter(owner="y"))).jobs] == [b.job_id]
    await store.jobs.delete(a.job_id)
    assert [job.job_id for job in (await store.jobs.list_page()).jobs] == [b.job_id]
    assert sum((await store.jobs.counts()).values()) == 1


async def test_an_unknown_job_is_named_as_such_by_every_verb(store: Store) -> None:
    verbs = [
        store.jobs.get("job_00000000"),
        store.jobs.get_view("job_00000000"),
        store.jobs.is_cancel_requested("job_00000000"),
        store.jobs.request_cancel("job_00000000"),
        store.jobs.delete("job_00000000"),
        store.jobs.new_retry("job_00000000"),
        store.jobs.change("job_00000000", JobChange(priority=1)),
    ]
    for verb in verbs:
        with pytest.raises(RequestError) as caught:
            await verb
        assert caught.value.code is ErrorCode.JOB_NOT_FOUND
