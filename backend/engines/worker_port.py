"""The seam in front of a worker process: what services and adapters need of it. Service process side.

`WorkerSupervisor` is the real one; tests use a twin that runs tasks in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult, WorkerSnapshot


class EngineWorker(Protocol):
    """One engine's worker. See `WorkerSupervisor` for the promises of each method."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def warm(self) -> None: ...

    async def run(
        self,
        request: TaskRequest,
        *,
        report: Callable[[ProgressUpdate], None] | None,
        cancelled: Callable[[], bool],
    ) -> TaskResult: ...

    def snapshot(self) -> WorkerSnapshot: ...


@runtime_checkable
class RestingWorker(Protocol):
    """A worker that rests after repeated failures and can be told to rest no longer."""

    def forgive(self) -> None: ...
