"""Hearing back: a recogniser listens to what was spoken, and what it did not understand is spoken once more.

Runs in the service process; the recogniser is the `listen` worker. In: a `Speech` and a way to speak some of its
sentences again. Out: the better of both takes, sentence by sentence, and a report. It is a guard, not a judge: when
the recogniser is missing or fails, the speech stands as it is and the report says so.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.engines.base import READY, Readiness
from backend.engines.speech.base import Report, Speech
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import ProgressUpdate, TaskRequest
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.clock import iso_from_ms
from backend.utils.config import BASE_DIR, Settings
from backend.utils.logger import app_logger

HearBack = Literal["auto", "on", "off"]
# Speaks these sentences in another way, all others as before, into the directory that is given.
SpeakAgain = Callable[[frozenset[int], Path, Report], Awaitable[Speech]]

# Its handler package.
WORKER_NAME = "listen"
# Where workers/listen/install.py puts the model and what it writes last, below data/models.
_MANIFEST = ("whisper-base", "manifest.json")
# The environment that `--with-recogniser` makes beside the service's own.
_ENVIRONMENT = ".venv-listen"
INSTALL_FIX = "Run `bash start.sh --with-recogniser` (Windows: start.bat --with-recogniser) once."

# More doubtful sentences than this are a voice or a language that the recogniser does not understand at all: speaking
# everything twice would cost much and change nothing.
MAX_AGAIN = 30
# Sentences told in the job; the artifact holds all.
MAX_TOLD = 20
# What the parts of the work take of the stage's progress, when everything goes well and when it does not.
_SPOKEN, _HEARD, _SPOKEN_AGAIN, _HEARD_AGAIN = 0.65, 0.9, 0.95, 0.98


@dataclass(frozen=True)
class Heard:
    """The speech to keep and what is to be told about it (`GET /api/jobs/{id}`, `speech_report`)."""

    speech: Speech
    report: dict[str, Any]


def recogniser_python(root: Path) -> Path:
    """The interpreter of the recogniser's environment in the project folder, whether it is there or not."""
    return root / _ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


class HearingService:
    """Owns no state. `worker` runs on `python`; both may be there before anything is installed."""

    def __init__(self, worker: EngineWorker, *, mode: HearBack, models_dir: Path, python: Path) -> None:
        self._worker = worker
        self._mode = mode
        self._needed = (models_dir.joinpath(*_MANIFEST), python)

    def readiness(self) -> Readiness:
        """Looks, quickly and without blocking, whether a recogniser could listen now."""
        if not all(path.is_file() for path in self._needed):
            return Readiness(
                "NOT_INSTALLED",
                ErrorCode.ENGINE_NOT_INSTALLED,
                "The recogniser that hears speech back is not installed.",
                INSTALL_FIX,
            )
        until_ms = self._worker.snapshot().unavailable_until_ms
        if until_ms is not None:
            return Readiness(
                "UNAVAILABLE",
                ErrorCode.ENGINE_UNAVAILABLE,
                f"The recogniser failed several times in a row and rests until {iso_from_ms(until_ms)}.",
                "Look at logs/worker.log for the cause; it is tried again by itself.",
            )
        return READY

    def is_wanted(self, *, is_clone: bool) -> bool:
        """Whether speech of such an engine is heard back. `auto`: engines that clone, because they generate freely
        and do swallow words; the built-in one speaks what it is given, and hearing would nearly double its cost."""
        if self._mode == "off" or (self._mode == "auto" and not is_clone):
            return False
        return self.readiness().is_ready

    async def hear_back(
        self,
        speech: Speech,
        speak_again: SpeakAgain,
        *,
        job_id: str,
        attempt: int,
        work_dir: Path,
        deadline_s: float,
        report: Report,
        cancelled: Callable[[], bool],
    ) -> Heard:
        """Listen, speak again what was not understood, listen again, keep the better. Raises JobCancelled, and
        EngineFailure only for what `speak_again` raises."""
        listen = _Listening(self._worker, job_id, attempt, work_dir, deadline_s, cancelled)
        try:
            first = await listen.to(speech, "first", None, part_of(report, _SPOKEN, _HEARD))
        except EngineFailure as error:
            app_logger.warning("the speech could not be heard back: %s", error.detail)
            return Heard(speech, {"heard": 0, "retried": 0, "doubtful": [], "failed": error.detail})
        doubtful = frozenset(index for index, row in first.items() if not row["ok"])
        if not doubtful or len(doubtful) > MAX_AGAIN:
            return Heard(speech, report_of(first, 0))
        report(_HEARD, "Speaking again what was not understood")
        second_take = await speak_again(doubtful, work_dir / "again", part_of(report, _HEARD, _SPOKEN_AGAIN))
        try:
            second = await listen.to(
                second_take, "second", doubtful, part_of(report, _SPOKEN_AGAIN, _HEARD_AGAIN)
            )
        except EngineFailure as error:
            app_logger.warning("the second take could not be heard back: %s", error.detail)
            return Heard(speech, report_of(first, len(doubtful)))
        better = frozenset(index for index, row in second.items() if row["error"] < first[index]["error"])
        heard = report_of({**first, **{index: second[index] for index in better}}, len(doubtful))
        if better == doubtful:
            return Heard(second_take, heard)
        if not better:
            return Heard(speech, heard)
        # Both takes of all sentences are in the engine's cache or as cheap as the second take was.
        chosen = await speak_again(better, work_dir / "chosen", part_of(report, _HEARD_AGAIN, 1.0))
        return Heard(chosen, heard)


