"""Retry makes a new job that shares files; delete frees only what nobody else holds."""

from __future__ import annotations

import pytest

from backend.models.codes import STAGE_ORDER, ErrorCode, JobState, JobStatus, StageName, StageState
from backend.models.errors import RequestError
from backend.models.file_records import NewVoice
from backend.models.library_records import JobChange
from backend.models.records import JobRecord
from backend.storage.store import Store
from backend.utils.ids import new_id
from tests.unit.storage.kit import claim, complete, enqueue, event_types, new_file, run_to_success, succeed


async def failed_in_video(store: Store) -> JobRecord:
    await enqueue(store, title="t", owner="o", search_text="script")
    claimed = await claim(store)
    await complete(store, claimed, STAGE_ORDER[:2])
    await store.jobs.begin_stage(claimed.fence, StageName.VIDEO)
    return await store.jobs.fail(claimed.fence, ErrorCode.GPU_OOM, "Out of memory.", hint="Use draft.")


async def test_a_retry_is_a_new_job_that_goes_on_at_the_failed_stage_with_the_same_files(
    store: Store,
) -> None:
    source = await failed_in_video(store)
    retry, replayed = await store.jobs.new_retry(source.job_id, engine_plan=("draft",))
    assert not replayed
    assert (retry.retry_of, retry.selected_engine, retry.seed) == (source.job_id, "draft", source.seed)
    assert (retry.title, retry.owner, retry.request) == (source.title, source.owner, source.request)
    assert (await store.jobs.get(source.job_id)).state is JobState.FAILED
    claimed = await claim(store)
    view = await store.jobs.get_view(source.job_id)
    shared = {item.name: item.file.file_id for item in view.artifacts}
    assert {item.name: item.file.file_id for item in claimed.view.artifacts} == shared
    assert claimed.view.stage(StageName.SPEECH).state is StageState.COMPLETED
    assert source.job_id in claimed.view.stage(StageName.SPEECH).detail
    await complete(store, claimed, [StageName.VIDEO])
    assert (await succeed(store, claimed)).status is JobStatus.COMPLETED


async def test_a_retry_from_an_earlier_stage_redoes_it_and_all_after(store: Store) -> None:
    source = await failed_in_video(store)
    retry, _ = await store.jobs.new_retry(source.job_id, from_stage=StageName.SPEECH)
    view = await store.jobs.get_view(retry.job_id)
    assert [stage.state is StageState.COMPLETED for stage in view.stages] == [True, False, False, False]
    assert [item.name for item in view.artifacts] == ["script.bin"]


async def test_a_retry_cannot_skip_a_stage_that_was_never_completed(store: Store) -> None:
    source = await failed_in_video(store)
    retry, _ = await store.jobs.new_retry(source.job_id, from_stage=StageName.FINISH)
    view = await store.jobs.get_view(retry.job_id)
    assert view.stage(StageName.VIDEO).state is StageState.PENDING


async def test_a_retry_of_a_success_without_a_stage_repeats_everything(store: Store) -> None:
    await enqueue(store)
    source = await run_to_success(store)
    retry, _ = await store.jobs.new_retry(source.job_id)
    view = await store.jobs.get_view(retry.job_id)
    assert view.artifacts == ()
    assert all(stage.state is StageState.PENDING for stage in view.stages)


async def test_a_job_that_runs_or_waits_or_was_deleted_cannot_be_repeated(store: Store) -> None:
    job = await enqueue(store)
    for _ in range(2):
        with pytest.raises(RequestError) as caught:
            await store.jobs.new_retry(job.job_id)
        assert caught.value.code is ErrorCode.NOT_READY
        await store.jobs.claim("boot-a", lease_ms=1)
    gone = await enqueue(store)
    await store.jobs.delete(gone.job_id)
    with pytest.raises(RequestError) as caught:
        await store.jobs.new_retry(gone.job_id)
    assert caught.value.code is ErrorCode.GONE


async def test_a_retry_with_a_key_is_made_once(store: Store) -> None:
    source = await failed_in_video(store)
    first, _ = await store.jobs.new_retry(source.job_id, idempotency_key="k")
    again, replayed = await store.jobs.new_retry(source.job_id, idempotency_key="k")
    assert (again.job_id, replayed) == (first.job_id, True)


async def test_a_running_job_cannot_be_deleted(store: Store) -> None:
    job = await enqueue(store)
    await claim(store)
    with pytest.raises(RequestError) as caught:
        await store.jobs.delete(job.job_id)
    assert caught.value.code is ErrorCode.NOT_READY


async def test_deleting_a_waiting_job_cancels_it_first_and_deleting_twice_is_no_error(store: Store) -> None:
    job = await enqueue(store)
    deleted = await store.jobs.delete(job.job_id)
    assert (deleted.job.state, deleted.job.deleted_at is not None) == (JobState.CANCELLED, True)
    assert (await store.jobs.delete(job.job_id)).files == ()
    assert await event_types(store, job.job_id) == ["queued", "cancelled", "deleted"]


async def test_who_spares_stars_does_not_delete_a_job_that_has_one_and_the_user_does(store: Store) -> None:
    await enqueue(store)
    job = await run_to_success(store)
    await store.jobs.change(job.job_id, JobChange(starred=True))
    spared = await store.jobs.delete(job.job_id, spare_starred=True)
    assert (spared.job.deleted_at, spared.files) == (None, ())
    assert "deleted" not in await event_types(store, job.job_id)
    assert (await store.jobs.get_view(job.job_id)).artifacts[0].file.deleted_at is None
    assert (await store.jobs.delete(job.job_id)).job.deleted_at is not None


