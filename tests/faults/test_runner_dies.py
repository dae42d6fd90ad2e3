"""An engine that breaks the service's own code around it, and a runner that dies: the job still ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

from backend.engines.base import Readiness
from backend.services.dispatcher import Dispatcher
from backend.services.executor import RunningJob
from backend.utils.clock import ManualClock
from tests.integration.test_jobs_over_http import RenderingEngine
from tests.support.studio import running_studio
from tests.unit.storage.kit import enqueue, open_test_store


class CannotSayWhetherItIsReady(RenderingEngine):
    broken = False

    def readiness(self) -> Readiness:
        if self.broken:
            raise RuntimeError("the driver went away")
        return super().readiness()


async def test_an_engine_whose_readiness_raises_ends_its_job_and_not_the_service(tmp_path: Path) -> None:
    engine = CannotSayWhetherItIsReady()
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        await studio.http.post("/api/queue/pause")
        job_id = await studio.submit(preferred_engine="my_engine")
        engine.broken = True
        await studio.http.post("/api/queue/resume")
        view = await studio.wait_for(job_id)
        assert (view["status"], view["error"]["code"]) == ("failed", "internal_error")
        assert "RuntimeError" in view["error"]["detail"]
        assert "driver" not in view["error"]["detail"], "raw texts are for the log"
        engine.broken = False
        assert (await studio.wait_for(await studio.submit()))["status"] == "completed"


class Fatal(BaseException):
    """What no `except Exception` holds."""


class BreaksItsRunner:
    async def run(self, running: RunningJob) -> None:
        raise Fatal


async def test_a_job_that_kills_its_runner_at_every_start_ends_after_three_losses(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    try:
        job = await enqueue(store)
        for boot in range(3):
            died = asyncio.Event()
            dispatcher = Dispatcher(
                store.jobs,
                BreaksItsRunner(),
                boot_id=f"boot-{boot}",
                concurrency=1,
                clock=ManualClock(),
                on_death=lambda _error, died=died: died.set(),  # type: ignore[misc]
            )
            await dispatcher.start()
            await asyncio.wait_for(died.wait(), 10)
            await dispatcher.stop()
            await store.jobs.reap_lost(f"boot-{boot + 1}")
        view = await store.jobs.get_view(job.job_id)
    finally:
        await store.close()
    assert (view.job.status.value, view.job.error_code) == ("failed", "worker_lost")
    assert view.job.lost_attempts == 3
