"""The four stages of a job: what each does and which durable files it leaves. Runs in the service process.

A stage reads the artifacts of the stages before it from disk, never from memory, so it can follow a crash,
a fallback or a retry. Everything is made in a work directory and adopted into `data/outputs/<job_id>/`.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

from backend import __version__
from backend.engines.base import BaseEngineAdapter
from backend.engines.task_deadline import LONGEST_S
from backend.models.codes import ErrorCode, StageName
from backend.models.errors import EngineFailure
from backend.models.job import JobCreate
from backend.models.records import ArtifactRecord, JobView
from backend.services.adapter_call import call_adapter
from backend.services.avatar_service import AvatarService
from backend.services.chosen_face import PortraitFaces
from backend.services.engine_router import DRAFT_ENGINES
from backend.services.file_keeper import FileKeeper
from backend.services.finish_service import FinishService
from backend.services.ladder import ladder_of, request_settings
from backend.services.quality_report import quality_report
from backend.services.run_learning import RunLearning
from backend.services.script_stage import ScriptStage
from backend.services.speech_router import SpeechPlan
from backend.services.speech_stage import MANNERS_KEY, SpeechStage, spoken_by
from backend.services.stage_io import (
    AUDIO_FILE,
    PORTRAIT_FILE,
    PORTRAIT_INPUT,
    REFERENCE_INPUT,
    REPORT_FILE,
    RESULT_FILE,
    SILENT_FILE,
    TIMINGS_FILE,
    StageInput,
    StageOutput,
    artifact_path,
)
from backend.storage.checkpoints import Checkpoints
from backend.utils.clock import Clock

# In the facts of the silent video: what the engine said of how it made it.
MADE_BY_KEY = "made_by"
# The same, of the moment that shows the person well, s.
THUMBNAIL_KEY = "thumbnail_s"
# An adapter that ignores its deadline is stopped this long after it, s.
DEADLINE_GRACE_S = 30.0


class StageRunner:
    """Runs one stage. Raises ProductError (EngineFailure, InputError) or JobCancelled."""

    def __init__(
        self,
        *,
        files: FileKeeper,
        script: ScriptStage,
        avatars: AvatarService,
        speech: SpeechStage,
        finish: FinishService,
        checkpoints: Checkpoints,
        learning: RunLearning,
        clock: Clock,
        deadline_s: float,
    ) -> None:
        self._files = files
        self._script = script
        self._avatars = avatars
        self._speech = speech
        self._finish = finish
        self._checkpoints = checkpoints
        self._learning = learning
        self._clock = clock
        self._deadline_s = deadline_s

    # -- script ------------------------------------------------------------------------------------
    async def script(self, given: StageInput) -> StageOutput:
        """See `ScriptStage.run`."""
        return await self._script.run(given)

    # -- speech ------------------------------------------------------------------------------------
    async def speech_plan(self, view: JobView, request: JobCreate) -> SpeechPlan:
        """See `SpeechStage.plan`."""
        return await self._speech.plan(view, request)

    async def speech(self, given: StageInput, engine: str) -> StageOutput:
        """See `SpeechStage.run`."""
        return await self._speech.run(given, engine)

    # -- video -------------------------------------------------------------------------------------
    async def video(self, given: StageInput, adapter: BaseEngineAdapter) -> StageOutput:
        """Ask one engine for the picture. What it leaves at `output_path` is checked in the next stage."""
        view, request = given.view, given.request
        job_id = view.job.job_id
        output_path = given.work_dir / SILENT_FILE
        given.report(None, f"Generating frames with {adapter.title or adapter.name}")
        timings = view.artifact(TIMINGS_FILE)
        audio_path = self._path(view, AUDIO_FILE)
        ran: dict[str, Any] = {}
        begun_s = self._clock.monotonic_s()
        work = adapter.process_job(
            job_id,
            request.voice_id,
            request.avatar_url,
            await self._speech.text(view),
            audio_path=audio_path,
            avatar_path=await self._portrait(view, request),
            output_path=output_path,
            settings={
                **request_settings(request),
                "seed": view.job.seed,
                "speakers": self._speech.speakers(view, request),
                "face": await self._face(view, request),
                "rung": ladder_of(view, request, adapter).taken,
                "checkpoint_dir": await self._checkpoints.open(
                    job_id, adapter.name, retry_of=view.job.retry_of
                ),
                "reference_path": self._reference(view),
                "timings_path": self._path(view, TIMINGS_FILE) if timings else None,
                "attempt": given.attempt,
                "work_dir": given.work_dir,
                "deadline_s": self._deadline_s,
                "ran": ran,
            },
            report=given.report,
            cancelled=given.cancelled,
        )
        deadline_s = LONGEST_S if adapter.keeps_deadline else self._deadline_s
        await call_adapter(work, deadline_s=deadline_s + DEADLINE_GRACE_S, cancelled=given.cancelled)
        if not await asyncio.to_thread(_is_non_empty_file, output_path):
            raise EngineFailure(
                ErrorCode.NO_OUTPUT,
                f"The engine {adapter.name} ended without leaving a video.",
                hint="Try again; if it happens each time, choose another engine.",
            )
        await self._learning.note(
            engine=adapter.name,
            resolution=request.output.resolution,
            audio=audio_path,
            wall_s=self._clock.monotonic_s() - begun_s,
            ran=ran,
        )
        kept = await self._files.keep(job_id, SILENT_FILE, output_path, meta=_told(ran))
        return StageOutput(((SILENT_FILE, kept),))

    def _reference(self, view: JobView) -> Path | None:
        """The video that the portrait was taken from."""
        file = view.inputs.get(REFERENCE_INPUT)
        return self._files.path(file.rel_path) if file is not None and file.deleted_at is None else None

    async def _portrait(self, view: JobView, request: JobCreate) -> Path:
        if view.artifact(PORTRAIT_FILE) is not None:
            return self._path(view, PORTRAIT_FILE)
        held = view.inputs.get(PORTRAIT_INPUT)
        if held is not None and held.deleted_at is None:
            # Also of a portrait that was deleted since: its file is kept for the jobs that were promised it.
            return self._files.path(held.rel_path)
        path, _ = await self._avatars.image(request.avatar_url)
        return path

    async def _face(self, view: JobView, request: JobCreate) -> dict[str, float] | None:
        """Where the one who speaks is in the portrait. Two speakers have boxes of their own."""
        if request.speakers:
            return None
        fetched, held = view.artifact(PORTRAIT_FILE), view.inputs.get(PORTRAIT_INPUT)
        if fetched is not None:
            found = PortraitFaces.of(fetched.file.meta)
        else:
            found = await self._avatars.faces(request.avatar_url, held.file_id if held else None)
        return found.box(request.face_index)

    # -- finish ------------------------------------------------------------------------------------
    async def finish(self, given: StageInput) -> StageOutput:
        """Join, check, measure, hash. The first file is the result."""
        view, request = given.view, given.request
        job_id = view.job.job_id
        timings = self._path(view, TIMINGS_FILE) if view.artifact(TIMINGS_FILE) else None
        done = await self._finish.finish(
            job_id=job_id,
            work_dir=given.work_dir / "finish",
            silent_video=self._path(view, SILENT_FILE),
            audio=self._path(view, AUDIO_FILE),
            timings=timings,
            title=view.job.title or job_id,
            subtitles=request.output.subtitles,
            provenance=self._provenance(view, request),
            thumbnail_s=_thumbnail_s(view),
            report=given.report,
            cancelled=given.cancelled,
        )
        made = [(RESULT_FILE, done.video), ("thumbnail.jpg", done.thumbnail)]
        made += [("subtitles.srt", done.srt)] if done.srt else []
        made += [("subtitles.vtt", done.vtt)] if done.vtt else []
        files = [(name, await self._files.keep(job_id, name, path)) for name, path in made]
        if files[0][1].blob.sha256 != done.sha256:
            raise EngineFailure(
                ErrorCode.NO_OUTPUT, "The checked video and the stored video differ.", hint="Check the disk."
            )
        report = quality_report(view, done, self._clock).model_dump_json().encode()
        files.append((REPORT_FILE, await self._files.keep_bytes(job_id, REPORT_FILE, report)))
        return StageOutput(tuple(files), {"warnings": list(done.warnings)})

    def _provenance(self, view: JobView, request: JobCreate) -> dict[str, Any]:
        hops = [
            {"stage": hop.stage.value, "engine": hop.engine, "outcome": str(hop.outcome)}
            for hop in view.attempts
            if hop.outcome is not None
        ]
        audio = view.artifact(AUDIO_FILE)
        speech_engine, manner = spoken_by(audio.file if audio else None)
        return {
            "ai_generated": True,
            "software": f"All-in-one {__version__}",
            "engine": view.job.selected_engine,
            "draft": view.job.selected_engine in DRAFT_ENGINES,
            "attempts": hops,
            "seed": view.job.seed,
            **_said(view),
            "voice_id": request.voice_id,
            "speech_engine": speech_engine,
            "voice": manner,
            **({"speakers": _told_of(request, audio)} if request.speakers else {}),
        }

    def _path(self, view: JobView, name: str) -> Path:
        return artifact_path(self._files, view, name)


def made_by(view: JobView) -> tuple[str, ...]:
    """What the engine said of how it made the picture: one sentence, or none."""
    video = view.artifact(SILENT_FILE)
    told = video.file.meta.get(MADE_BY_KEY) if video else None
    return (str(told),) if told else ()


def _told(ran: dict[str, Any]) -> dict[str, Any]:
    """What later stages are to know of what an engine noted; plug-ins may note anything."""
    told: dict[str, Any] = {MADE_BY_KEY: str(ran["made_by"])} if ran.get("made_by") else {}
    moment = ran.get(THUMBNAIL_KEY)
    if isinstance(moment, (int, float)) and math.isfinite(moment) and moment >= 0:
        told[THUMBNAIL_KEY] = float(moment)
    return told


def _thumbnail_s(view: JobView) -> float | None:
    video = view.artifact(SILENT_FILE)
    return video.file.meta.get(THUMBNAIL_KEY) if video else None


def _said(view: JobView) -> dict[str, str]:
    sentence = " ".join(made_by(view))
    return {MADE_BY_KEY: sentence} if sentence else {}


def _told_of(request: JobCreate, audio: ArtifactRecord | None) -> list[dict[str, Any]]:
    """Whose voices are heard in a conversation, and how each came about; names are the script's own business."""
    manners = (audio.file.meta.get(MANNERS_KEY) if audio else None) or [None] * len(request.speakers)
    return [
        {"voice_id": speaker.voice_id, "voice": manner}
        for speaker, manner in zip(request.speakers, manners, strict=True)
    ]


def _is_non_empty_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


# Which method runs which stage; `video` also takes its engine.
STAGE_MESSAGES: dict[StageName, str] = {
    StageName.SCRIPT: "Preparing script and portrait",
    StageName.SPEECH: "Synthesising speech",
    StageName.VIDEO: "Generating frames",
    StageName.FINISH: "Joining picture and sound",
}
