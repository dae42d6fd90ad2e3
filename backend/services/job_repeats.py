"""Making a video again: what it was made of, and the final video of a draft. Runs in the service process.

In: a job that is there. Out: a request that would make it again, or a new job that begins where the draft's speech
ends, with an engine that needs a GPU.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping

from backend.models.codes import ErrorCode, JobStatus, StageName
from backend.models.errors import RequestError
from backend.models.job import JobCreate, JobCreated, Preset, PromoteRequest
from backend.models.records import JobView
from backend.services.engine_router import AUTO, AUTO_ORDER, DRAFT_ENGINES, EngineRouter
from backend.services.job_service import JobService
from backend.services.ladder import request_settings
from backend.services.stage_io import PORTRAIT_INPUT, REFERENCE_INPUT
from backend.services.voice_service import VoiceService
from backend.storage.store import Store

# What somebody means who asks for a final video, in the words of the engine that has presets.
PRESET_OF: dict[str, Preset] = {"fast": "fast", "best": "quality"}
# Inputs that are no part of the voice.
_PICTURE_ROLES = frozenset({PORTRAIT_INPUT, REFERENCE_INPUT})


class JobRepeats:
    """`use these settings again`, and `make the final video`."""

    def __init__(self, *, store: Store, jobs: JobService, router: EngineRouter, voices: VoiceService) -> None:
        self._store = store
        self._jobs = jobs
        self._router = router
        self._voices = voices

    async def request_of(self, job_id: str) -> JobCreate:
        """The request of a job, with its seed and its title of today, without its webhook.

        A webhook's address may hold a secret, and whoever makes the video again need not be who gave it.
        """
        job = (await self._jobs.live(job_id)).job
        request = JobCreate.model_validate(dict(job.request))
        return request.model_copy(update={"webhook": None, "seed": job.seed, "title": job.title})

    async def promote(
        self, job_id: str, order: PromoteRequest, *, idempotency_key: str | None = None
    ) -> tuple[JobCreated, bool]:
        """A final video of a completed job; returns it and whether an idempotency key replayed an earlier one.

        The speech is taken over when the voice is still what it was. Raises `not_ready` for a job that has made no
        video, `engine_not_installed`, `validation_failed` for an engine that cannot make a final video, and what a new
        job with its voice or portrait would raise when the draft has no copy of what it needs any more.
        """
        sha256 = _sha256(job_id, order)
        if idempotency_key is not None:
            earlier = await self._store.jobs.replay(idempotency_key, sha256)
            if earlier is not None:
                return await self._jobs.created(earlier), True
        stored = await self._jobs.live(job_id)
        if stored.job.status is not JobStatus.COMPLETED:
            raise RequestError(
                ErrorCode.NOT_READY,
                "The job has made no video yet." if not stored.job.is_terminal else "The job made no video.",
                hint="Wait until it is completed." if not stored.job.is_terminal else "Retry it instead.",
            )
        body = {
            **stored.job.request,
            "title": stored.job.title,
            "preset": order.preset or PRESET_OF[order.quality],
        }
        request = JobCreate.model_validate(body)
        engines = await asyncio.to_thread(self._engines, order.engine, request)
        body["preferred_engine"] = engines[0]
        from_stage, inputs = await self._begin(stored, request)
        from_stage = await self._jobs.begin_of_repeat(stored, request, from_stage) or from_stage
        record, replayed = await self._store.jobs.new_promotion(
            job_id,
            request=body,
            from_stage=from_stage,
            inputs=inputs,
            engine_plan=engines,
            request_sha256=sha256,
            idempotency_key=idempotency_key,
        )
        return await self._jobs.created(record), replayed

    def _engines(self, named: str | None, request: JobCreate) -> tuple[str, ...]:
        """Installed engines that make final videos, in the order they may be tried."""
        wanted = AUTO_ORDER if named in {None, AUTO} else self._router.plan(str(named)).engines
        final = tuple(name for name in wanted if name not in DRAFT_ENGINES)
        if not final:
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                f"The engine {named} makes drafts.",
                hint="Leave `engine` out, or name one that makes final videos.",
            )
        settings = request_settings(request)
        readiness = {name: a.readiness_for(settings) for name in final if (a := self._router.adapter(name))}
        ready = [name for name in final if name in readiness and readiness[name].is_installed]
        # Who names an engine wants that one; what follows it in its plan may only take over from it.
        if not ready or (named not in {None, AUTO} and ready[0] != final[0]):
            first = readiness.get(final[0])
            raise RequestError(
                ErrorCode.ENGINE_NOT_INSTALLED,
                (first.reason if first and named else None)
                or "No engine that makes final videos is installed.",
                hint=(first.fix if first else None) or "Install one: GET /api/engines lists them.",
            )
        return tuple(ready) if request.fallback.allow else tuple(ready[:1])

    async def _begin(self, stored: JobView, request: JobCreate) -> tuple[StageName, Mapping[str, str] | None]:
        """Where the new job begins, and its inputs, None for those of the draft.

        At the picture, unless a voice was enrolled or refined anew since: then that is to be heard.
        """
        held = {role: file.file_id for role, file in stored.inputs.items()}
        spoken_with = {role: file_id for role, file_id in held.items() if role not in _PICTURE_ROLES}
        try:
            now = await self._voices.inputs_of(request.voice_ids)
        except RequestError as error:
            if error.code is not ErrorCode.VOICE_NOT_FOUND:
                raise
            # Deleted since: what it said is all there is.
            return StageName.VIDEO, None
        if now == spoken_with:
            return StageName.VIDEO, None
        pictures = {role: file_id for role, file_id in held.items() if role in _PICTURE_ROLES}
        return StageName.SPEECH, {**pictures, **now}


def _sha256(job_id: str, order: PromoteRequest) -> str:
    """What a promotion under an idempotency key asked for; a key of a promotion is none of another request."""
    text = json.dumps(["promote", job_id, order.quality, order.engine, order.preset])
    return hashlib.sha256(text.encode()).hexdigest()
