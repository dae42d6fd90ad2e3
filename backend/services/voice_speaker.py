"""Speaks a text in a voice, outside of any job: previews, and whoever wants only the sound. Service process.

In: a voice and a text. Out: a WAV that lies there as long as the caller is inside the context, or a kept preview.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from backend.engines.speech.base import DictionaryEntry, Report, Speech, SpeechOrder
from backend.models.codes import INPUT_CODES
from backend.models.errors import EngineFailure
from backend.models.library import PreviewRequest
from backend.services.catalog import Catalog, stable_seed
from backend.services.engine_router import AUTO
from backend.services.file_keeper import FileKeeper
from backend.services.quiet import QuietTimes
from backend.services.speech_router import SpeechRouter
from backend.services.speech_service import PREVIEW_DEADLINE_S, SpeechService, resolve_language
from backend.services.voice_service import VoiceService
from backend.storage.store import Store
from backend.utils.ids import new_id
from backend.utils.logger import app_logger

GREETINGS = {
    "zh": "你好，这是我的声音。很高兴认识你。",
    "en": "Hello, this is my voice. It is nice to meet you.",
    "ja": "こんにちは。これが私の声です。どうぞよろしく。",
}
# Previews kept; the oldest go first. At 150 kB each they stay below 30 MB.
MAX_PREVIEWS = 200
PREVIEW_PAUSE_MS = 200


@dataclass(frozen=True)
class SpokenText:
    """`speech` lies in a work directory that ends with the context; `engine` is who spoke."""

    speech: Speech
    engine: str


class VoiceSpeaker:
    """One text at a time for each caller; the worker decides whose turn it is."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: Catalog,
        files: FileKeeper,
        voices: VoiceService,
        speech: SpeechService,
        router: SpeechRouter,
        quiet: QuietTimes,
        previews_dir: Path,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._files = files
        self._voices = voices
        self._speech = speech
        self._router = router
        self._quiet = quiet
        self._previews_dir = previews_dir
        self._preview_lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def speaking(
        self,
        voice_id: str,
        text: str,
        *,
        language: str = AUTO,
        speed: float = 1.0,
        pitch: float = 0.0,
        pause_ms: int = PREVIEW_PAUSE_MS,
        speech_engine: str = AUTO,
        deadline_s: float = PREVIEW_DEADLINE_S,
        report: Report = lambda _fraction, _message: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[SpokenText]:
        """Speak; the files go when the context ends.

        With `auto` the next engine follows when one fails. Raises RequestError for an unknown voice or engine,
        EngineFailure, JobCancelled.
        """
        self._router.check(speech_engine)
        spoken_language = resolve_language(language, text)
        ticket = new_id("file")
        work_dir = self._files.path(f"work/{ticket}")
        try:
            with self._quiet.busy():
                voice = await self._voices.files_for(
                    voice_id, spoken_language, folder=work_dir / "voice", pinned={}
                )
                order = SpeechOrder(
                    text=text,
                    voice=voice,
                    language=language,
                    speed=speed,
                    pitch=pitch,
                    pause_ms=pause_ms,
                    dictionary=await self._dictionary(),
                    seed=stable_seed(voice_id),
                )
                plan = self._router.plan(
                    speech_engine,
                    is_own=not isinstance(voice, str),
                    language=spoken_language,
                    # Who names an engine wants to hear that one.
                    allow_fallback=speech_engine == AUTO,
                )
                engine = plan.engines[0]
                while True:
                    task_dir = work_dir / engine
                    await asyncio.to_thread(task_dir.mkdir, parents=True, exist_ok=True)
                    try:
                        speech = await self._speech.speak(
                            engine,
                            order,
                            job_id=ticket,
                            attempt=1,
                            work_dir=task_dir,
                            deadline_s=deadline_s,
                            report=report,
                            cancelled=cancelled,
                        )
                        break
                    except EngineFailure as error:
                        following = plan.after(engine)
                        if following is None or error.code in INPUT_CODES:
                            raise
                        app_logger.warning(
                            "%s did not speak: %s; %s follows", engine, error.detail, following
                        )
                        engine = following
            yield SpokenText(speech, engine)
        finally:
            await self._files.drop_ticket(ticket)

    async def _dictionary(self) -> tuple[DictionaryEntry, ...]:
        entries = await self._store.dictionary.list_all()
        return tuple(DictionaryEntry(entry.term, entry.reading) for entry in entries)

    async def preview(self, voice_id: str, request: PreviewRequest) -> Path:
        """A WAV of a sentence in this voice; the same sentence is spoken once and kept."""
        self._router.check(request.speech_engine)
        builtin = self._catalog.voice(voice_id)
        version = "" if builtin else await self._version(voice_id)
        language = builtin.language if builtin else await self._language(voice_id)
        text = request.text.strip() or GREETINGS.get(language, GREETINGS["en"])
        asked = (version, text, request.speed, request.pitch, request.speech_engine, await self._dictionary())
        target = (
            self._previews_dir / f"{voice_id}-{hashlib.sha256(repr(asked).encode()).hexdigest()[:32]}.wav"
        )
        async with self._preview_lock:
            if await asyncio.to_thread(target.is_file):
                return target
            async with self.speaking(
                voice_id,
                text,
                speed=request.speed,
                pitch=request.pitch,
                speech_engine=request.speech_engine,
            ) as spoken:
                await asyncio.to_thread(_keep_preview, spoken.speech.wav, target)
        return target

    async def _version(self, voice_id: str) -> str:
        """What changes when the voice would sound otherwise: another match, or another engine to speak it."""
        record = await self._voices.own(voice_id)
        ready = [view.engine for view in self._router.voice_engines(is_own=True) if view.ready]
        return f"{record.reference_file_id}/{record.profile_file_id}/{','.join(ready)}"

    async def _language(self, voice_id: str) -> str:
        return (await self._voices.own(voice_id)).language or "en"


def _keep_preview(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    kept = sorted(target.parent.glob("*.wav"), key=lambda path: path.stat().st_mtime)
    for old in kept[:-MAX_PREVIEWS]:
        old.unlink(missing_ok=True)
