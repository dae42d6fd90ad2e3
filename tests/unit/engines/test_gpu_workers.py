"""One task and one loaded engine on each GPU: who gets which, who makes room, and what is measured."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from backend.engines import gpu_lanes
from backend.engines.gpu_lanes import GpuLanes
from backend.engines.gpu_pool import GpuFacts, GpuPool
from backend.engines.gpu_workers import WAITING_MESSAGE, GpuWorkers
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.clock import SystemClock
from tests.support.twin_gpu_worker import TwinGpuWorker
from tests.support.twin_gpus import TwinDriver, gpu


class Farm:
    """Two engines on some GPUs."""

    def __init__(self, gpus: Sequence[GpuFacts] = (), usable: frozenset[int] | None = None) -> None:
        self.driver = TwinDriver(gpus)
        self.log: list[str] = []
        self.twins: dict[tuple[str, int | None], TwinGpuWorker] = {}
        self.lanes = GpuLanes(GpuPool(self.driver), gpus, SystemClock())
        self.video = self._engine("wan2gp", usable)
        self.voice = self._engine("voxcpm", None)

    def _engine(self, name: str, usable: frozenset[int] | None) -> GpuWorkers:
        def make(one: GpuFacts | None) -> TwinGpuWorker:
            twin = TwinGpuWorker(name, one, self.log, driver=self.driver)
            self.twins[name, one.index if one else None] = twin
            return twin

        return GpuWorkers(name, self.lanes, make, clock=SystemClock(), usable=lambda _gpus: usable)

    def hold(self, *, open_gate: bool = False) -> None:
        for twin in self.twins.values():
            (twin.gate.set if open_gate else twin.gate.clear)()


def task(job_id: str, model: str | None = None, min_vram_mib: int = 0) -> TaskRequest:
    return TaskRequest(
        job_id, 1, "talking_avatar", {}, {}, Path(), 60.0, model=model, min_vram_mib=min_vram_mib
    )


async def run(engine: GpuWorkers, request: TaskRequest) -> TaskResult:
    return await engine.run(request, report=None, cancelled=lambda: False)


async def until(farm: Farm, *lines: str) -> None:
    while not set(lines) <= set(farm.log):  # noqa: ASYNC110 - the twins only keep a log
        await asyncio.sleep(0.005)


async def test_several_gpus_run_several_jobs_and_no_gpu_runs_two() -> None:
    farm = Farm([gpu(0), gpu(1)])
    farm.hold()
    running = [asyncio.create_task(run(farm.video, task(f"job_{n}"))) for n in range(3)]
    await until(farm, "wan2gp@0 runs job_0", "wan2gp@1 runs job_1")
    assert not any("job_2" in line for line in farm.log)
    farm.hold(open_gate=True)
    results = await asyncio.gather(*running)
    assert sorted(str(result.metrics["gpu"]) for result in results[:2]) == ["Twin 0", "Twin 1"]
    assert results[0].metrics["run_s"] == 1.0
    assert results[2].metrics["waited_s"] > 0


async def test_without_a_gpu_there_is_one_lane_for_all_engines() -> None:
    farm = Farm()
    farm.hold()
    first = asyncio.create_task(run(farm.video, task("job_a")))
    await until(farm, "wan2gp@none runs job_a")
    second = asyncio.create_task(run(farm.voice, task("job_b")))
    await asyncio.sleep(0.05)
    assert not any("job_b" in line for line in farm.log)
    farm.hold(open_gate=True)
    await asyncio.gather(first, second)
    assert farm.log == [
        "wan2gp@none loads",
        "wan2gp@none runs job_a",
        "wan2gp@none ends",
        "voxcpm@none loads",
        "voxcpm@none runs job_b",
    ]
    assert (await first).metrics["gpu"] == ""


async def test_another_engine_ends_before_one_begins_and_its_memory_is_free_again() -> None:
    farm = Farm([gpu(0)])
    await run(farm.voice, task("job_a"))
    await run(farm.video, task("job_b"))
    assert farm.log[2:4] == ["voxcpm@0 ends", "wan2gp@0 loads"]
    await run(farm.video, task("job_c"))
    assert farm.log[-1] == "wan2gp@0 runs job_c", "the same engine stays loaded"


async def test_memory_that_comes_back_late_is_waited_for_by_measuring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu_lanes, "VRAM_POLL_S", 0.01)
    farm = Farm([gpu(0)])
    farm.twins["voxcpm", 0].leaves_behind_mib = 10_000
    await run(farm.voice, task("job_a"))
    following = asyncio.create_task(run(farm.video, task("job_b")))
    await until(farm, "voxcpm@0 ends")
    looks = farm.driver.looks
    while farm.driver.looks < looks + 3:  # noqa: ASYNC110 - it is measured again and again
        await asyncio.sleep(0.005)
    assert "wan2gp@0 loads" not in farm.log
    farm.driver.set_free(0, 23_400)
    await following
    assert farm.log[-1] == "wan2gp@0 runs job_b"


async def test_memory_that_never_comes_back_is_told_and_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gpu_lanes, "VRAM_POLL_S", 0.01)
    monkeypatch.setattr(gpu_lanes, "VRAM_WITHIN_S", 0.05)
    farm = Farm([gpu(0)])
    farm.twins["voxcpm", 0].leaves_behind_mib = 9_000
    await run(farm.voice, task("job_a"))
    with caplog.at_level(logging.WARNING):
        await run(farm.video, task("job_b"))
    assert "another program may use it" in caplog.text
    assert farm.log[-1] == "wan2gp@0 runs job_b"


async def test_the_gpu_where_the_model_is_loaded_is_preferred_then_one_with_the_engine_then_an_empty_one() -> (
    None
):
    farm = Farm([gpu(0), gpu(1), gpu(2)])
    farm.hold()
    held = [
        asyncio.create_task(run(farm.video, task("job_a", "Fantasy"))),
        asyncio.create_task(run(farm.video, task("job_b", "Wan Multitalk"))),
    ]
    await until(farm, "wan2gp@0 runs job_a", "wan2gp@1 runs job_b")
    farm.hold(open_gate=True)
    await asyncio.gather(*held)
    await run(farm.video, task("job_c", "Wan Multitalk"))
    assert farm.log[-1] == "wan2gp@1 runs job_c"
    await run(farm.video, task("job_d", "Hunyuan Avatar"))
    assert farm.log[-1] in {"wan2gp@0 runs job_d", "wan2gp@1 runs job_d"}, "the engine is loaded there"
    await run(farm.voice, task("job_e"))
    assert farm.log[-1] == "voxcpm@2 runs job_e", "nobody has to make room"


async def test_a_card_that_is_large_enough_is_waited_for_and_without_one_any_will_do() -> None:
    farm = Farm([gpu(0, total_mib=8_000), gpu(1, total_mib=24_000)])
    await run(farm.video, task("job_a", min_vram_mib=12_000))
    assert farm.log[-1] == "wan2gp@1 runs job_a"
    await run(farm.video, task("job_b", min_vram_mib=80_000))
    assert farm.log[-1] in {"wan2gp@0 runs job_b", "wan2gp@1 runs job_b"}


async def test_an_engine_runs_only_on_cards_that_its_environment_serves() -> None:
    farm = Farm([gpu(0), gpu(1)], usable=frozenset({1}))
    for name in ("job_a", "job_b"):
        await run(farm.video, task(name))
    assert [line for line in farm.log if "runs" in line] == ["wan2gp@1 runs job_a", "wan2gp@1 runs job_b"]


async def test_a_gpu_on_which_the_engine_rests_is_passed_over_while_another_is_free() -> None:
    farm = Farm([gpu(0), gpu(1)])
    farm.twins["wan2gp", 0].resting_until_ms = 99
    await run(farm.video, task("job_a"))
    assert farm.log[-1] == "wan2gp@1 runs job_a"
    assert farm.video.snapshot().unavailable_until_ms is None, "it works elsewhere"
    farm.twins["wan2gp", 1].resting_until_ms = 77
    assert farm.video.snapshot().unavailable_until_ms == 77


async def test_a_task_that_waits_says_so_once_and_can_be_cancelled() -> None:
    farm = Farm([gpu(0)])
    farm.hold()
    first = asyncio.create_task(run(farm.video, task("job_a")))
    await until(farm, "wan2gp@0 runs job_a")
    told: list[ProgressUpdate] = []
    is_cancelled = False
    waiting = asyncio.create_task(
        farm.video.run(task("job_b"), report=told.append, cancelled=lambda: is_cancelled)
    )
    while not told:  # noqa: ASYNC110 - told by a callback
        await asyncio.sleep(0.005)
    is_cancelled = True
    with pytest.raises(JobCancelled):
        await waiting
    assert [update.message for update in told] == [WAITING_MESSAGE]
    farm.hold(open_gate=True)
    await first
    await run(farm.video, task("job_c"))
    assert farm.log[-1] == "wan2gp@0 runs job_c", "who gave up left nothing behind"


async def test_a_waiter_that_is_abandoned_as_its_turn_comes_gives_the_gpu_back() -> None:
    farm = Farm([gpu(0)])
    farm.hold()
    first = asyncio.create_task(run(farm.video, task("job_a")))
    await until(farm, "wan2gp@0 runs job_a")
    waiting = asyncio.create_task(run(farm.video, task("job_b")))
    await asyncio.sleep(0.02)
    waiting.cancel()
    farm.hold(open_gate=True)
    await first
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(run(farm.voice, task("job_c")), 10)


async def test_a_failed_task_gives_its_gpu_back() -> None:
    farm = Farm([gpu(0)])
    farm.twins["wan2gp", 0].error = EngineFailure(ErrorCode.GPU_OOM, "Out of memory.")
    with pytest.raises(EngineFailure):
        await run(farm.video, task("job_a"))
    farm.twins["wan2gp", 0].error = None
    await asyncio.wait_for(run(farm.video, task("job_b")), 10)


async def test_tasks_are_served_in_the_order_in_which_they_came() -> None:
    farm = Farm([gpu(0)])
    farm.hold()
    tasks = []
    for name in ("job_a", "job_b", "job_c", "job_d"):
        tasks.append(asyncio.create_task(run(farm.voice if name == "job_c" else farm.video, task(name))))
        await asyncio.sleep(0.01)
    farm.hold(open_gate=True)
    await asyncio.gather(*tasks)
    ran = [line.split()[-1] for line in farm.log if "runs" in line]
    assert ran == ["job_a", "job_b", "job_c", "job_d"]


async def test_warming_takes_no_gpu_from_anybody() -> None:
    farm = Farm([gpu(0)])
    await farm.video.warm()
    assert farm.log == ["wan2gp@0 loads"]
    await farm.voice.warm()
    assert farm.log == ["wan2gp@0 loads"], "another engine is loaded there"
    farm.hold()
    running = asyncio.create_task(run(farm.voice, task("job_a")))
    await until(farm, "voxcpm@0 runs job_a")
    await farm.video.warm()
    assert farm.log[-1] == "voxcpm@0 runs job_a", "the GPU is taken"
    farm.hold(open_gate=True)
    await running


async def test_the_engine_is_told_of_by_its_busiest_process_and_stops_everywhere() -> None:
    farm = Farm([gpu(0), gpu(1)])
    assert farm.video.snapshot().state == "stopped"
    farm.hold()
    running = asyncio.create_task(run(farm.video, task("job_a")))
    await until(farm, "wan2gp@0 runs job_a")
    snapshot = farm.video.snapshot()
    assert (snapshot.name, snapshot.state, snapshot.job_id) == ("wan2gp", "running", "job_a")
    farm.hold(open_gate=True)
    await running
    assert len(farm.video.processes) == 2
    await farm.video.stop()
    assert farm.log[-1] == "wan2gp@0 ends"
