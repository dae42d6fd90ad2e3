"""One video by a worker: what every adapter of an engine with a worker asks in the same way. Service process side.

Flow: the arguments of `process_job` -> the worker's inputs -> one task -> the picture at `output_path`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from backend.engines.base import Readiness
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult, WorkerArtifact
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.clock import iso_from_ms

# Runs one task, such as `EngineWorker.run`.
RunTask = Callable[..., Awaitable[TaskResult]]


def resting(worker: EngineWorker, title: str, look: str) -> Readiness | None:
    """UNAVAILABLE while the worker rests after several failures in a row; `look` is what to do meanwhile."""
    until_ms = worker.snapshot().unavailable_until_ms
    if until_ms is None:
        return None
    return Readiness(
        "UNAVAILABLE",
        ErrorCode.ENGINE_UNAVAILABLE,
        f"{title} failed several times in a row and rests until {iso_from_ms(until_ms)}.",
        look,
    )


def require_ready(readiness: Readiness, title: str) -> None:
    """Raises EngineFailure with the reason why the engine cannot be asked."""
    if not readiness.is_ready:
        code = readiness.code or ErrorCode.ENGINE_UNAVAILABLE
        raise EngineFailure(code, readiness.reason or f"{title} is not available.", hint=readiness.fix)


def media_inputs(given: Mapping[str, Any]) -> dict[str, Path]:
    """Speech with its timings and the tracks of the speakers, and the portrait, by the workers' names for them."""
    settings = given["settings"]
    inputs: dict[str, Path] = {"portrait": given["avatar_path"], "audio": given["audio_path"]}
    if settings.get("timings_path") is not None:
        inputs["timings"] = settings["timings_path"]
    for number, speaker in enumerate(settings.get("speakers") or (), start=1):
        inputs[f"track_{number}"] = speaker["track"]
    return inputs


async def task_folder(settings: Mapping[str, Any], name: str) -> Path:
    """An empty folder of the attempt in which the worker writes; its `preview.jpg` is shown while the job runs."""
    folder: Path = settings["work_dir"] / name
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    return folder


async def video_of(
    run: RunTask, request: TaskRequest, given: Mapping[str, Any], title: str
) -> tuple[TaskResult, WorkerArtifact]:
    """Run the task with the job's progress and cancel, and find the video. Raises EngineFailure, JobCancelled."""
    report = given["report"]

    def forward(update: ProgressUpdate) -> None:
        report(update.fraction, update.message)

    result = await run(request, report=forward, cancelled=given["cancelled"])
    video = next((artifact for artifact in result.artifacts if artifact.role == "video"), None)
    if video is None:
        raise EngineFailure(
            ErrorCode.NO_OUTPUT,
            f"{title} ended without a video.",
            hint="Try again; logs/worker.log has what it printed.",
        )
    return result, video


def what_ran(model: str, result: TaskResult) -> dict[str, Any]:
    """For the times that are learned; see `BaseEngineAdapter.process_job`."""
    return {
        "model": model,
        "gpu": result.metrics.get("gpu", ""),
        "waited_s": result.metrics.get("waited_s", 0.0),
        "peak_vram_mib": result.data.get("peak_vram_mib") or result.metrics.get("peak_vram_mib"),
        "parts_reused": result.data.get("parts_reused", 0),
    }
