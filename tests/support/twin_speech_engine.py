"""The twin of a speech engine that clones: speaks a tone; what goes wrong is scripted."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from pathlib import Path

from backend.engines.base import READY, Readiness
from backend.engines.speech.base import BaseSpeechEngine, Report, Speech, SpeechOrder, VoiceFiles
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from tests.support.twin_worker import timings, write_tone

MISSING = Readiness(
    "NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED, "It lies on no disk here.", "Install it."
)


class TwinSpeechEngine(BaseSpeechEngine):
    """See the module. `always`: every call fails so. `gate` closed holds every call until it is cancelled."""

    is_clone = True
    title_zh = "孪生"
    licence = "Apache-2.0"

    def __init__(
        self,
        name: str = "twinclone",
        *,
        languages: str = "zh en",
        readiness: Readiness = READY,
        always: ErrorCode | None = None,
    ) -> None:
        self.name = name
        self.title_en = name.capitalize()
        self.languages = frozenset(languages.split())
        self.state = readiness
        self.always = always
        self.seen: list[SpeechOrder] = []
        self.failures: deque[BaseException | None] = deque()
        self.gate = asyncio.Event()
        self.gate.set()

    def fail_next(self, *errors: BaseException | None) -> None:
        self.failures.extend(errors)

    def readiness(self) -> Readiness:
        return self.state

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
        self.seen.append(order)
        assert isinstance(order.voice, VoiceFiles)
        assert order.voice.reference.read_bytes()[:4] == b"RIFF"
        while not self.gate.is_set():
            if cancelled():
                raise JobCancelled
            await asyncio.sleep(0.01)
        if self.always is not None:
            raise EngineFailure(self.always, f"It ends with {self.always}.")
        if self.failures and (error := self.failures.popleft()) is not None:
            raise error
        await asyncio.to_thread(_write, work_dir, order.text)
        return Speech(work_dir / "clone.wav", work_dir / "clone.json", 1.0, "en", "clone")


def _write(folder: Path, text: str) -> None:
    write_tone(folder / "clone.wav", 1.0)
    (folder / "clone.json").write_text(json.dumps(timings(text, 1.0)), encoding="utf-8")
