"""The in-memory twin of a worker process on a GPU: it takes memory when it is loaded and gives it back at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backend.engines.gpu_pool import GpuFacts
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult, WorkerSnapshot
from backend.models.errors import JobCancelled
from tests.support.twin_gpus import TwinDriver


class TwinGpuWorker:
    """`gate` closed holds a task. `log` is shared: what happened where, in order."""

    def __init__(
        self,
        engine: str,
        gpu: GpuFacts | None,
        log: list[str],
        *,
        driver: TwinDriver | None = None,
        takes_mib: int = 10_000,
        leaves_behind_mib: int = 0,
    ) -> None:
        self.engine = engine
        self.gpu = gpu
        self.log = log
        self.driver = driver
        self.takes_mib = takes_mib
        self.leaves_behind_mib = leaves_behind_mib
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_loaded = False
        self.job_id: str | None = None
        self.resting_until_ms: int | None = None
        self.error: Exception | None = None

    @property
    def place(self) -> str:
        return f"{self.engine}@{self.gpu.index if self.gpu else 'none'}"

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        if self.is_loaded:
            self.is_loaded = False
            self.log.append(f"{self.place} ends")
            self._take(self.leaves_behind_mib - self.takes_mib)

    async def warm(self) -> None:
        self._load()

    def _load(self) -> None:
        if not self.is_loaded:
            self.is_loaded = True
            self.log.append(f"{self.place} loads")
            self._take(self.takes_mib)

    def _take(self, mib: int) -> None:
        if self.driver is not None and self.gpu is not None:
            free = next(one.free_mib or 0 for one in self.driver.gpus if one.index == self.gpu.index)
            self.driver.set_free(self.gpu.index, free - mib)

    async def run(
        self,
        request: TaskRequest,
        *,
        report: Callable[[ProgressUpdate], None] | None,
        cancelled: Callable[[], bool],
    ) -> TaskResult:
        assert self.job_id is None, "one task at a time"
        self._load()
        self.job_id = request.job_id
        self.log.append(f"{self.place} runs {request.job_id}")
        try:
            while not self.gate.is_set():
                if cancelled():
                    raise JobCancelled
                await asyncio.sleep(0.005)
            if self.error is not None:
                raise self.error
            return TaskResult({}, (), {"run_s": 1.0})
        finally:
            self.job_id = None

    def snapshot(self) -> WorkerSnapshot:
        state = ("running" if self.job_id else "idle") if self.is_loaded else "stopped"
        return WorkerSnapshot(
            name=self.engine, state=state, job_id=self.job_id, unavailable_until_ms=self.resting_until_ms
        )
