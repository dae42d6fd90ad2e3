"""The system check: everything that can be wrong is looked at, side by side, and never for long. Service process.

A check that takes too long or breaks is a result like any other. Whoever asks while a check runs gets that one. What
can be mended without asking anybody is mended by `fix`: fetching a model again, clearing caches, starting an engine
anew, letting the queue go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from backend.engines.worker_port import EngineWorker, RestingWorker
from backend.models.codes import ErrorCode
from backend.models.doctor import CheckView, DoctorFixed, DoctorReport, FixView
from backend.models.errors import ProductError, RequestError, UnknownId
from backend.services.doctor_engines import EngineChecks
from backend.services.doctor_machine import MachineChecks
from backend.services.model_service import ModelService
from backend.services.retention import Retention
from backend.services.system_service import SystemService
from backend.utils.clock import Clock, iso_from_ms
from backend.utils.logger import app_logger

# Longer than any check that works: the slowest starts ffmpeg from a cold disk.
CHECK_WITHIN_S = 12.0
# States of a worker in which it may be taken away from nobody.
_AT_REST = frozenset({"stopped", "idle", "unavailable"})
# The worker behind a speech engine of another name.
_WORKER_OF = {"builtin": "speech"}

Check = Callable[[], Awaitable[CheckView | list[CheckView]]]


class Doctor:
    """Checks and mends. `workers` by name, as the engines call theirs."""

    def __init__(
        self,
        *,
        machine: MachineChecks,
        engines: EngineChecks,
        system: SystemService,
        models: ModelService,
        retention: Retention,
        workers: Mapping[str, EngineWorker],
        clock: Clock,
        within_s: float = CHECK_WITHIN_S,
    ) -> None:
        self._system = system
        self._models = models
        self._retention = retention
        self._workers = workers
        self._clock = clock
        self._within_s = within_s
        # In the order in which people read them.
        self._checks: dict[str, Check] = {
            "disk": machine.disk,
            "data_writable": machine.data_writable,
            "memory": machine.memory,
            "ffmpeg": machine.ffmpeg,
            "gpu_driver": machine.gpu_driver,
            "engines": engines.engines,
            "models": engines.models,
            "queue": engines.queue,
            "network_mirror": machine.network_mirror,
            "port": machine.port,
            "time": machine.time,
        }
        self._running: asyncio.Task[DoctorReport] | None = None

    async def check(self) -> DoctorReport:
        """Look at everything."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._check_all(), name="doctor")
        # A caller that hangs up takes the check away from nobody else.
        return await asyncio.shield(self._running)

    async def stop(self) -> None:
        """End a check that runs. Idempotent."""
        task, self._running = self._running, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    async def _check_all(self) -> DoctorReport:
        found = await asyncio.gather(*(self._one(name, check) for name, check in self._checks.items()))
        checks = [view for views in found for view in views]
        return DoctorReport(checks=checks, checked_at=iso_from_ms(self._clock.now_ms()))

    async def _one(self, name: str, check: Check) -> Sequence[CheckView]:
        try:
            found = await asyncio.wait_for(check(), self._within_s)
        except asyncio.TimeoutError:
            return [_broken(name, f"This did not answer within {self._within_s:g} s.")]
        except ProductError as error:
            return [_broken(name, error.detail)]
        except Exception as error:  # noqa: BLE001 - told as the result of this check, and logged
            app_logger.warning("the check %s broke", name, exc_info=error)
            return [_broken(name, f"The check itself broke ({type(error).__name__}); see logs/app.log.")]
        return found if isinstance(found, list) else [found]

    # -- mending -----------------------------------------------------------------------------------
    async def fix(self, check_id: str) -> DoctorFixed:
        """Mend what a check finds now. Raises UnknownId, and `not_ready` where a person has to do it."""
        report = await self.check()
        check = next((one for one in report.checks if one.id == check_id), None)
        if check is None:
            raise UnknownId("There is no such check.", hint="POST /api/doctor lists the checks.")
        if check.status in ("ok", "skipped") and (check.fix is None or not check.fix.automatic):
            return DoctorFixed(id=check_id, done=False, message="Nothing has to be mended.")
        if check.fix is None or not check.fix.automatic:
            raise RequestError(
                ErrorCode.NOT_READY,
                "The service cannot mend this by itself.",
                hint=check.fix.label if check.fix is not None else "See logs/app.log.",
            )
        message = await self._carry_out(check.fix)
        app_logger.info("mended %s: %s", check_id, message)
        return DoctorFixed(id=check_id, done=True, message=message)

    async def _carry_out(self, fix: FixView) -> str:
        if fix.action == "free_space":
            freed = 0
            for rule in ("caches", "unused_uploads"):
                freed += (await self._retention.reclaim(rule)).size_bytes
            return f"{freed / (1 << 20):.0f} MiB were freed."
        if fix.action == "resume_queue":
            await self._system.resume()
            return "The queue goes on."
        if fix.action == "download_model" and fix.target is not None:
            model = await self._models.download(fix.target)
            return f"{model.name_en} is being fetched."
        if fix.action == "restart_engine" and fix.target is not None:
            return await self._restart(fix.target)
        raise RequestError(
            ErrorCode.NOT_READY, "The service cannot mend this by itself.", hint=fix.label
        )  # pragma: no cover - no check offers another automatic fix

    async def _restart(self, engine: str) -> str:
        worker = self._workers.get(_WORKER_OF.get(engine, engine))
        if worker is None:
            raise RequestError(
                ErrorCode.NOT_READY,
                "This engine has no process of its own.",
                hint="Restart the service.",
            )
        if worker.snapshot().state not in _AT_REST:
            raise RequestError(
                ErrorCode.NOT_READY, "The engine is at work.", hint="Wait for its job, or cancel that first."
            )
        await worker.stop()
        if isinstance(worker, RestingWorker):
            worker.forgive()
        await worker.start()
        return "The engine starts anew with its next task."


def _broken(name: str, detail: str) -> CheckView:
    return CheckView(
        id=name, status="error", title=name.replace("_", " ").capitalize(), detail=detail, fix=None
    )
