"""Stars, folders and titles of jobs; folders that go; drafts and their revisions."""

from __future__ import annotations

import asyncio

import pytest

from backend.models.codes import ErrorCode, StageName
from backend.models.errors import OutOfDate, RequestError, UnknownId
from backend.models.library_records import NO_FOLDER, JobChange, JobFilter
from backend.storage import folders
from backend.storage.store import Store
from tests.unit.storage.kit import claim, enqueue, event_types, fall_back, run_to_success


async def ids(store: Store, **only: object) -> list[str]:
    return [job.job_id for job in (await store.jobs.list_page(JobFilter(**only))).jobs]  # type: ignore[arg-type]


async def test_a_change_is_done_whole_or_not_at_all(store: Store) -> None:
    job = await enqueue(store, title="t", search_text="t\nscript")
    with pytest.raises(RequestError) as caught:
        await store.jobs.change(job.job_id, JobChange(title="new", moves=True, folder_id="fld_nonesuch0"))
    assert caught.value.fields[0].field == "folder_id"
    await run_to_success(store)
    with pytest.raises(RequestError):
        await store.jobs.change(job.job_id, JobChange(title="new", priority=3))
    assert (await store.jobs.get(job.job_id)).title == "t"
    assert "updated" not in await event_types(store, job.job_id)
    await store.jobs.delete(job.job_id)
    with pytest.raises(RequestError) as caught:
        await store.jobs.change(job.job_id, JobChange(starred=True))
    assert caught.value.code is ErrorCode.GONE


async def test_a_running_job_can_be_named_and_goes_on(store: Store) -> None:
    job = await enqueue(store)
    claimed = await claim(store)
    changed = await store.jobs.change(job.job_id, JobChange(title="named", starred=True))
    assert (changed.title, changed.starred, changed.state) == ("named", True, claimed.job.state)
    await store.jobs.report_progress(claimed.fence, 5, message="on")
    assert await event_types(store, job.job_id) == ["queued", "started", "updated", "progress"]


async def test_a_voice_finds_every_job_in_which_it_speaks_once(store: Store) -> None:
    pair = [{"voice_id": "voice_a"}, {"voice_id": "voice_b"}]
    both = await enqueue(store, request={"voice_id": "voice_a", "speakers": pair})
    twice = await enqueue(store, request={"voice_id": "voice_a", "speakers": [pair[0], pair[0]]})
    alone = await enqueue(store, request={"voice_id": "voice_b"})
    assert await ids(store, voice_id="voice_a") == [twice.job_id, both.job_id]
    assert await ids(store, voice_id="voice_b") == [alone.job_id, both.job_id]


async def test_the_total_counts_all_pages_also_on_one_without_jobs(store: Store) -> None:
    made = [await enqueue(store, search_text="x") for _ in range(5)]
    first = await store.jobs.list_page(JobFilter(q="X"), limit=4)
    assert (len(first.jobs), first.total) == (4, 5)
    last = await store.jobs.list_page(JobFilter(q="X"), limit=4, cursor=first.next_cursor)
    assert ([job.job_id for job in last.jobs], last.total) == ([made[0].job_id], 5)
    await store.jobs.delete(made[0].job_id)
    empty = await store.jobs.list_page(JobFilter(q="X"), limit=4, cursor=first.next_cursor)
    assert (empty.jobs, empty.total, empty.next_cursor) == ((), 4, None)
    assert (await store.jobs.list_page(JobFilter(q="nowhere"))).total == 0


async def test_searches_at_the_same_time_all_get_their_answer(store: Store) -> None:
    job = await enqueue(store, search_text="needle")
    pages = await asyncio.gather(*(store.jobs.list_page(JobFilter(q=q)) for q in ("needle", "hay", "NEED")))
    assert [[found.job_id for found in page.jobs] for page in pages] == [[job.job_id], [], [job.job_id]]


async def test_a_folder_that_goes_leaves_its_jobs_and_tells_of_each_whatever_their_number(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "BATCH", 2)
    for count in (0, 2, 3):
        folder = await store.folders.create(f"folder {count}")
        made = [await enqueue(store, folder_id=folder.folder_id) for _ in range(count)]
        deleted = await enqueue(store, folder_id=folder.folder_id)
        await store.jobs.delete(deleted.job_id)
        assert [one.jobs for one in await store.folders.list_all()] == [count]
        await store.folders.delete(folder.folder_id)
        assert await store.folders.list_all() == []
        for job in made:
            assert (await store.jobs.get(job.job_id)).folder_id is None
            assert (await event_types(store, job.job_id))[-1] == "updated"
        assert (await store.jobs.get(deleted.job_id)).folder_id is None
    assert len(await ids(store, folder_id=NO_FOLDER)) == 5
    with pytest.raises(UnknownId):
        await store.folders.delete("fld_nonesuch0")


async def test_folders_are_bounded_in_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FOLDERS", 1)
    kept = await store.folders.create("one")
    with pytest.raises(RequestError) as caught:
        await store.folders.create("two")
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert (await store.folders.rename(kept.folder_id, "ONE")).name == "ONE"


async def test_of_two_saves_of_the_same_revision_one_wins(store: Store) -> None:
    await store.drafts.save("studio", {"n": 0}, revision=None)
    results = await asyncio.gather(
        *(store.drafts.save("studio", {"n": n}, revision=1) for n in (1, 2)), return_exceptions=True
    )
    assert sum(isinstance(result, OutOfDate) for result in results) == 1
    assert (await store.drafts.get("studio")).revision == 2


async def test_a_written_text_is_found_also_after_the_job_was_renamed_and_repeated(store: Store) -> None:
    job = await enqueue(store, title="Topic", search_text="Topic\ntea")
    for _ in range(2):
        claimed = await claim(store)
        await store.jobs.begin_stage(claimed.fence, StageName.SCRIPT)
        await store.jobs.complete_stage(claimed.fence, StageName.SCRIPT, searched="Green LEAVES 茶叶")
        await fall_back(store, claimed, redo=[StageName.SCRIPT])
    await store.jobs.change(job.job_id, JobChange(title="Renamed"))
    for q in ("leaves 茶", "TEA", "renamed"):
        assert await ids(store, q=q) == [job.job_id], q
    assert await ids(store, q="Topic") == []
    row = await store.db.one("SELECT search_text FROM jobs")
    assert row is not None
    assert row["search_text"] == "renamed\ntea\ngreen leaves 茶叶"
