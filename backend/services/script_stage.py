"""The `script` stage of a job: the text that will be spoken, and the portrait. Runs in the service process.

Manual text is taken as it is written. A topic is given to a language model; without one the stage fails with
`script_model_missing`, because an invented sentence would be a fake. What was written is durable: a later stage, a
fallback and a retry read it from `script.json`.
"""

from __future__ import annotations

import json
from typing import Any

from backend.models.job import JobCreate
from backend.services.avatar_service import AvatarService
from backend.services.chosen_face import PortraitFaces
from backend.services.file_keeper import FileKeeper
from backend.services.script_endpoints import ScriptModels
from backend.services.script_writer import Assignment, Desk, ScriptWriter, provenance
from backend.services.stage_io import PORTRAIT_FILE, SCRIPT_FILE, WRITTEN, StageInput, StageOutput

# Seeds are non-negative 31 bit numbers; a job without one writes as it comes.
_NO_SEED = 0


class ScriptStage:
    """Runs the stage. Raises ProductError or JobCancelled."""

    def __init__(
        self, *, files: FileKeeper, avatars: AvatarService, models: ScriptModels, writer: ScriptWriter
    ) -> None:
        self._files = files
        self._avatars = avatars
        self._models = models
        self._writer = writer

    async def run(self, given: StageInput) -> StageOutput:
        """The portrait first, when it has to be fetched or looked at: it is cheap, and a text may be dear."""
        given.report(0.0, "Preparing script and portrait")
        job_id = given.view.job.job_id
        files = []
        if not self._avatars.is_stored(given.request.avatar_url):
            portrait = await self._avatars.prepare(
                given.request.avatar_url, ticket=job_id, work_dir=given.work_dir, cancelled=given.cancelled
            )
            faces = PortraitFaces.of(portrait.data).facts()
            kept = await self._files.keep(job_id, PORTRAIT_FILE, portrait.picture, meta=faces)
            files.append((PORTRAIT_FILE, kept))
        document = {"mode": given.request.script_mode, **await self._text(given)}
        data = json.dumps(document, ensure_ascii=False, indent=1).encode()
        kept = await self._files.keep_bytes(job_id, SCRIPT_FILE, data)
        is_written = given.request.script_mode == "auto"
        return StageOutput(((SCRIPT_FILE, kept), *files), {WRITTEN: document["text"]} if is_written else None)

    async def _text(self, given: StageInput) -> dict[str, Any]:
        """`text`, and of a written one who wrote it."""
        request = given.request
        if request.script_mode == "manual":
            return {"text": request.script_input.strip()}
        order = assignment_of(request, given.view.job.seed)
        desk = Desk(
            ticket=given.view.job.job_id,
            attempt=given.attempt,
            work_dir=given.work_dir / "script",
            cancelled=given.cancelled,
            report=given.report,
        )
        written = await self._writer.write(await self._models.choose(), order, desk)
        return {"text": written.text, **provenance(written, order)}


def assignment_of(request: JobCreate, seed: int | None) -> Assignment:
    """What a job asks the writer for. A language of the voice also is one of the text, unless the text has its own."""
    settings, voice = request.script_settings, request.voice_settings
    return Assignment(
        topic=request.script_input.strip(),
        language=voice.language if settings.language == "auto" else settings.language,
        seconds=settings.seconds,
        style=settings.style,
        speed=voice.speed,
        speakers=tuple(speaker.name for speaker in request.speakers),
        seed=_NO_SEED if seed is None else seed,
    )
