"""One Wan2GP run through the workers that are handed in. Runs in the service process.

The product document names this entry point, and `Wan2GPAdapter` goes through it. Which GPU and which process take the
run belongs to `backend/engines/gpu_workers.py` and `supervisor.py`, which this module must not import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Request = TypeVar("Request", contravariant=True)
Update = TypeVar("Update", covariant=True)
Result = TypeVar("Result", covariant=True)


class TaskRunner(Protocol[Request, Update, Result]):
    """Anything that runs one task in a worker process, such as `GpuWorkers` or `WorkerSupervisor`."""

    async def run(
        self, request: Request, *, report: Callable[[Update], None] | None, cancelled: Callable[[], bool]
    ) -> Result: ...


async def run_native_wan2gp_job(
    supervisor: TaskRunner[Request, Update, Result],
    request: Request,
    *,
    report: Callable[[Update], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Result:
    """Run one task (`talking_avatar`, `speech`) in the Wan2GP worker and return its result.

    `report` hears of progress, `cancelled` is asked several times a second. Raises what the workers raise:
    `EngineFailure` with a code, or `JobCancelled`.

        result = await run_native_wan2gp_job(workers, request, report=forward, cancelled=lambda: False)
    """
    return await supervisor.run(request, report=report, cancelled=cancelled)
