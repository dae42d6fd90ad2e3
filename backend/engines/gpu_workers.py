"""One engine on all GPUs: an `EngineWorker` over one worker process per GPU. Runs in the service process.

A task takes the GPU on which the engine is warm, if that is free, else another one; which GPU it was and how long it
waited are added to the result's metrics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from backend.engines.gpu_lanes import GpuLanes, Wanted
from backend.engines.gpu_pool import GpuFacts
from backend.engines.worker_port import EngineWorker, RestingWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult, WorkerSnapshot
from backend.utils.clock import Clock

WAITING_MESSAGE = "Waiting for a free graphics card"
# Of the states of several processes the first of these is what is told of the engine.
_TELLING = ("running", "cancelling", "loading", "importing", "starting", "idle", "unloading", "stopping")


class GpuWorkers:
    """All workers of one engine. `usable` says which of the GPUs its environment was installed for; it may read files."""

    def __init__(
        self,
        engine: str,
        lanes: GpuLanes,
        make: Callable[[GpuFacts | None], EngineWorker],
        *,
        clock: Clock,
        usable: Callable[[Sequence[GpuFacts]], frozenset[int] | None] = lambda _gpus: None,
    ) -> None:
        self._engine = engine
        self._lanes = lanes
        self._clock = clock
        self._usable = usable
        lanes.add(engine, make)

    @property
    def processes(self) -> tuple[EngineWorker, ...]:
        """The workers themselves, one for each GPU."""
        return tuple(lane.workers[self._engine] for lane in self._lanes.lanes)

    async def start(self) -> None:
        for worker in self.processes:
            await worker.start()

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.processes))

    def forgive(self) -> None:
        for worker in self.processes:
            if isinstance(worker, RestingWorker):
                worker.forgive()

    async def warm(self) -> None:
        """Load the engine where a GPU has nothing to do; without one nothing happens. Raises EngineFailure."""
        async with self._lanes.lease_if_idle(await self._wanted()) as lane:
            if lane is not None:
                await lane.workers[self._engine].warm()

    async def run(
        self,
        request: TaskRequest,
        *,
        report: Callable[[ProgressUpdate], None] | None,
        cancelled: Callable[[], bool],
    ) -> TaskResult:
        """Run one task on a GPU of its own. Waiting for it does not count against the task's deadline."""
        asked_at = self._clock.monotonic_s()

        def say_so() -> None:
            if report is not None:
                report(ProgressUpdate(None, WAITING_MESSAGE, "", None, None, None))

        wanted = await self._wanted(request.model, request.min_vram_mib)
        async with self._lanes.lease(wanted, cancelled=cancelled, on_wait=say_so) as lane:
            waited_s = self._clock.monotonic_s() - asked_at
            result = await lane.workers[self._engine].run(request, report=report, cancelled=cancelled)
            told = {"gpu": lane.gpu.name if lane.gpu is not None else "", "waited_s": round(waited_s, 3)}
            return replace(result, metrics={**result.metrics, **told})

    async def _wanted(self, model: str | None = None, min_vram_mib: int = 0) -> Wanted:
        gpus = [lane.gpu for lane in self._lanes.lanes if lane.gpu is not None]
        usable = await asyncio.to_thread(self._usable, gpus)
        return Wanted(self._engine, model, min_vram_mib, usable)

    def snapshot(self) -> WorkerSnapshot:
        """Of the process that does most; unavailable only when it is so on every GPU."""
        found = [worker.snapshot() for worker in self.processes]
        resting = [one.unavailable_until_ms for one in found if one.unavailable_until_ms is not None]
        told = min(found, key=lambda one: _TELLING.index(one.state) if one.state in _TELLING else 99)
        return replace(
            told,
            name=self._engine,
            restarts=sum(one.restarts for one in found),
            tasks_done=sum(one.tasks_done for one in found),
            unavailable_until_ms=min(resting) if len(resting) == len(found) else None,
        )
