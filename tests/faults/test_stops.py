"""A stop in good order: below ten seconds whatever the engines do, jobs go back uncounted, nothing is left."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from backend.engines.supervisor import WorkerLimits, WorkerSupervisor
from backend.main import create_app
from backend.models.job import JobCreate
from backend.utils.clock import SystemClock
from tests.faults.lives import audit_of, life
from tests.fixtures.workers.harness import LOG, Witness, eventually, is_alive, make_spec
from tests.support.studio import job_body, running_studio, settings_in
from tests.support.twin_worker import TwinWorker

STOP_WITHIN_S = 10.0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM does not exist on Windows")
def test_a_stop_with_a_job_at_work_puts_it_back_and_the_next_start_finishes_it(tmp_path: Path) -> None:
    with life(tmp_path, "--engine", "steady:two_words_then_silence") as first:
        job_id = first.submit(preferred_engine="fixture")
        assert job_id is not None
        first.until(lambda: first.view(job_id)["stage"] == "video", "the video stage")
        children = psutil.Process(first.process.pid).children(recursive=True)
        first.process.terminate()
        assert first.process.wait(timeout=STOP_WITHIN_S) == -signal.SIGTERM or first.process.returncode == 0
        assert psutil.wait_procs(children, timeout=5)[1] == [], "no engine outlives the service"
    with life(tmp_path, "--engine", "unruly:behave") as second:
        view = second.end_of(job_id)
        hops = [hop["outcome"] for hop in view["attempts"] if hop["stage"] == "video"]
        assert hops[0] == "released", "put back, not failed, not lost"
    assert audit_of(tmp_path, job_id).losses == 0


@pytest.mark.slow
async def test_a_deaf_engine_does_not_make_a_stop_longer_than_ten_seconds(tmp_path: Path) -> None:
    """With the product's own deadlines."""
    witness = Witness()
    spec = make_spec(tmp_path / "engine", "deaf_draft", name="draft", limits=WorkerLimits())
    spec.work_dir.mkdir(parents=True)
    deaf = WorkerSupervisor(spec, log=LOG, clock=SystemClock(), observer=witness)
    settings = settings_in(tmp_path)
    app = create_app(settings, workers={"speech": TwinWorker("speech"), "draft": deaf})
    lifespan = app.router.lifespan_context(app)
    await lifespan.__aenter__()
    created, _ = await app.state.services.jobs.create(JobCreate(**job_body()), idempotency_key=None)
    pids: list[Path] = []

    def is_deaf() -> bool:
        pids[:] = settings.work_dir.rglob("pids")
        return bool(pids)

    await eventually(is_deaf, "the engine is at work", timeout_s=60)
    family = [witness.spawned[0].pid, *map(int, pids[0].read_text().split())]
    assert all(map(is_alive, family))
    await asyncio.wait_for(lifespan.__aexit__(None, None, None), STOP_WITHIN_S)
    assert not any(map(is_alive, family))
    async with running_studio(tmp_path) as studio:
        view = await studio.wait_for(created.job_id)
        assert view["status"] == "completed"
        assert [h["outcome"] for h in view["attempts"] if h["stage"] == "video"] == ["released", "succeeded"]
