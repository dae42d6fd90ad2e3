"""Engines that die, do not listen or lie, through the whole service: every job ends, with its reason."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import BaseEngineAdapter
from backend.engines.supervisor import WorkerLimits
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.services import adapter_call, engine_router, failure_desk
from tests.faults.scenes import fixture_studio, reaches
from tests.fixtures.workers.harness import Witness, eventually, is_alive
from tests.integration.test_library_over_http import png
from tests.support.fixture_engine import FixtureEngine
from tests.support.studio import Studio, running_studio

pytestmark = pytest.mark.slow

# From the cancel to its end, by the promise.
FINAL_WITHIN_S = 30.0


class Plugin(BaseEngineAdapter):
    """An engine of somebody else, in the service's own process."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work

    @property
    def name(self) -> str:
        return "plugin"

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        await self._work()
        return ""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second tries follow at once, and the fixture engine hands over to the draft engine."""
    monkeypatch.setattr(failure_desk, "RETRY_DELAY_MS", 10)
    monkeypatch.setitem(engine_router.NAMED_PLANS, "fixture", ("fixture", "draft"))


async def at_work(studio: Studio, engine: FixtureEngine, job_id: str) -> Path:
    """Wait until the engine's task has told its pids; returns the file."""
    await eventually(lambda: bool(engine.seen) and (engine.seen[-1] / "pids").exists(), "the engine at work")
    assert (await studio.view(job_id))["status"] == "processing"
    return engine.seen[-1] / "pids"


# --- dying -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("segfaults", "worker_crashed"),
        pytest.param("exits", "worker_crashed", marks=pytest.mark.slow),
        pytest.param("is_killed", "worker_killed", marks=pytest.mark.slow),
    ],
)
async def test_a_job_that_kills_its_worker_each_time_is_tried_twice_then_handed_over(
    tmp_path: Path, task: str, code: str
) -> None:
    async with fixture_studio(tmp_path, "unruly", task) as (studio, _):
        view = await studio.wait_for(await studio.submit(preferred_engine="fixture"))
        hops = [(hop["engine"], hop["outcome"], hop["code"]) for hop in view["attempts"]][1:]
        assert hops == [("fixture", "failed", code)] * 2 + [("draft", "succeeded", None)]
        assert view["status"] == "completed"
        assert view["fallback_reason"]


async def test_a_job_that_kills_every_worker_fails_with_the_last_reason_and_the_next_one_runs(
    tmp_path: Path,
) -> None:
    crash = EngineFailure(ErrorCode.WORKER_CRASHED, "The draft engine's process crashed.", retryable=True)
    async with fixture_studio(tmp_path, "unruly", "segfaults") as (studio, _):
        studio.draft.fail_next(crash, crash)
        view = await studio.wait_for(await studio.submit(preferred_engine="fixture"))
        assert (view["status"], view["error"]["code"]) == ("failed", "worker_crashed")
        assert [hop["engine"] for hop in view["attempts"]][1:] == ["fixture", "fixture", "draft", "draft"]
        assert view["fallback_reason"]
        assert (await studio.wait_for(await studio.submit()))["status"] == "completed"


async def test_a_portrait_that_kills_the_worker_that_looks_at_it_is_tried_twice_and_no_more(
    tmp_path: Path,
) -> None:
    crash = EngineFailure(ErrorCode.WORKER_CRASHED, "The draft engine's process crashed.", retryable=True)
    async with running_studio(tmp_path) as studio:
        (studio.settings.uploads_dir / "me.png").write_bytes(png())
        studio.draft.fail_next(*[crash] * 20)
        view = await studio.wait_for(await studio.submit(avatar_url="me.png"))
        assert (view["status"], view["error"]["code"]) == ("failed", "worker_crashed")
        assert len(studio.draft.seen) == 2
        assert [hop["stage"] for hop in view["attempts"]] == ["script"]


async def test_after_a_full_graphics_card_the_worker_is_gone_before_another_engine_starts(
    tmp_path: Path,
) -> None:
    """Only the end of a process gives its memory back."""
    witness = Witness()
    living_at_hand_over: list[bool] = []
    async with fixture_studio(tmp_path, "unruly", "fills_the_card", observer=witness) as (studio, _):
        run = studio.draft.run

        async def watched(request: Any, **kwargs: Any) -> Any:
            if request.task == "talking_avatar":
                living_at_hand_over.append(any(is_alive(worker.pid) for worker in witness.spawned))
            return await run(request, **kwargs)

        studio.draft.run = watched  # type: ignore[method-assign]
        view = await studio.wait_for(await studio.submit(preferred_engine="fixture"))
        codes = [hop["code"] for hop in view["attempts"] if hop["engine"] == "fixture"]
        assert codes == ["gpu_oom", "gpu_oom"]
        assert len(witness.spawned) == 2, "a new process for the second try"
        assert living_at_hand_over == [False]
        assert view["status"] == "completed"


async def test_an_engine_that_was_idle_for_long_is_stopped_and_the_next_job_starts_it(tmp_path: Path) -> None:
    witness = Witness()
    async with fixture_studio(tmp_path, "unruly", "behave", observer=witness, idle_unload_s=0.2) as (
        studio,
        _,
    ):
        for lives in (1, 2):
            await studio.wait_for(await studio.submit(preferred_engine="fixture"))
            await eventually(lambda: len(witness.died) == len(witness.spawned), "the end of an idle worker")
            assert len(witness.spawned) == lives


