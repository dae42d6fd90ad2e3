"""Retention: what goes, in which order, and what stays whatever the limits say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import STAGE_ORDER, ErrorCode, StageName
from backend.models.library_records import JobChange
from backend.models.records import JobRecord
from backend.services.retention import Limits, Retention
from backend.storage.retention import OldJobs
from backend.storage.store import Store
from backend.utils.clock import ManualClock
from tests.unit.storage.kit import claim, enqueue, new_file, open_test_store

# Bytes of the files of each job below.
SIZES = {"script.json": 10, "portrait.png": 300, "audio.wav": 200, "silent.mp4": 1000, "thumbnail.jpg": 50}
VIDEO_BYTES = 2000
NAMES = {
    StageName.SCRIPT: ("script.json", "portrait.png"),
    StageName.SPEECH: ("audio.wav",),
    StageName.VIDEO: ("silent.mp4",),
}


class House:
    """A store, a clock and the rules over them."""

    def __init__(self, store: Store, clock: ManualClock, folder: Path) -> None:
        self.store, self.clock, self.folder = store, clock, folder

    def rules(self, *, days: int = 30, jobs: int = 0, budget: int = 0) -> Retention:
        caches = ((self.folder / "data/cache/speech", "*.clip"),)
        return Retention(store=self.store, clock=self.clock, limits=Limits(days, jobs, budget), caches=caches)

    async def work(self) -> None:
        """Three stages of the next job, each with its files."""
        claimed = await claim(self.store)
        for stage in STAGE_ORDER[:3]:
            if claimed.view.stage(stage).state == "completed":
                continue
            await self.store.jobs.begin_stage(claimed.fence, stage)
            files = [(name, await self._file(claimed.job.job_id, name)) for name in NAMES[stage]]
            await self.store.jobs.complete_stage(claimed.fence, stage, artifacts=files)
        self._fence = claimed.fence

    async def _file(self, job_id: str, name: str) -> Any:
        return await new_file(self.store, f"outputs/{job_id}/{name}", b"x" * SIZES[name])

    async def ended(self, **changes: Any) -> JobRecord:
        """A job that succeeded a minute after the one before, with five files and a video."""
        self.clock.advance(60)
        await enqueue(self.store, **changes)
        await self.work()
        return await self.finish()

    async def finish(self) -> JobRecord:
        await self.store.jobs.begin_stage(self._fence, StageName.FINISH)
        job_id = self._fence.job_id
        result = await new_file(self.store, f"outputs/{job_id}/video.mp4", b"x" * VIDEO_BYTES)
        thumbnail = ("thumbnail.jpg", await self._file(job_id, "thumbnail.jpg"))
        return await self.store.jobs.succeed(self._fence, result=result, artifacts=[thumbnail], draft=True)

    def on_disk(self, job: JobRecord) -> set[str]:
        return {path.name for path in (self.folder / "data/outputs" / job.job_id).iterdir()}


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    clock = ManualClock()
    store = await open_test_store(folder, clock)
    try:
        yield House(store, clock, folder)
    finally:
        await store.close()


ALL = {*SIZES, "video.mp4"}
WITHOUT_INTERMEDIATES = ALL - {"silent.mp4", "portrait.png"}
SMALL = {"script.json", "thumbnail.jpg"}


async def test_without_limits_nothing_ever_goes(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        job = await it.ended()
        it.clock.advance(1000 * 24 * 3600)
        gone = await it.rules(days=0).run()
        assert gone.size_bytes == 0
        assert it.on_disk(job) == ALL


async def test_a_job_goes_with_its_files_when_it_is_old_and_answers_gone_for_a_day(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        old = await it.ended()
        it.clock.advance(20 * 24 * 3600)
        young = await it.ended()
        it.clock.advance(11 * 24 * 3600)
        rules = it.rules()
        planned = (await rules.reclaimable())["old_jobs"]
        gone = await rules.run()
        assert (planned.count, planned.size_bytes) == (gone.count, gone.size_bytes) == (1, 3560)
        assert it.on_disk(old) == set()
        assert it.on_disk(young) == ALL
        assert (await it.store.jobs.get(old.job_id)).deleted_at is not None
        it.clock.advance(25 * 3600)
        await rules.run()
        assert [job.job_id for job in (await it.store.jobs.list_page()).jobs] == [young.job_id]
        rows = await it.store.db.all("SELECT job_id FROM jobs UNION SELECT job_id FROM job_events")
        assert [row[0] for row in rows] == [young.job_id]
        assert len(await it.store.db.all("SELECT 1 FROM files")) == len(ALL)


async def test_of_too_many_jobs_those_that_ended_first_go(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        jobs = [await it.ended() for _ in range(4)]
        await enqueue(it.store)
        await it.rules(jobs=2).run()
        left = {job.job_id for job in (await it.store.jobs.list_page()).jobs}
        assert {job.job_id for job in jobs} & left == {job.job_id for job in jobs[2:]}
        assert len(left) == 3, "what waits is not counted and not touched"


async def test_over_budget_intermediates_go_first_and_the_oldest_of_them(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        first, second = await it.ended(), await it.ended()
        gone = await it.rules(budget=6000).run()
        assert gone.size_bytes == 1300
        assert it.on_disk(first) == WITHOUT_INTERMEDIATES
        assert it.on_disk(second) == ALL


async def test_then_the_oldest_results_go_until_the_rest_fits(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        first, second = await it.ended(), await it.ended()
        rules = it.rules(budget=2500)
        await rules.run()
        assert it.on_disk(first) == SMALL
        assert it.on_disk(second) == WITHOUT_INTERMEDIATES
        used = await it.store.retention.usage_by_kind(())
        assert used["artifact"].size_bytes <= 2500
        view = await it.store.jobs.get_view(first.job_id)
        assert (view.job.state, view.job.deleted_at) == ("succeeded", None)
        assert (await rules.run()).size_bytes == 0


async def test_a_star_keeps_a_job_and_its_video_from_every_limit(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        starred, plain = await it.ended(), await it.ended()
        await it.store.jobs.change(starred.job_id, JobChange(starred=True))
        it.clock.advance(40 * 24 * 3600)
        rules = it.rules(jobs=1, budget=1)
        promised = await rules.reclaimable()
        assert promised["old_jobs"].count == 1
        assert promised["results"].count == 2, "the video and the sound of the other one"
        await rules.run()
        assert it.on_disk(plain) == set()
        assert it.on_disk(starred) == {"script.json", "audio.wav", "video.mp4", "thumbnail.jpg"}
        await it.store.jobs.change(starred.job_id, JobChange(starred=False))
        await rules.run()
        assert it.on_disk(starred) == set()


async def test_what_has_stars_does_not_push_out_the_videos_that_have_none(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        starred = [await it.ended() for _ in range(3)]
        for job in starred:
            await it.store.jobs.change(job.job_id, JobChange(starred=True))
        plain = await it.ended()
        # The stars alone hold 6600 bytes.
        rules = it.rules(budget=5000)
        await rules.run()
        assert (await rules.reclaimable())["results"].count == 0
        assert {"video.mp4", "audio.wav"} <= it.on_disk(plain)
        newest = await it.ended()
        # 4700 bytes count: of the older, video (2000) and sound (200) must both go, in whichever order.
        await it.rules(budget=2600).run()
        assert it.on_disk(plain) == SMALL, "the oldest without a star"
        assert it.on_disk(newest) == WITHOUT_INTERMEDIATES
        assert all("video.mp4" in it.on_disk(job) for job in starred)


async def test_a_star_that_is_set_while_the_round_runs_saves_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as it:
        first, second = await it.ended(), await it.ended()
        it.clock.advance(40 * 24 * 3600)
        choose = it.store.retention.old_jobs

        async def chosen_then_starred(old: OldJobs) -> list[str]:
            chosen = await choose(old)
            await it.store.jobs.change(first.job_id, JobChange(starred=True))
            return chosen

        monkeypatch.setattr(it.store.retention, "old_jobs", chosen_then_starred)
        gone = await it.rules().run()
        assert gone.count == 1
        assert it.on_disk(second) == set()
        assert it.on_disk(first) == ALL


async def test_no_budget_is_small_enough_to_take_what_a_live_job_needs(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        ended = await it.ended()
        retry, _ = await it.store.jobs.new_retry(ended.job_id, from_stage=StageName.VIDEO)
        await it.rules(days=1, jobs=1, budget=1).run()
        assert it.on_disk(ended) == {"script.json", "portrait.png", "audio.wav", "thumbnail.jpg"}
        await it.work()
        running = await it.store.jobs.get(retry.job_id)
        await it.rules(budget=1).run()
        assert "silent.mp4" in it.on_disk(running)
        assert (await it.finish()).state == "succeeded"
        assert it.on_disk(running) == {"silent.mp4", "video.mp4", "thumbnail.jpg"}


async def test_an_upload_that_nothing_needs_goes_after_a_day(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        stray = await new_file(it.store, "uploads/file_stray00000.png", kind="upload")
        used = await new_file(it.store, "uploads/file_used000000.png", kind="upload")
        by_hand = tmp_path / "data/uploads/me.png"
        by_hand.write_bytes(b"mine")
        for file in (stray, used):
            await it.store.files.add(file)
        await enqueue(it.store, inputs={"portrait": used.file_id})
        it.clock.advance(23 * 3600)
        await it.rules().run()
        assert len(list(by_hand.parent.iterdir())) == 3
        it.clock.advance(2 * 3600)
        assert (await it.rules().reclaimable())["unused_uploads"].count == 1
        await it.rules().run()
        assert {path.name for path in by_hand.parent.iterdir()} == {"me.png", "file_used000000.png"}


async def test_an_idempotency_key_answers_for_a_day_whatever_the_limits(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        keyed = await it.ended(idempotency_key="order-7")
        await it.ended()
        it.clock.advance(23 * 3600)
        await it.rules(jobs=1).run()
        again, replayed = await it.store.jobs.enqueue(
            await _same_request(it.store, keyed, idempotency_key="order-7")
        )
        assert (again.job_id, replayed) == (keyed.job_id, True)
        it.clock.advance(2 * 3600)
        await it.rules(jobs=1).run()
        assert (await it.store.jobs.get(keyed.job_id)).deleted_at is not None


async def _same_request(store: Store, job: JobRecord, **changes: Any) -> Any:
    from tests.unit.storage.kit import new_job

    return new_job(request_sha256=(await store.jobs.get(job.job_id)).request_sha256, **changes)


async def test_each_rule_frees_what_it_promised_and_nothing_else(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        job = await it.ended()
        clip = tmp_path / "data/cache/speech" / "a.clip"
        clip.write_bytes(b"x" * 77)
        half = clip.with_name("new-half")
        half.write_bytes(b"x")
        rules = it.rules(budget=2500)
        planned = await rules.reclaimable()
        assert {rule: usage.size_bytes for rule, usage in planned.items() if rule != "database"} == {
            "old_jobs": 0,
            "unused_uploads": 0,
            "intermediates": 1300,
            "results": 1060,
            "caches": 77,
        }
        assert (await rules.reclaim("caches")).size_bytes == 77
        assert half.exists()
        assert (await rules.reclaim("intermediates")).size_bytes == 1300
        assert it.on_disk(job) == WITHOUT_INTERMEDIATES
        assert (await rules.reclaim("results")).size_bytes == 0, "what is left fits"
        assert (await rules.reclaimable())["results"].count == 0
        for rule in planned:
            assert (await rules.reclaim(rule)).size_bytes >= 0


async def test_two_who_make_room_at_once_do_not_free_the_same_twice(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.ended()
        rules = it.rules()
        gone = await asyncio.gather(*(rules.reclaim("intermediates") for _ in range(3)))
        assert sorted(usage.size_bytes for usage in gone) == [0, 0, 1300]


async def test_the_log_of_webhooks_is_pruned_and_what_is_owed_is_not(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        hook = await it.store.webhooks.create(
            "hook_12345678", "https://x.example/", ["job.completed"], "whsec_x"
        )
        await it.ended()
        owed = await it.ended()
        (newest, oldest) = await it.store.webhooks.log_of_hook(hook.hook_id, limit=9)
        await it.store.webhooks.close_attempt(
            oldest.message_id, type(oldest.state).DELIVERED, due_at=None, status=200, error=None
        )
        it.clock.advance(31 * 24 * 3600)
        await it.rules().run()
        assert await it.store.webhooks.log_of_hook(hook.hook_id, limit=9) == [newest]
        assert (await it.store.jobs.get(owed.job_id)).deleted_at is None


async def test_parts_stay_for_a_week_after_a_failure_and_while_a_job_waits_or_runs(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        parts = home.store.checkpoints

        async def leave(job_id: str) -> str:
            folder = await parts.open(job_id, "wan2gp")
            (folder / "part-1").write_bytes(b"x" * 700)
            return job_id

        done = await leave((await home.ended()).job_id)
        await enqueue(home.store)
        claimed = await claim(home.store)
        failed = await leave(claimed.job.job_id)
        await home.store.jobs.fail(claimed.fence, ErrorCode.GPU_OOM, "Out of memory.")
        waiting = await leave((await enqueue(home.store)).job_id)
        await leave("job_nobodyknows1")

        async def here() -> set[str]:
            return {found.job_id for found in await parts.all()}

        await home.rules(days=0).run()
        assert await here() == {failed, waiting}, f"{done} has its video"
        home.clock.advance(7 * 24 * 3600 + 1)
        await home.rules(days=0).run()
        assert await here() == {waiting}
        assert await home.rules(days=0).reclaim("intermediates") is not None
        assert await here() == {waiting}, "it has not ended"


async def test_parts_count_for_the_budget_and_go_after_what_is_needed_less(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        job = await home.ended()
        await enqueue(home.store)
        claimed = await claim(home.store)
        folder = await home.store.checkpoints.open(claimed.job.job_id, "wan2gp")
        (folder / "part-1").write_bytes(b"x" * 700)
        await home.store.jobs.fail(claimed.fence, ErrorCode.GPU_OOM, "Out of memory.")
        made = sum(SIZES.values()) + VIDEO_BYTES + 700
        await home.rules(budget=made - 1300).run()
        assert (folder / "part-1").exists(), "silent.mp4 and portrait.png were enough"
        assert "silent.mp4" not in home.on_disk(job)
        await home.rules(budget=made - 1301).run()
        assert not folder.exists()
        assert "video.mp4" in home.on_disk(job)
