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

from backend.engines.speech.base import DictionaryEntry, Manner, Speech, SpeechOrder
from backend.engines.speech.builtin import BUILTIN
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.models.file_records import FileRecord
from backend.models.job import JobCreate
from backend.models.records import JobView
from backend.services.conversation import Conversation, ConversationSpeaker, Part, main_manner
from backend.services.file_keeper import FileKeeper
from backend.services.hearing import HearingService, SpeakAgain, spoken_part, told
from backend.services.script_turns import Turn, silent_speakers, turns_of
from backend.services.speech_router import SpeechPlan, SpeechRouter
from backend.services.speech_service import SpeechService, resolve_language
from backend.services.stage_io import (
    AUDIO_FILE,
    SCRIPT_FILE,
    SPEECH_REPORT_FILE,
    TIMINGS_FILE,
    TRACK_FILES,
    Report,
    StageInput,
    StageOutput,
    artifact_path,
)
from backend.services.voice_service import VoiceService, pinned_of
from backend.storage.store import Store

# Keys of the sound's row: what callers see as `speech_engine` and `speech_report`, and what the result may be called.
ENGINE_KEY, MANNER_KEY, REPORT_KEY = "speech_engine", "speech_manner", "speech_report"
# Of two speakers: how each voice came about (None: has nothing to say), and whom the script never lets speak.
MANNERS_KEY, SILENT_KEY = "speech_manners", "silent_speakers"


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
        silent = silent_speakers(text, [speaker.name for speaker in request.speakers])
        own = [
            await self._voices.has_reference(voice_id, pinned_of(view.inputs, place))
            for place, voice_id in enumerate(request.voice_ids)
            if place not in silent
        ]
        return self._router.plan(
            request.speech_engine,
            is_own=any(own),
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
        speak = await (self._conversation if given.request.speakers else self._monologue)(given, engine)
        if not self._hearing.is_wanted(is_clone=self._router.is_clone(engine)):
            speech = await speak(frozenset(), given.work_dir, given.report)
            return await self._keep(given, speech, self._meta(given, engine, speech))
        speech = await speak(frozenset(), given.work_dir, spoken_part(given.report))
        heard = await self._hearing.hear_back(
            speech,
            speak,
            job_id=given.view.job.job_id,
            attempt=given.attempt,
            work_dir=given.work_dir,
            deadline_s=self._deadline_s,
            report=given.report,
            cancelled=given.cancelled,
        )
        meta = {**self._meta(given, engine, heard.speech), REPORT_KEY: told(heard.report)}
        output = await self._keep(given, heard.speech, meta)
        whole = json.dumps({"version": 1, **heard.report}, ensure_ascii=False, indent=1).encode()
        kept = await self._files.keep_bytes(given.view.job.job_id, SPEECH_REPORT_FILE, whole)
        return StageOutput((*output.files, (SPEECH_REPORT_FILE, kept)))

    async def _monologue(self, given: StageInput, engine: str) -> SpeakAgain:
        """One voice says all of it."""
        text = await self.text(given.view)
        order = await self._order(given, text, 0)

        async def speak(again: frozenset[int], work_dir: Path, report: Report) -> Speech:
            await asyncio.to_thread(work_dir.mkdir, parents=True, exist_ok=True)
            return await self._speech.speak(
                engine,
                replace(order, again=again),
                job_id=given.view.job.job_id,
                attempt=given.attempt,
                work_dir=work_dir,
                deadline_s=self._deadline_s,
                report=report,
                cancelled=given.cancelled,
            )

        return speak

    async def _conversation(self, given: StageInput, engine: str) -> SpeakAgain:
        """Two voices take turns. `engine` speaks those of one's own; built-in ones are the built-in engine's."""
        text = await self.text(given.view)
        speakers = given.request.speakers
        turns: list[Turn] = turns_of(text, [speaker.name for speaker in speakers])
        if not turns:
            raise EngineFailure(
                ErrorCode.VALIDATION_FAILED,
                "The script holds nothing that can be spoken.",
                hint="Write at least one word for each speaker.",
            )
        parts = []
        for place, speaker in enumerate(speakers):
            order = await self._order(given, text, place)
            parts.append(Part(speaker.name, BUILTIN if isinstance(order.voice, str) else engine, order))
        conversation = ConversationSpeaker(
            self._speech,
            turns,
            parts,
            language=resolve_language(given.request.voice_settings.language, text),
            job_id=given.view.job.job_id,
            attempt=given.attempt,
            deadline_s=self._deadline_s,
            cancelled=given.cancelled,
        )
        return conversation.speak

    def _meta(self, given: StageInput, engine: str, speech: Speech) -> dict[str, Any]:
        if not isinstance(speech, Conversation):
            return {ENGINE_KEY: engine, MANNER_KEY: self._manner(given, 0, speech.manner)}
        manners = [
            manner and self._manner(given, place, manner) for place, manner in enumerate(speech.manners)
        ]
        return {
            ENGINE_KEY: engine,
            MANNER_KEY: main_manner(manners),
            MANNERS_KEY: manners,
            SILENT_KEY: [
                speaker.name
                for speaker, manner in zip(given.request.speakers, manners, strict=True)
                if manner is None
            ],
        }

    def _manner(self, given: StageInput, place: int, manner: Manner) -> Manner:
        """A built-in voice in the place of somebody's own is called so."""
        is_own = self._voices.is_own(given.request.voice_ids[place])
        return "stand_in" if manner == "preset" and is_own else manner

    async def _order(self, given: StageInput, text: str, place: int) -> SpeechOrder:
        """What a speaker's sentences have in common. `place`: 0, or 1 for the second of two."""
        options = given.request.voice_settings
        voice = await self._voices.files_for(
            given.request.voice_ids[place],
            resolve_language(options.language, text),
            folder=given.work_dir / f"voice-{place + 1}",
            pinned=pinned_of(given.view.inputs, place),
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

    async def _keep(self, given: StageInput, speech: Speech, meta: dict[str, Any]) -> StageOutput:
        job_id = given.view.job.job_id
        made = [(AUDIO_FILE, await self._files.keep(job_id, AUDIO_FILE, speech.wav, meta=meta))]
        made.append((TIMINGS_FILE, await self._files.keep(job_id, TIMINGS_FILE, speech.timings)))
        if isinstance(speech, Conversation):
            for name, path in zip(TRACK_FILES, speech.tracks, strict=True):
                made.append((name, await self._files.keep(job_id, name, path)))
        return StageOutput(tuple(made))

    def speakers(self, view: JobView, request: JobCreate) -> tuple[dict[str, Any], ...]:
        """What an engine for the picture is told of two speakers (`settings["speakers"]`); nothing of one."""
        return tuple(
            {
                "name": speaker.name,
                "face": speaker.face.model_dump() if speaker.face else None,
                "track": artifact_path(self._files, view, track),
            }
            for speaker, track in zip(request.speakers, TRACK_FILES, strict=False)
        )


def spoken_by(audio: FileRecord | None) -> tuple[str | None, str | None]:
    """Engine and manner (`preset`, `stand_in`, `match`, `clone`) of a job's sound; None where not known."""
    if audio is None:
        return None, None
    return audio.meta.get(ENGINE_KEY), audio.meta.get(MANNER_KEY)


def manners_of(audio: FileRecord | None) -> tuple[str, ...]:
    """The manners of all voices that are heard in a job's sound, each once."""
    if audio is None:
        return ()
    found = audio.meta.get(MANNERS_KEY) or [audio.meta.get(MANNER_KEY)]
    return tuple(dict.fromkeys(manner for manner in found if manner is not None))
