"""The workers on the processor of this machine: how each is started, and who is noted for the sweep. Service process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.engines.process_tree import ProcessIdentity, sweep_orphans
from backend.engines.supervisor import WorkerSupervisor
from backend.engines.worker_lanes import WorkerLanes
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import WorkerSpec
from backend.services.hearing import WORKER_NAME as RECOGNISER
from backend.services.hearing import recogniser_python
from backend.storage.workers import WorkersRepository
from backend.utils.clock import Clock
from backend.utils.config import BASE_DIR, BUNDLE_DIR, Settings, worker_environment
from backend.utils.logger import app_logger, worker_logger

# Loading Kokoro or the face models from a slow disk; a GPU engine has its own figure.
CPU_START_TIMEOUT_S = 120.0
# The spare process of an engine goes soon: it is there for a preview while a job runs.
SPARE_IDLE_S = 60
# Workers whose model alone is a gigabyte.
WRITER = "writer"
MOSS_NANO = "moss_nano"
# All engines of speech keep what they spoke in one folder: it is bounded and swept as one.
SPEECH_CACHE = "speech"

# Handler package to the name people see.
CPU_WORKERS = {
    "speech": "Speech",
    "draft": "Draft (CPU)",
    "writer": "Writer (CPU)",
    "moss_nano": "MOSS-TTS-Nano (CPU)",
    RECOGNISER: "Recogniser",
}


class WorkerNotes:
    """Writes down which processes live, so that the next start can end what a crash left over."""

    def __init__(self, workers: WorkersRepository, boot_id: str) -> None:
        self._workers = workers
        self._boot_id = boot_id
        self._tasks: set[asyncio.Task[None]] = set()

    def worker_spawned(self, identity: ProcessIdentity) -> None:
        self._note(self._register(identity))

    def worker_died(self, identity: ProcessIdentity, exit_code: int | None) -> None:
        worker_logger.info("worker %s ended with %s", identity.worker_id, exit_code)
        self._note(self._workers.forget(identity.worker_id))

    async def _register(self, identity: ProcessIdentity) -> None:
        await self._workers.register(
            worker_id=identity.worker_id,
            boot_id=self._boot_id,
            engine=identity.worker_id.partition("-")[0],
            pid=identity.pid,
            pid_started=identity.started,
            command=identity.command,
        )

    def _note(self, writing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(writing)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            app_logger.warning("a worker could not be noted: %s", error)

    async def settle(self) -> None:
        """Wait for notes that are being written."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))


async def sweep_left_overs(workers: WorkersRepository, boot_id: str) -> None:
    """End processes of earlier boots that still live; pid, start time and command must all match."""
    left = await workers.left_over(boot_id)
    identities = [ProcessIdentity(row.worker_id, row.pid, row.pid_started, row.command) for row in left]
    ended = await asyncio.to_thread(sweep_orphans, identities)
    for pid in ended:
        app_logger.warning("ended process %d, left over from an earlier start", pid)
    for row in left:
        await workers.forget(row.worker_id)


def worker_team(
    given: Mapping[str, EngineWorker], settings: Settings, *, ffmpeg: Path, clock: Clock, notes: WorkerNotes
) -> dict[str, EngineWorker]:
    """The workers on the processor by name, not started; those that are `given` (twins, in tests) in the place of real ones."""
    team = dict(given)
    for name, title in CPU_WORKERS.items():
        if name not in team:
            team[name] = cpu_worker(name, title, settings, ffmpeg=ffmpeg, clock=clock, notes=notes)
    return team


def cpu_worker(
    name: str, title: str, settings: Settings, *, ffmpeg: Path, clock: Clock, notes: WorkerNotes
) -> EngineWorker:
    """A worker on this computer's processor: `workers/<name>/handler.py`, in the service's own venv; the recogniser
    in its own, and nobody asks it before that is there."""
    spec = WorkerSpec(
        name=name,
        title=title,
        python=recogniser_python(BASE_DIR) if name == RECOGNISER else Path(sys.executable),
        handler=f"workers.{name}.handler",
        host_script=BUNDLE_DIR / "workers" / "host.py",
        work_dir=settings.work_dir,
        models_dir=settings.models_dir,
        cache_dir=settings.cache_dir / (SPEECH_CACHE if name == MOSS_NANO else name),
        options={
            "ffmpeg": str(ffmpeg),
            "threads": settings.threads,
            "assets_dir": str(BUNDLE_DIR / "assets"),
        },
        env=worker_environment(settings),
        start_timeout_s=CPU_START_TIMEOUT_S,
        idle_unload_s=settings.worker_idle_unload_s,
    )
    if name in {WRITER, RECOGNISER, MOSS_NANO}:
        # One process, gone soon: a second model, or one that stays, is memory that the video engines need.
        return WorkerSupervisor(
            replace(spec, idle_unload_s=min(SPARE_IDLE_S, settings.worker_idle_unload_s or SPARE_IDLE_S)),
            log=worker_logger,
            clock=clock,
            observer=notes,
        )
    main = WorkerSupervisor(spec, log=worker_logger, clock=clock, observer=notes)
    spare_spec = replace(spec, idle_unload_s=min(SPARE_IDLE_S, settings.worker_idle_unload_s or SPARE_IDLE_S))
    spare = WorkerSupervisor(spare_spec, log=worker_logger, clock=clock, observer=notes)
    return WorkerLanes(main, spare)
