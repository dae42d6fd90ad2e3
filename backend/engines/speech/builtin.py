"""The built-in speech engine: Kokoro on the processor, in the `speech` worker. Service process side.

It speaks in its presets, and in somebody's own voice by a match of it, which is an approximation and called so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.engines.base import READY, Readiness
from backend.engines.speech.base import BaseSpeechEngine, Manner, Report, Speech, SpeechOrder, VoiceFiles
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.clock import iso_from_ms

BUILTIN = "builtin"


class BuiltinSpeechEngine(BaseSpeechEngine):
    """Drives the `speech` worker's task `speech`."""

    name = BUILTIN
    title_en = "Built-in voices"
    title_zh = "内置音色"
    is_clone = False
    languages = frozenset({"zh", "en", "ja"})
    licence = "Apache-2.0"

    def __init__(self, worker: EngineWorker) -> None:
        self._worker = worker

    def readiness(self) -> Readiness:
        until_ms = self._worker.snapshot().unavailable_until_ms
        if until_ms is None:
            return READY
        return Readiness(
            "UNAVAILABLE",
            ErrorCode.ENGINE_UNAVAILABLE,
            f"The built-in speech engine failed several times in a row and rests until {iso_from_ms(until_ms)}.",
            "Look at logs/worker.log for the cause; it is tried again by itself.",
        )

    def is_for_voice(self, voice: str | VoiceFiles) -> bool:
        return True

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
        preset, profile, manner = _speaker(order)
        await asyncio.to_thread(_prepare, output_dir, script, _payload(order))

        def forward(update: ProgressUpdate) -> None:
            report(update.fraction, update.message)

        result = await self._worker.run(
            TaskRequest(
                job_id=job_id,
                attempt=attempt,
                task="speech",
                inputs={"script": script} if profile is None else {"script": script, "profile": profile},
                params={
                    "voice": preset,
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
            wav=_artifact(result, "speech"),
            timings=_artifact(result, "timings"),
            duration_s=float(result.data["duration_s"]),
            language=str(result.data["language"]),
            manner=manner,
        )


def _speaker(order: SpeechOrder) -> tuple[str, Path | None, Manner]:
    """Preset, profile and what the result may be called."""
    voice = order.voice
    if isinstance(voice, str):
        return voice, None, "preset"
    return voice.preset, voice.profile, "stand_in" if voice.profile is None else "match"


def _payload(order: SpeechOrder) -> str:
    document: dict[str, Any] = {"text": order.text, "language": order.language}
    if order.dictionary:
        document["dictionary"] = [
            {"term": entry.term, "reading": entry.reading} for entry in order.dictionary
        ]
    return json.dumps(document, ensure_ascii=False)


def _prepare(output_dir: Path, script: Path, payload: str) -> None:
    output_dir.mkdir(parents=True, exist_ok=True)
    script.write_text(payload, encoding="utf-8")


def _artifact(result: TaskResult, role: str) -> Path:
    for artifact in result.artifacts:
        if artifact.role == role:
            return artifact.path
    raise EngineFailure(ErrorCode.NO_OUTPUT, "The built-in speech engine ended without its sound.")
