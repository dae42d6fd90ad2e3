"""One Wan2GP run through a supervisor that is handed in. Runs in the service process.

The product document names this entry point; the process handling itself belongs to
`backend/engines/supervisor.py`, which this module must not import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Request = TypeVar("Request", contravariant=True)
Update = TypeVar("Update", covariant=True)
Result = TypeVar("Result", covariant=True)


class TaskRunner(Protocol[Request, Update, Result]):
    """Anything that runs one task in a worker process, such as `WorkerSupervisor`."""

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
    """Run one task in the Wan2GP worker and return its result.

    Raises what the supervisor raises: `EngineFailure` with a code, or `JobCancelled`.
    """
    return await supervisor.run(request, report=report, cancelled=cancelled)
