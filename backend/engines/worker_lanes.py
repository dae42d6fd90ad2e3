"""Two processes of one engine, so that a person does not wait behind a long job. Service process side.

A job may hold its worker for minutes. A preview, an upload that has to be looked at, or any other short task
goes to the first process when it is free, and otherwise to a second one, which is started only then and
unloads when it is idle. What nobody waits for goes to the second one always: the first stays free for who comes.
"""

from __future__ import annotations

from collections.abc import Callable

from backend.engines.worker_port import EngineWorker, RestingWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult, WorkerSnapshot

# Tasks of jobs carry the job's id; previews and uploads carry another kind of ticket.
_JOB_PREFIX = "job_"


class WorkerLanes:
    """An `EngineWorker` over two. What is told of it (`snapshot`, `warm`) is the first one's."""

    def __init__(self, main: EngineWorker, spare: EngineWorker) -> None:
        self._main = main
        self._spare = spare

    async def start(self) -> None:
        await self._main.start()
        await self._spare.start()

    async def stop(self) -> None:
        await self._main.stop()
        await self._spare.stop()

    def forgive(self) -> None:
        for worker in (self._main, self._spare):
            if isinstance(worker, RestingWorker):
                worker.forgive()

    async def warm(self) -> None:
        await self._main.warm()

    async def run(
        self,
        request: TaskRequest,
        *,
        report: Callable[[ProgressUpdate], None] | None,
        cancelled: Callable[[], bool],
    ) -> TaskResult:
        """Run a job's task on the main process, background work on the spare one, any other where it need not wait."""
        is_short = not request.job_id.startswith(_JOB_PREFIX)
        is_main_taken = self._main.snapshot().job_id is not None
        lane = self._spare if request.is_background or (is_short and is_main_taken) else self._main
        return await lane.run(request, report=report, cancelled=cancelled)

    def snapshot(self) -> WorkerSnapshot:
        return self._main.snapshot()
