"""Speech engines that live in a worker: how each is asked, once. Service process side.

Flow: order -> script file and what the engine adds about the voice -> the worker's task `speech` -> its two files.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.engines.base import READY, Readiness
from backend.engines.speech.base import BaseSpeechEngine, Manner, Report, Speech, SpeechOrder
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.clock import iso_from_ms


@dataclass(frozen=True)
class Speaker:
    """Who speaks, as the worker is told: input files, parameters, files to be written first, and what the result
    may be called. `model`: which of a worker's models, so that it goes where that one is loaded."""

    manner: Manner
    inputs: dict[str, Path] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    model: str | None = None


class WorkerSpeechEngine(BaseSpeechEngine):
    """Drives the task `speech` of a worker."""

    def __init__(self, worker: EngineWorker) -> None:
        self._worker = worker

    @abstractmethod
    def speaker(self, order: SpeechOrder, work_dir: Path) -> Speaker:
        """What this engine tells its worker about the voice of `order`."""

    def readiness(self) -> Readiness:
        until_ms = self._worker.snapshot().unavailable_until_ms
        if until_ms is None:
            return READY
        return Readiness(
            "UNAVAILABLE",
            ErrorCode.ENGINE_UNAVAILABLE,
            f"The speech engine “{self.title_en}” failed several times in a row and rests until "
            f"{iso_from_ms(until_ms)}.",
            "Look at logs/worker.log for the cause; it is tried again by itself.",
        )

    async def warm(self) -> None:
        await self._worker.warm()

    async def speak(
        self,
        order: SpeechOrder,
        *,
        job_id: str,
        attempt: int,
        work_dir: Path,
        deadline_s: float,
        report: Report,
        cancelled: Callable[[], bool],
    ) -> Speech:
        script = work_dir / "script-input.json"
        output_dir = work_dir / "speech"
        speaker = self.speaker(order, work_dir)
        await asyncio.to_thread(_prepare, output_dir, {script: _payload(order), **speaker.texts})

        def forward(update: ProgressUpdate) -> None:
            report(update.fraction, update.message)

        result = await self._worker.run(
            TaskRequest(
                job_id=job_id,
                attempt=attempt,
                task="speech",
                model=speaker.model,
                inputs={"script": script, **speaker.inputs},
                params={
                    **speaker.params,
                    "speed": order.speed,
                    "pitch": order.pitch,
                    "pause_ms": order.pause_ms,
                    **({"again": sorted(order.again)} if order.again else {}),
                },
                output_dir=output_dir,
                deadline_s=deadline_s,
                seed=order.seed,
            ),
            report=forward,
            cancelled=cancelled,
        )
        return Speech(
            wav=self._artifact(result, "speech"),
            timings=self._artifact(result, "timings"),
            duration_s=float(result.data["duration_s"]),
            language=str(result.data["language"]),
            manner=speaker.manner,
        )

    def _artifact(self, result: TaskResult, role: str) -> Path:
        for artifact in result.artifacts:
            if artifact.role == role:
                return artifact.path
        raise EngineFailure(
            ErrorCode.NO_OUTPUT, f"The speech engine “{self.title_en}” ended without its sound."
        )


def _payload(order: SpeechOrder) -> str:
    document: dict[str, Any] = {"text": order.text, "language": order.language}
    if order.dictionary:
        document["dictionary"] = [
            {"term": entry.term, "reading": entry.reading} for entry in order.dictionary
        ]
    return json.dumps(document, ensure_ascii=False)


def _prepare(output_dir: Path, texts: dict[Path, str]) -> None:
    output_dir.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