async def test_an_engine_that_meets_a_full_disk_is_not_followed_by_another(tmp_path: Path) -> None:
    async def work() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/frame.png")

    async with running_studio(tmp_path, adapters=[Plugin(work)]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="plugin"))
        assert (view["status"], view["error"]["code"]) == ("failed", "disk_full")
        assert "somewhere" not in str(view)
        queue = (await studio.http.get("/api/queue")).json()
        assert queue["paused"]
        assert queue["reason"]


# --- not listening ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(None, id="short deadlines"),
        pytest.param(WorkerLimits(), id="the product's deadlines", marks=pytest.mark.slow),
    ],
)
async def test_a_deaf_worker_and_all_it_started_are_gone_within_thirty_seconds_of_the_cancel(
    tmp_path: Path, limits: WorkerLimits | None
) -> None:
    async with fixture_studio(tmp_path, "unruly", "ignores_everything", limits=limits) as (studio, engine):
        job_id = await studio.submit(preferred_engine="fixture")
        pids = await at_work(studio, engine, job_id)
        worker = engine.supervisor.snapshot().pid
        assert worker is not None
        family = [worker, *map(int, pids.read_text().split())]
        assert all(map(is_alive, family))
        answer = await studio.http.post(f"/api/jobs/{job_id}/cancel")
        assert answer.json()["status"] == "cancelling"
        view = await asyncio.wait_for(studio.wait_for(job_id), FINAL_WITHIN_S)
        assert view["status"] == "cancelled"
        assert not any(map(is_alive, family))
        work = studio.settings.work_dir / job_id
        await eventually(lambda: not work.exists(), "the attempt's folder is removed")


@pytest.mark.parametrize("way", ["sleeps on", "swallows the cancel"])
async def test_an_adapter_that_ignores_its_cancel_is_left_and_the_job_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(adapter_call, "CANCEL_GRACE_S", 0.2)
    monkeypatch.setattr(adapter_call, "LEAVE_S", 0.2)
    let_go, begun = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                if way == "sleeps on":
                    raise

    async with running_studio(tmp_path, adapters=[Plugin(work)]) as studio:
        job_id = await studio.submit(preferred_engine="plugin")
        await begun.wait()
        await studio.http.post(f"/api/jobs/{job_id}/cancel")
        assert (await studio.wait_for(job_id))["status"] == "cancelled"
        assert (await studio.wait_for(await studio.submit()))["status"] == "completed", "the queue goes on"
        let_go.set()


def test_the_grace_of_an_adapter_keeps_the_promise_of_thirty_seconds() -> None:
    ladder = WorkerLimits()
    assert ladder.cancel_grace_s + ladder.term_grace_s < adapter_call.CANCEL_GRACE_S
    assert adapter_call.CANCEL_GRACE_S + adapter_call.LEAVE_S < FINAL_WITHIN_S


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError, JobCancelled, SystemExit], ids=lambda e: e.__name__
)
async def test_an_adapter_that_ends_in_an_odd_way_fails_its_job_and_not_the_queue(
    tmp_path: Path, error: type[BaseException]
) -> None:
    async def work() -> None:
        raise error

    async with running_studio(tmp_path, adapters=[Plugin(work)]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="plugin"))
        assert (view["status"], view["error"]["code"]) == ("failed", "internal_error")
        assert (await studio.wait_for(await studio.submit()))["status"] == "completed"


# --- cancel at the seams ---------------------------------------------------------------------------------


async def test_a_cancel_before_the_worker_accepted_the_task_is_final_at_once(tmp_path: Path) -> None:
    """The worker still loads: the job ends now, and the worker will be ready for the next one."""
    loading = {"options": {"load_s": 3.0}}
    async with fixture_studio(tmp_path, "loads_slowly", "anything", **loading) as (studio, engine):
        job_id = await studio.submit(preferred_engine="fixture")
        await eventually(lambda: engine.supervisor.snapshot().state == "loading", "the worker loads")
        await studio.http.post(f"/api/jobs/{job_id}/cancel")
        view = await studio.wait_for(job_id)
        assert view["status"] == "cancelled"
        assert engine.supervisor.snapshot().state == "loading", "nobody was killed for it"


async def test_a_cancel_while_the_engine_fails_wins_over_the_hand_over(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.draft.gate.clear()
        studio.draft.fail_next(EngineFailure(ErrorCode.WORKER_CRASHED, "It crashed.", retryable=True))
        job_id = await studio.submit()
        await eventually(lambda: bool(studio.draft.seen), "the engine at work")
        # Both in one moment: the crash is on its way when the cancel is written.
        studio.draft.gate.set()
        await studio.http.post(f"/api/jobs/{job_id}/cancel")
        view = await studio.wait_for(job_id)
        assert view["status"] == "cancelled"
        assert len(studio.draft.seen) == 1


async def test_a_cancel_between_two_engines_ends_the_job_and_keeps_the_reason(tmp_path: Path) -> None:
    async with fixture_studio(tmp_path, "unruly", "segfaults") as (studio, engine):
        job_id = await studio.submit(preferred_engine="fixture")
        await eventually(lambda: len(engine.seen) == 2, "the second try")
        # What runs goes on; the hand-over then waits in the queue.
        await studio.http.post("/api/queue/pause", json={"reason": "test"})
        await reaches(studio, job_id, status="fallback", queue_position=1, selected_engine="draft")
        answer = await studio.http.post(f"/api/jobs/{job_id}/cancel")
        assert answer.json()["status"] == "cancelled", "nothing runs, so it is final at once"
        await studio.http.post("/api/queue/resume")
        other = await studio.submit()
        assert (await studio.wait_for(other))["status"] == "completed"
        view = await studio.view(job_id)
        assert (view["status"], bool(view["fallback_reason"])) == ("cancelled", True)
        assert not any(request.job_id == job_id for request in studio.draft.seen)
