"""The `speech` stage of a job: text and voice become `audio.wav` and `timings.json`. Runs in the service process.

In order: the plan of engines, the voice's files, speaking, hearing back (hearing.py), keeping. Which engine's turn it is, is read from the
job's hops; who spoke and how is kept with the row of the sound, so that retries and the last stage know it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.engines.speech.base import DictionaryEntry, Speech, SpeechOrder
from backend.models.file_records import FileRecord
from backend.models.job import JobCreate
from backend.models.records import JobView
from backend.services.file_keeper import FileKeeper
from backend.services.hearing import HearingService, spoken_part, told
from backend.services.speech_router import SpeechPlan, SpeechRouter
from backend.services.speech_service import SpeechService, resolve_language
from backend.services.stage_io import (
    AUDIO_FILE,
    SCRIPT_FILE,
    SPEECH_REPORT_FILE,
    TIMINGS_FILE,
    Report,
    StageInput,
    StageOutput,
    artifact_path,
)
from backend.services.voice_service import VoiceService
from backend.storage.store import Store

# Keys of the sound's row: what callers see as `speech_engine` and `speech_report`, and what the result may be called.
ENGINE_KEY, MANNER_KEY, REPORT_KEY = "speech_engine", "speech_manner", "speech_report"


class SpeechStage:
    """Runs the stage. Raises ProductError (EngineFailure, InputError) or JobCancelled."""

    def __init__(
        self,
        *,
        store: Store,
        files: FileKeeper,
        voices: VoiceService,
        router: SpeechRouter,
        speech: SpeechService,
        hearing: HearingService,
        deadline_s: float,
    ) -> None:
        self._store = store
        self._files = files
        self._voices = voices
        self._router = router
        self._speech = speech
        self._hearing = hearing
        self._deadline_s = deadline_s

    async def plan(self, view: JobView, request: JobCreate) -> SpeechPlan:
        """The engines that may speak this job's script, best first."""
        text = await self.text(view)
        return self._router.plan(
            request.speech_engine,
            is_own=await self._voices.has_reference(request.voice_id, view.inputs),
            language=resolve_language(request.voice_settings.language, text),
            allow_fallback=request.fallback.allow,
        )

    async def text(self, view: JobView) -> str:
        """The script as the stage before left it."""
        path = artifact_path(self._files, view, SCRIPT_FILE)
        return str(json.loads(await asyncio.to_thread(path.read_text, encoding="utf-8"))["text"])

    async def run(self, given: StageInput, engine: str) -> StageOutput:
        """Have `engine` speak, and keep what it leaves."""
        given.report(None, "Synthesising speech")
        order = await self._order(given)
        if not self._hearing.is_wanted(is_clone=self._router.is_clone(engine)):
            speech = await self._speak(given, engine, order, given.work_dir, given.report)
            return await self._keep(given.view.job.job_id, speech, self._meta(given, engine, speech))
        speech = await self._speak(given, engine, order, given.work_dir, spoken_part(given.report))

        async def again(sentences: frozenset[int], work_dir: Path, report: Report) -> Speech:
            await asyncio.to_thread(work_dir.mkdir, parents=True, exist_ok=True)
            return await self._speak(given, engine, replace(order, again=sentences), work_dir, report)

        heard = await self._hearing.hear_back(
            speech,
            again,
            job_id=given.view.job.job_id,
            attempt=given.attempt,
            work_dir=given.work_dir,
            deadline_s=self._deadline_s,
            report=given.report,
            cancelled=given.cancelled,
        )
        meta = {**self._meta(given, engine, heard.speech), REPORT_KEY: told(heard.report)}
        output = await self._keep(given.view.job.job_id, heard.speech, meta)
        whole = json.dumps({"version": 1, **heard.report}, ensure_ascii=False, indent=1).encode()
        kept = await self._files.keep_bytes(given.view.job.job_id, SPEECH_REPORT_FILE, whole)
        return StageOutput((*output.files, (SPEECH_REPORT_FILE, kept)))

    async def _speak(
        self, given: StageInput, engine: str, order: SpeechOrder, work_dir: Path, report: Report
    ) -> Speech:
        return await self._speech.speak(
            engine,
            order,
            job_id=given.view.job.job_id,
            attempt=given.attempt,
            work_dir=work_dir,
            deadline_s=self._deadline_s,
            report=report,
            cancelled=given.cancelled,
        )

    def _meta(self, given: StageInput, engine: str, speech: Speech) -> dict[str, Any]:
        is_stand_in = speech.manner == "preset" and self._voices.is_own(given.request.voice_id)
        manner = "stand_in" if is_stand_in else speech.manner
        return {ENGINE_KEY: engine, MANNER_KEY: manner}

    async def _order(self, given: StageInput) -> SpeechOrder:
        options = given.request.voice_settings
        text = await self.text(given.view)
        language = resolve_language(options.language, text)
        voice = await self._voices.files_for(
            given.request.voice_id, language, folder=given.work_dir / "voice", pinned=given.view.inputs
        )
        return SpeechOrder(
            text=text,
            voice=voice,
            language=options.language,
            speed=options.speed,
            pitch=options.pitch,
            pause_ms=options.pause_ms,
            dictionary=await self._dictionary(),
            seed=given.view.job.seed,
        )

    async def _dictionary(self) -> tuple[DictionaryEntry, ...]:
        entries = await self._store.dictionary.list_all()
        return tuple(DictionaryEntry(entry.term, entry.reading) for entry in entries)

    async def _keep(self, job_id: str, speech: Speech, meta: dict[str, Any]) -> StageOutput:
        audio = await self._files.keep(job_id, AUDIO_FILE, speech.wav, meta=meta)
        timings = await self._files.keep(job_id, TIMINGS_FILE, speech.timings)
        return StageOutput(((AUDIO_FILE, audio), (TIMINGS_FILE, timings)))


def spoken_by(audio: FileRecord | None) -> tuple[str | None, str | None]:
    """Engine and manner (`preset`, `stand_in`, `match`, `clone`) of a job's sound; None where not known."""
    if audio is None:
        return None, None
    return audio.meta.get(ENGINE_KEY), audio.meta.get(MANNER_KEY)