def wire_hearing(worker: EngineWorker, settings: Settings) -> HearingService:
    """As the settings say."""
    return HearingService(
        worker,
        mode=settings.hear_back,
        models_dir=settings.models_dir,
        python=recogniser_python(BASE_DIR),
    )


@dataclass(frozen=True)
class _Listening:
    """The listening side of one stage."""

    worker: EngineWorker
    job_id: str
    attempt: int
    work_dir: Path
    deadline_s: float
    cancelled: Callable[[], bool]

    async def to(
        self, speech: Speech, name: str, sentences: Iterable[int] | None, report: Report
    ) -> dict[int, dict[str, Any]]:
        """What was heard, by sentence. Raises EngineFailure or JobCancelled."""
        output_dir = self.work_dir / f"heard-{name}"
        await asyncio.to_thread(output_dir.mkdir, parents=True, exist_ok=True)

        def forward(update: ProgressUpdate) -> None:
            report(update.fraction, update.message)

        result = await self.worker.run(
            TaskRequest(
                job_id=self.job_id,
                attempt=self.attempt,
                task="listen",
                inputs={"audio": speech.wav, "timings": speech.timings},
                params={"sentences": None if sentences is None else sorted(sentences)},
                output_dir=output_dir,
                deadline_s=self.deadline_s,
            ),
            report=forward,
            cancelled=self.cancelled,
        )
        for artifact in result.artifacts:
            if artifact.role == "heard":
                text = await asyncio.to_thread(artifact.path.read_text, encoding="utf-8")
                return {int(row["index"]): row for row in json.loads(text)["sentences"]}
        raise EngineFailure(ErrorCode.NO_OUTPUT, "The recogniser ended without saying what it heard.")


def spoken_part(report: Report) -> Report:
    """The progress of speaking when listening follows."""
    return part_of(report, 0.0, _SPOKEN)


def part_of(report: Report, start: float, end: float) -> Report:
    """Progress of a part of the work as progress of the whole."""

    def forward(fraction: float | None, message: str) -> None:
        report(None if fraction is None else start + (end - start) * fraction, message)

    return forward


def report_of(rows: Mapping[int, Mapping[str, Any]], retried: int) -> dict[str, Any]:
    """The report of a speech: how many sentences were heard and spoken again, and which stay doubtful."""
    left = [
        {
            "index": index,
            "text": row["text"],
            "heard": row["heard"],
            "missing": row["missing"],
            "error": row["error"],
        }
        for index, row in sorted(rows.items())
        if not row["ok"]
    ]
    return {"heard": len(rows), "retried": retried, "doubtful": left}


def told(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report short enough for the answer of every look at a job."""
    return {
        **report,
        "doubtful": list(report["doubtful"])[:MAX_TOLD],
        "doubtful_count": len(report["doubtful"]),
    }


def notice_of(report: Mapping[str, Any] | None) -> dict[str, str] | None:
    """What a person should know about a finished job; None when nobody listened or all was understood."""
    if report is None:
        return None
    if report.get("failed"):
        return {
            "code": "speech_not_heard",
            "message": "The speech could not be checked by the recogniser; see speech_report.",
        }
    count = int(report.get("doubtful_count", len(report["doubtful"])))
    if not count:
        return None
    sentences = "One sentence" if count == 1 else f"{count} sentences"
    return {
        "code": "speech_doubtful",
        "message": f"{sentences} may not be spoken as written; listen before you publish. See speech_report.",
    }
