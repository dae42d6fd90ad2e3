"""Asks the speech worker to look at a recording and to match a voice. Runs in the service process; owns no state.

In: files below `data/`. Out: files below the directory that was given, and what was measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest, TaskResult
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure

# Decoding and measuring take seconds on a slow PC, also for a long recording: only a part of it is used.
ENROL_DEADLINE_S = 120.0
# About two seconds on two idle cores, and half a minute on two that are shared by ten programs. A machine that needs
# longer still gets a stand-in; the voice may be enrolled again.
FAST_MATCH_DEADLINE_S = 120.0
# Minutes on a slow PC with nothing else to do.
REFINE_DEADLINE_S = 1800.0

# Those that a match can be made in; a recording in any other is matched like one that nobody named.
LANGUAGES = frozenset({"zh", "en", "ja"})

MatchStage = Literal["fast", "refined"]


@dataclass(frozen=True)
class Enrolled:
    """A sample that holds enough speech. `reference`: 24 kHz mono; `report`: docs/speech.md."""

    reference: Path
    report: dict[str, Any]


@dataclass(frozen=True)
class Matched:
    """A match. `similarity`: score, encoder, stage; `nearest`: a preset's name; `gender`: female, male or None."""

    profile: Path
    similarity: dict[str, Any]
    nearest: str | None
    gender: str | None


class VoiceWorker:
    """The tasks `voice_enrol` and `voice_match`."""

    def __init__(self, worker: EngineWorker) -> None:
        self._worker = worker

    async def enrol(self, audio: Path, *, ticket: str, work_dir: Path) -> Enrolled:
        """Check a sample. Raises EngineFailure with `audio_unreadable` or `voice_too_short`."""
        output_dir = work_dir / "enrol"
        await asyncio.to_thread(output_dir.mkdir, parents=True, exist_ok=True)
        result = await self._worker.run(
            TaskRequest(
                job_id=ticket,
                attempt=1,
                task="voice_enrol",
                inputs={"audio": audio},
                params={},
                output_dir=output_dir,
                deadline_s=ENROL_DEADLINE_S,
            ),
            report=None,
            cancelled=_never,
        )
        return Enrolled(reference=_artifact(result, "reference"), report=dict(result.data))

    async def match(
        self, reference: Path, *, language: str, ticket: str, work_dir: Path, seed: int
    ) -> Matched:
        """The match that is there in seconds. Raises EngineFailure.

        `language`: of the recording; `auto` is tried in Chinese and English.
        """
        return await self._match(
            {"reference": reference},
            "fast",
            language=language,
            ticket=ticket,
            work_dir=work_dir,
            seed=seed,
            deadline_s=FAST_MATCH_DEADLINE_S,
            report=None,
            cancelled=_never,
        )

    async def refine(
        self,
        reference: Path,
        profile: Path,
        *,
        language: str,
        ticket: str,
        work_dir: Path,
        seed: int,
        report: Callable[[float], None],
        cancelled: Callable[[], bool],
    ) -> Matched:
        """A better match, in minutes and beside everything else. Raises EngineFailure or JobCancelled."""

        def forward(update: ProgressUpdate) -> None:
            if update.fraction is not None:
                report(min(1.0, max(0.0, update.fraction)))

        return await self._match(
            {"reference": reference, "profile": profile},
            "refine",
            language=language,
            ticket=ticket,
            work_dir=work_dir,
            seed=seed,
            deadline_s=REFINE_DEADLINE_S,
            report=forward,
            cancelled=cancelled,
        )

    async def _match(
        self,
        inputs: dict[str, Path],
        mode: Literal["fast", "refine"],
        *,
        language: str,
        ticket: str,
        work_dir: Path,
        seed: int,
        deadline_s: float,
        report: Callable[[ProgressUpdate], None] | None,
        cancelled: Callable[[], bool],
    ) -> Matched:
        output_dir = work_dir / f"match-{mode}"
        await asyncio.to_thread(output_dir.mkdir, parents=True, exist_ok=True)
        result = await self._worker.run(
            TaskRequest(
                job_id=ticket,
                attempt=1,
                task="voice_match",
                inputs=inputs,
                params={"mode": mode, "seed": seed, "language": language if language in LANGUAGES else None},
                output_dir=output_dir,
                deadline_s=deadline_s,
                seed=seed,
                is_background=mode == "refine",
            ),
            report=report,
            cancelled=cancelled,
        )
        data = result.data
        stage: MatchStage = "fast" if mode == "fast" else "refined"
        measured = data["similarity"]
        gender = data.get("gender_guess")
        return Matched(
            profile=_artifact(result, "profile"),
            similarity={
                "score": float(measured["score"]),
                "encoder": str(measured["encoder"]),
                "stage": stage,
            },
            nearest=str(data["nearest_voice"]) if data.get("nearest_voice") else None,
            gender=gender if gender in {"female", "male"} else None,
        )


def _never() -> bool:
    return False


def _artifact(result: TaskResult, role: str) -> Path:
    for artifact in result.artifacts:
        if artifact.role == role:
            return artifact.path
    raise EngineFailure(ErrorCode.NO_OUTPUT, "The speech engine ended without the file that was asked for.")
