"""The `speech` stage: text and voice become a WAV with timings, made by the speech worker. Service process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure

Report = Callable[[float | None, str], None]

# A preview is one sentence; a probe decodes one file. Both are seconds on a slow PC.
PREVIEW_DEADLINE_S = 60.0
PROBE_DEADLINE_S = 120.0


@dataclass(frozen=True)
class SpeechOrder:
    """What to say and how. `preset` names a built-in voice of the worker."""

    text: str
    preset: str
    language: str
    speed: float
    pause_ms: int


@dataclass(frozen=True)
class Speech:
    """WAV (24 kHz, mono, 16 bit) and timings.json, both inside the directory that was given."""

    wav: Path
    timings: Path
    duration_s: float
    language: str


@dataclass(frozen=True)
class ProbedVoice:
    """A sample that can be read and holds enough speech; `wav` is 24 kHz mono."""

    wav: Path
    report: dict[str, Any]


class SpeechService:
    """Asks the speech worker; owns no state."""

    engine = "builtin"

    def __init__(self, supervisor: EngineWorker) -> None:
        self._supervisor = supervisor

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
        """Speak. Raises EngineFailure or JobCancelled."""
        script = work_dir / "script-input.json"
        output_dir = work_dir / "speech"
        payload = json.dumps({"text": order.text, "language": order.language}, ensure_ascii=False)
        await asyncio.to_thread(_prepare, output_dir, script, payload)

        def forward(update: ProgressUpdate) -> None:
            report(update.fraction, update.message)

        result = await self._supervisor.run(
            TaskRequest(
                job_id=job_id,
                attempt=attempt,
                task="speech",
                inputs={"script": script},
                params={"voice": order.preset, "speed": order.speed, "pause_ms": order.pause_ms},
                output_dir=output_dir,
                deadline_s=deadline_s,
            ),
            report=forward,
            cancelled=cancelled,
        )
        return Speech(
            wav=_artifact(result, "speech"),
            timings=_artifact(result, "timings"),
            duration_s=float(result.data["duration_s"]),
            language=str(result.data["language"]),
        )

    async def probe(self, audio: Path, *, ticket: str, work_dir: Path) -> ProbedVoice:
        """Check a sample. Raises EngineFailure with `audio_unreadable` or `voice_too_short`."""
        output_dir = work_dir / "probe"
        await asyncio.to_thread(_prepare, output_dir)
        result = await self._supervisor.run(
            TaskRequest(
                job_id=ticket,
                attempt=1,
                task="voice_probe",
                inputs={"audio": audio},
                params={},
                output_dir=output_dir,
                deadline_s=PROBE_DEADLINE_S,
            ),
            report=None,
            cancelled=lambda: False,
        )
        return ProbedVoice(wav=_artifact(result, "voice"), report=dict(result.data))


def _prepare(output_dir: Path, script: Path | None = None, payload: str = "") -> None:
    output_dir.mkdir(parents=True, exist_ok=True)
    if script is not None:
        script.write_text(payload, encoding="utf-8")


def _artifact(result: TaskResult, role: str) -> Path:
    for artifact in result.artifacts:
        if artifact.role == role:
            return artifact.path
    raise EngineFailure(ErrorCode.NO_OUTPUT, "The speech engine ended without its sound.")
