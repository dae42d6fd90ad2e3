"""An engine whose worker is one of the misbehaving fixtures: real process, real supervisor, real adapter seam."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.engines.base import BaseEngineAdapter
from backend.engines.supervisor import WorkerLimits, WorkerSupervisor
from backend.engines.worker_types import ProgressUpdate, TaskRequest, WorkerObserver
from backend.utils.clock import SystemClock
from tests.fixtures.workers.harness import LOG, make_spec


class FixtureEngine(BaseEngineAdapter):
    """Runs `task` of a fixture handler for each job. `limits` None keeps the fixtures' short deadlines.

    `seen` holds the output folder of each task; a fixture that starts processes writes their pids there.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        handler: str,
        task: str,
        *,
        params: dict[str, Any] | None = None,
        limits: WorkerLimits | None = None,
        observer: WorkerObserver | None = None,
        **spec: Any,
    ) -> None:
        self._name = name
        self._task = task
        self._params = params or {"seconds": 60}
        changes = {**spec, "name": name, **({} if limits is None else {"limits": limits})}
        work = folder / "engines" / name
        work.mkdir(parents=True, exist_ok=True)
        self.supervisor = WorkerSupervisor(
            make_spec(work, handler, **changes), log=LOG, clock=SystemClock(), observer=observer
        )
        self.seen: list[Path] = []
        self.finished = 0

    async def __aenter__(self) -> FixtureEngine:
        await self.supervisor.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.supervisor.stop(1.0)

    @property
    def name(self) -> str:
        return self._name

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        await self.supervisor.start()
        settings, report = kwargs["settings"], kwargs["report"]
        output = Path(settings["work_dir"]) / "fixture"
        output.mkdir(parents=True)
        self.seen.append(output)

        def forward(update: ProgressUpdate) -> None:
            pids = output / "pids"
            if pids.exists():
                told = self.supervisor.snapshot().pid, *map(int, pids.read_text().split())
                (output.parents[1] / "told.json").write_text(json.dumps(told))
            report(update.fraction, update.message)

        await self.supervisor.run(
            TaskRequest(
                job_id=job_id,
                attempt=settings["attempt"],
                task=self._task,
                inputs={},
                params=self._params,
                output_dir=output,
                deadline_s=settings["deadline_s"],
            ),
            report=forward,
            cancelled=kwargs["cancelled"],
        )
        self.finished += 1
        return ""
