"""What this machine and this service are doing. Runs in the service process."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from backend import __version__
from backend.engines.base import EngineModel
from backend.engines.gpu_lanes import GpuLanes, Lane
from backend.engines.gpu_pool import GpuFacts
from backend.engines.worker_port import EngineWorker
from backend.models.codes import JobStatus
from backend.models.library import (
    DiskView,
    EngineModelView,
    EngineView,
    GpuView,
    LimitsView,
    QueueView,
    SystemView,
    WorkerView,
)
from backend.models.system import DataView, FirstRunView
from backend.services.engine_router import EngineRouter
from backend.services.machine_figures import MachineFigures
from backend.storage.store import Store
from backend.utils.clock import Clock
from backend.utils.config import Settings

# Row of settings_kv: set once somebody has seen the welcome.
FIRST_RUN_KEY = "first_run_done"
_RUNNING = (JobStatus.PROCESSING, JobStatus.FALLBACK, JobStatus.CANCELLING)


def limits_of(settings: Settings) -> LimitsView:
    """What pages check before they send."""
    return LimitsView(
        max_script_chars=settings.max_script_chars,
        max_image_mib=settings.max_image_mib,
        max_audio_mib=settings.max_audio_mib,
    )


class SystemService:
    """Engines, workers, queue and disk at one moment."""

    def __init__(
        self,
        *,
        store: Store,
        router: EngineRouter,
        workers: Sequence[EngineWorker],
        lanes: GpuLanes,
        data_dir: Path,
        limits: LimitsView,
        schema_version: int,
        clock: Clock,
        on_resume: Callable[[], None],
    ) -> None:
        self._store = store
        self._router = router
        self._workers = tuple(workers)
        self._lanes = lanes
        self._data_dir = data_dir
        self._limits = limits
        self._schema_version = schema_version
        self._clock = clock
        self._on_resume = on_resume
        self._started_s = clock.monotonic_s()
        self._figures = MachineFigures()

    async def engines(self) -> list[EngineView]:
        # Readiness looks at files, so it is asked on a thread.
        rows = await asyncio.to_thread(self._router.engines)
        return [
            EngineView(
                name=row.name,
                title=row.title,
                kind=row.kind,
                ready=row.readiness.is_ready,
                state=row.readiness.state,
                code=row.readiness.code,
                reason=row.readiness.reason,
                fix=row.readiness.fix,
                disclosure=row.disclosure,
                models=[_model_view(model) for model in row.models],
            )
            for row in rows
        ]

    async def queue(self) -> QueueView:
        counts = await self._store.jobs.counts()
        pause = await self._store.jobs.pause_state()
        return QueueView(
            paused=pause.paused,
            queued=counts[JobStatus.QUEUED],
            running=sum(counts[status] for status in _RUNNING),
            reason=pause.reason or None,
        )

    async def pause(self, reason: str) -> QueueView:
        """Hand out no more jobs until `resume`."""
        await self._store.jobs.pause(reason)
        return await self.queue()

    async def resume(self) -> QueueView:
        await self._store.jobs.resume()
        self._on_resume()
        return await self.queue()

    async def view(self) -> SystemView:
        disk = await asyncio.to_thread(shutil.disk_usage, self._data_dir)
        return SystemView(
            limits=self._limits,
            version=__version__,
            python=platform.python_version(),
            platform=f"{platform.system()} {platform.machine()}",
            cpu_count=os.cpu_count() or 1,
            cpu=await asyncio.to_thread(self._figures.cpu),
            memory=await asyncio.to_thread(self._figures.memory),
            disk=DiskView(free_bytes=disk.free, total_bytes=disk.total),
            data=DataView(path=str(self._data_dir), free_bytes=disk.free, total_bytes=disk.total),
            queue=await self.queue(),
            workers=[self._worker_view(worker) for worker in self._workers],
            engines=await self.engines(),
            gpus=await self._gpus(),
            schema_version=self._schema_version,
            uptime_seconds=round(self._clock.monotonic_s() - self._started_s, 1),
            first_run=await self._is_first_run(),
        )

    async def set_first_run(self, *, done: bool) -> FirstRunView:
        """Remember that the welcome was seen, or show it again."""
        await self._store.settings.set(FIRST_RUN_KEY, {"done": done})
        return FirstRunView(first_run=await self._is_first_run())

    async def _is_first_run(self) -> bool:
        kept = await self._store.settings.get(FIRST_RUN_KEY)
        if kept is not None:
            return not kept.get("done")
        # Whoever made a video with a release before there was a welcome needs none.
        return sum((await self._store.jobs.counts()).values()) == 0

    async def _gpus(self) -> list[GpuView]:
        now = await self._lanes.look()
        return [_gpu_view(lane, now.get(lane.gpu.uuid, lane.gpu)) for lane in self._lanes.lanes if lane.gpu]

    @staticmethod
    def _worker_view(worker: EngineWorker) -> WorkerView:
        snapshot = worker.snapshot()
        return WorkerView(
            name=snapshot.name,
            state=snapshot.state,
            pid=snapshot.pid,
            rss_mib=snapshot.rss_mib,
            job_id=snapshot.job_id,
            restarts=snapshot.restarts,
        )


def _model_view(model: EngineModel) -> EngineModelView:
    return EngineModelView(
        name=model.name,
        title=model.title,
        drive=model.drive,
        speakers=model.speakers,
        ready=not model.missing,
        missing=list(model.missing),
        min_vram_mib=model.min_vram_mib,
        licence=model.licence,
        licence_url=model.licence_url,
    )


def _gpu_view(lane: Lane, gpu: GpuFacts) -> GpuView:
    engine = lane.living()
    return GpuView(
        index=gpu.index,
        uuid=gpu.uuid,
        name=gpu.name,
        total_mib=gpu.total_mib,
        free_mib=gpu.free_mib,
        utilisation_percent=gpu.utilisation_percent,
        temperature_c=gpu.temperature_c,
        compute_capability=".".join(map(str, gpu.compute_capability)) if gpu.compute_capability else None,
        engine=engine,
        task=lane.workers[engine].snapshot().state if engine is not None else None,
        job_id=lane.workers[engine].snapshot().job_id if engine is not None else None,
    )