async def test_who_spares_stars_deletes_a_job_without_one(store: Store) -> None:
    await enqueue(store)
    job = await run_to_success(store)
    deleted = await store.jobs.delete(job.job_id, spare_starred=True)
    assert deleted.job.deleted_at is not None
    assert deleted.files


async def test_files_that_a_retry_shares_outlive_the_first_job_and_go_with_the_last(store: Store) -> None:
    source = await failed_in_video(store)
    retry, _ = await store.jobs.new_retry(source.job_id)
    assert (await store.jobs.delete(source.job_id)).files == ()
    claimed = await claim(store)
    assert len(claimed.view.artifacts) == 2
    await store.jobs.fail(claimed.fence, ErrorCode.GPU_FAULT, "broken")
    freed = (await store.jobs.delete(retry.job_id)).files
    assert sorted(file.rel_path.rpartition("/")[2] for file in freed) == ["script.bin", "speech.bin"]


async def test_stages_whose_files_are_gone_are_redone_by_a_retry(store: Store) -> None:
    source = await failed_in_video(store)
    first, _ = await store.jobs.new_retry(source.job_id)
    await store.jobs.request_cancel(first.job_id)
    await store.jobs.delete(source.job_id)
    second, _ = await store.jobs.new_retry(first.job_id, from_stage=StageName.SCRIPT)
    view = await store.jobs.get_view(second.job_id)
    assert all(stage.state is StageState.PENDING for stage in view.stages)


async def test_a_key_is_free_again_after_its_job_was_deleted(store: Store) -> None:
    job = await enqueue(store, idempotency_key="k")
    await store.jobs.delete(job.job_id)
    assert (await enqueue(store, idempotency_key="k")).job_id != job.job_id


async def test_the_sample_of_a_deleted_voice_stays_until_the_job_that_reads_it_has_ended(
    store: Store,
) -> None:
    sample = await new_file(store, "uploads/file_sample00.wav", kind="voice")
    voice = NewVoice(new_id("voice"), "Mia", "wan2gp", "ready", sample)
    await store.voices.create(voice)
    job = await enqueue(store, inputs={"voice": sample.file_id})
    claimed = await claim(store)
    assert claimed.view.inputs["voice"].file_id == sample.file_id
    assert await store.voices.delete(voice.voice_id) == []
    assert await store.files.collectable(before_ms=2**62) == []
    await store.jobs.request_cancel(job.job_id)
    await store.jobs.finish_cancelled(claimed.fence)
    assert [file.file_id for file in await store.files.collectable(before_ms=2**62)] == [sample.file_id]


async def test_inputs_that_only_a_retry_would_need_are_spared_until_the_job_is_deleted(store: Store) -> None:
    picture = await new_file(store, "uploads/file_picture0.png", kind="upload")
    await store.files.add(picture)
    assert [file.file_id for file in await store.files.collectable(before_ms=2**62)] == [picture.file_id]
    job = await enqueue(store, inputs={"portrait": picture.file_id})
    await store.jobs.request_cancel(job.job_id)
    assert await store.files.collectable(before_ms=2**62) == []
    retry, _ = await store.jobs.new_retry(job.job_id)
    assert (await store.jobs.get_view(retry.job_id)).inputs["portrait"].file_id == picture.file_id
    await store.jobs.delete(job.job_id)
    await store.jobs.delete(retry.job_id)
    assert len(await store.files.collectable(before_ms=2**62)) == 1


async def test_a_promotion_shares_what_is_before_its_first_stage_and_asks_for_something_else(
    store: Store,
) -> None:
    await enqueue(store, title="t", search_text="t\nscript")
    source = await run_to_success(store)
    final, replayed = await store.jobs.new_promotion(
        source.job_id,
        request={**source.request, "preferred_engine": "wan2gp"},
        from_stage=StageName.VIDEO,
        engine_plan=("wan2gp",),
        inputs=None,
        request_sha256="b" * 64,
        idempotency_key="k",
    )
    assert not replayed
    assert (final.promoted_from, final.retry_of, final.seed) == (source.job_id, None, source.seed)
    assert final.request["preferred_engine"] == "wan2gp"
    claimed = await claim(store)
    done = [stage.name for stage in claimed.view.stages if stage.state is StageState.COMPLETED]
    assert done == [StageName.SCRIPT, StageName.SPEECH]
    assert len((await store.jobs.delete(source.job_id)).files) == 2, "the shared files stay"
    await complete(store, claimed, [StageName.VIDEO])
    assert (await succeed(store, claimed)).status is JobStatus.COMPLETED
    again, _ = await store.jobs.new_retry(final.job_id)
    assert (again.retry_of, again.promoted_from) == (final.job_id, source.job_id)


async def test_a_promotion_makes_again_what_was_given_up_for_space(store: Store) -> None:
    await enqueue(store)
    source = await run_to_success(store)
    await store.retention.release(["speech.bin"])
    final, _ = await store.jobs.new_promotion(
        source.job_id,
        request=source.request,
        from_stage=StageName.VIDEO,
        engine_plan=("wan2gp",),
        inputs=None,
        request_sha256="b" * 64,
    )
    view = await store.jobs.get_view(final.job_id)
    assert [s.name for s in view.stages if s.state is StageState.COMPLETED] == [StageName.SCRIPT]
