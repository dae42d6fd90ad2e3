"""Has a text spoken by the engine that was chosen. Runs in the service process; owns no state but a counter.

In: the name of a speech engine and an order. Out: a WAV and its timings below the directory that was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from backend.engines.speech.base import Report, Speech, SpeechOrder
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services.quiet import QuietTimes
from backend.services.speech_router import SpeechRouter

# A preview is one sentence: seconds on a slow PC.
PREVIEW_DEADLINE_S = 60.0
# Kana decides for Japanese, Han alone for Chinese; the worker looks again, sentence by sentence.
_KANA = (0x3040, 0x30FF)
_HAN = (0x4E00, 0x9FFF)


class SpeechService:
    """Asks an engine, and holds it to its promises."""

    def __init__(self, router: SpeechRouter, quiet: QuietTimes) -> None:
        self._router = router
        self._quiet = quiet

    async def speak(
        self,
        engine_name: str,
        order: SpeechOrder,
        *,
        job_id: str,
        attempt: int,
        work_dir: Path,
        deadline_s: float,
        report: Report,
        cancelled: Callable[[], bool],
        language: str | None = None,
    ) -> Speech:
        """Speak. Raises EngineFailure (also when the engine cannot speak here at all) or JobCancelled.

        `language`: of the whole that the order is a part of, which the engine must know; None: the order's own.
        """
        language = language or resolve_language(order.language, order.text)
        engine = self._router.able(engine_name, language)
        if not engine.is_for_voice(order.voice):
            raise EngineFailure(
                ErrorCode.ENGINE_UNAVAILABLE,
                f"{engine.title_en} speaks in voices of one's own only.",
                hint="Choose the built-in speech engine for built-in voices.",
            )
        with self._quiet.busy():
            speech = await engine.speak(
                order,
                job_id=job_id,
                attempt=attempt,
                work_dir=work_dir,
                deadline_s=deadline_s,
                report=report,
                cancelled=cancelled,
            )
        for path in (speech.wav, speech.timings):
            if not await asyncio.to_thread(_is_non_empty_file, path):
                raise EngineFailure(
                    ErrorCode.NO_OUTPUT,
                    f"{engine.title_en} ended without its sound.",
                    hint="Try again; if it happens each time, choose another speech engine.",
                )
        return speech


def resolve_language(asked: str, text: str) -> str:
    """`asked`, or for `auto` what the text looks like: zh, en or ja."""
    return guess_language(text) if asked == "auto" else asked


def guess_language(text: str) -> str:
    """`ja` with any kana, `zh` with any Han character, else `en`."""
    points = [ord(char) for char in text]
    if any(_KANA[0] <= point <= _KANA[1] for point in points):
        return "ja"
    return "zh" if any(_HAN[0] <= point <= _HAN[1] for point in points) else "en"


def _is_non_empty_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
