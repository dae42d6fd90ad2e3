"""What callers may do with jobs. Runs in the service process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.models.codes import ErrorCode, JobStatus, StageName
from backend.models.errors import RequestError
from backend.models.job import JobCreate, JobCreated, JobPage, JobPatch, JobView, RetryRequest
from backend.models.library_records import JobChange, JobFilter
from backend.models.records import FileRecord, JobRecord, NewJob
from backend.models.records import JobView as StoredView
from backend.services.avatar_service import AvatarService
from backend.services.catalog import stable_seed
from backend.services.engine_router import AUTO, EngineRouter
from backend.services.file_keeper import FileKeeper
from backend.services.job_preview import JobPreviews
from backend.services.job_view import PUBLIC_ARTIFACTS, wire_view
from backend.services.ladder import request_settings
from backend.services.repeat_needs import RepeatNeeds
from backend.services.script_service import check_script, check_speakable
from backend.services.script_turns import without_names
from backend.services.speech_router import SpeechRouter
from backend.services.stage_io import PORTRAIT_INPUT, REFERENCE_INPUT
from backend.services.voice_service import VoiceService
from backend.storage.store import Store
from backend.utils.file_names import safe_name
from backend.utils.ids import is_id, new_id

# Answers that are kept ready; one takes a few kB.
BODIES_KEPT = 256


@dataclass(frozen=True)
class Download:
    """A file to be sent; `file_name` is what a browser saves it as."""

    path: Path
    media_type: str
    sha256: str
    file_name: str


@dataclass(frozen=True)
class _Body:
    """An answer, what it was made of, and the database's version before that was read."""

    stored: StoredView
    data: bytes
    version: int | None


class JobService:
    """Create, look, cancel, retry, delete, download."""

    def __init__(
        self,
        *,
        store: Store,
        router: EngineRouter,
        speech_router: SpeechRouter,
        voices: VoiceService,
        avatars: AvatarService,
        files: FileKeeper,
        previews: JobPreviews,
        max_script_chars: int,
        check_webhook: Callable[[str], None],
        on_cancel: Callable[[str], None],
    ) -> None:
        self._store = store
        self._router = router
        self._speech_router = speech_router
        self._voices = voices
        self._avatars = avatars
        self._needs = RepeatNeeds(voices=voices, avatars=avatars, files=files)
        self._files = files
        self._previews = previews
        self._max_script_chars = max_script_chars
        self._check_webhook = check_webhook
        self._on_cancel = on_cancel
        self._bodies: dict[str, _Body] = {}

    # -- create ------------------------------------------------------------------------------------
    async def create(self, request: JobCreate, *, idempotency_key: str | None) -> tuple[JobCreated, bool]:
        """Accept a job; returns it and whether an idempotency key replayed an earlier one."""
        if idempotency_key is not None:
            # Before anything is looked at: what the request names may have been deleted since.
            earlier = await self._store.jobs.replay(idempotency_key, _canonical_sha256(request))
            if earlier is not None:
                return await self.created(earlier), True
        new = await self.prepare(request, idempotency_key=idempotency_key)
        record, replayed = await self._store.jobs.enqueue(new)
        return await self.created(record), replayed

    async def prepare(
        self, request: JobCreate, *, idempotency_key: str | None = None, batch_id: str | None = None
    ) -> NewJob:
        """Refuse what can be seen to be wrong; the rest is ready for the queue."""
        check_script(request.script_input, self._max_script_chars, is_topic=request.script_mode == "auto")
        if request.speakers and request.script_mode == "manual":
            check_speakable(without_names(request.script_input, [who.name for who in request.speakers]))
        plan = self._router.plan(
            request.preferred_engine,
            allow_fallback=request.fallback.allow,
            settings=request_settings(request),
        )
        self._speech_router.check(request.speech_engine)
        if request.speakers:
            # Of no use then, and still no place for an id that does not exist.
            await self._voices.inputs(request.voice_id)
        inputs = await self._voices.inputs_of(request.voice_ids)
        portrait = await self._avatars.check(request.avatar_url)
        if portrait is not None:
            inputs[PORTRAIT_INPUT] = portrait
        if request.face_index is not None and not request.speakers:
            # Refused here, before speech is made for a job that cannot be finished.
            (await self._avatars.faces(request.avatar_url, portrait)).box(request.face_index)
        video = await self._avatars.video(request.avatar_url)
        if video is not None:
            inputs[REFERENCE_INPUT] = video
        job_id = new_id("job")
        body = request.model_dump(mode="json")
        if not request.speakers:
            del body["speakers"]
        if request.webhook is None:
            # Requests of before there were webhooks keep their hash.
            del body["webhook"]
        else:
            self._check_webhook(request.webhook.url)
        return NewJob(
            job_id=job_id,
            request=body,
            request_sha256=_canonical_sha256(request),
            engine_plan=plan.engines,
            seed=stable_seed(job_id) if request.seed is None else request.seed,
            title=request.title,
            search_text=f"{request.title}\n{request.script_input}",
            priority=request.priority,
            idempotency_key=idempotency_key,
            inputs=inputs,
            batch_id=batch_id,
            # Owners take turns: a batch of hundreds lets a single job through after its next one.
            owner=batch_id or "",
        )

    async def begin_of_repeat(
        self, stored: StoredView, request: JobCreate, from_stage: StageName | None
    ) -> StageName | None:
        """Where a repeat can begin; see `RepeatNeeds.begin`. Raises what `create` would raise."""
        return await self._needs.begin(stored, request, from_stage)

    async def created(self, record: JobRecord) -> JobCreated:
        """The answer to who made a job."""
        position = await self._store.jobs.queue_position(record.job_id)
        return JobCreated(
            job_id=record.job_id,
            selected_engine=record.selected_engine,
            status=record.status,
            queue_position=position or None,
            retry_of=record.retry_of,
        )

    # -- look --------------------------------------------------------------------------------------
    async def get(self, job_id: str) -> JobView:
        return wire_view(await self.live(job_id))

    async def body(self, job_id: str) -> bytes:
        """What `get` gives, as JSON: the same bytes as long as the job's rows are the same.

        While nothing at all was committed since they were read, the rows are not read again: who waits for a job
        asks many times between two changes.
        """
        version = self._store.jobs.version()
        kept = self._bodies.get(job_id)
        if kept is not None and kept.version == version is not None:
            return kept.data
        stored = await self.live(job_id)
        # The store gives the same object for the same content, so identity is enough.
        is_same = kept is not None and kept.stored is stored
        data = kept.data if kept is not None and is_same else wire_view(stored).model_dump_json().encode()
        self._bodies[job_id] = _Body(stored, data, version)
        while len(self._bodies) > BODIES_KEPT:
            self._bodies.pop(next(iter(self._bodies)))
        return data

    async def live(self, job_id: str) -> StoredView:
        """A job that is not deleted. Raises `job_not_found`, `gone`."""
        if not is_id(job_id, "job"):
            raise RequestError(
                ErrorCode.JOB_NOT_FOUND, "There is no such job.", hint="List the jobs with GET /api/jobs."
            )
        stored = await self._store.jobs.get_view(job_id)
        if stored.job.deleted_at is not None:
            raise RequestError(ErrorCode.GONE, "This job was deleted.", hint="Make a new one.")
        return stored

    async def page(self, only: JobFilter, *, descending: bool, limit: int, cursor: str | None) -> JobPage:
        """A page of the jobs that `only` describes, and how many they are in all."""
        found = await self._store.jobs.list_page(
            only, order="desc" if descending else "asc", limit=limit, cursor=cursor
        )
        views = [wire_view(await self._store.jobs.get_view(job.job_id)) for job in found.jobs]
        return JobPage(
            data=views,
            has_more=found.next_cursor is not None,
            next_cursor=found.next_cursor,
            total=found.total,
        )

    async def preview(self, job_id: str) -> bytes | None:
        """A JPEG of the picture that is being made, or None while there is none."""
        return await self._previews.read(await self.live(job_id))

    # -- change ------------------------------------------------------------------------------------
    async def cancel(self, job_id: str) -> JobView:
        """Ask for a stop; the engine is told at once."""
        await self.live(job_id)
        await self._store.jobs.request_cancel(job_id)
        self._on_cancel(job_id)
        return await self.get(job_id)

    async def change(self, job_id: str, patch: JobPatch) -> JobView:
        """Title, star, folder, place in the queue. Raises `validation_failed`."""
        await self.live(job_id)
        change = JobChange(
            priority=patch.priority,
            title=patch.title,
            starred=patch.starred,
            moves=patch.moves,
            folder_id=patch.folder_id,
        )
        await self._store.jobs.change(job_id, change)
        return await self.get(job_id)

    async def retry(
        self, job_id: str, request: RetryRequest, *, idempotency_key: str | None = None
    ) -> tuple[JobCreated, bool]:
        """A new job that goes on where the old one failed, or starts over.

        Returns it and whether an idempotency key replayed an earlier retry. Raises `not_ready`, and what a new job
        with its voice or portrait would raise when one of them was deleted and is needed again.
        """
        sha256 = _retry_sha256(job_id, request)
        if idempotency_key is not None:
            earlier = await self._store.jobs.replay(idempotency_key, sha256)
            if earlier is not None:
                return await self.created(earlier), True
        stored = await self.live(job_id)
        if not stored.job.is_terminal:
            raise RequestError(
                ErrorCode.NOT_READY,
                "The job has not ended yet.",
                hint="Cancel it first, or wait until it has ended.",
            )
        original = JobCreate.model_validate(dict(stored.job.request))
        plan = self._router.plan(
            request.engine or original.preferred_engine,
            allow_fallback=original.fallback.allow,
            settings=request_settings(original),
        )
        from_stage = (
            StageName.SCRIPT if request.start_from == "start" else self._first_open_stage(stored, request)
        )
        from_stage = await self.begin_of_repeat(stored, original, from_stage)
        record, replayed = await self._store.jobs.new_retry(
            job_id,
            from_stage=from_stage,
            engine_plan=plan.engines,
            idempotency_key=idempotency_key,
            request_sha256=None if idempotency_key is None else sha256,
        )
        if not replayed:
            await self._store.checkpoints.take_over(job_id, record.job_id)
        return await self.created(record), replayed

    @staticmethod
    def _first_open_stage(stored: StoredView, request: RetryRequest) -> StageName | None:
        """None leaves it to the store: the first stage that is not completed.

        Another engine, or an ended success (a draft to be made final), begins at the picture.
        """
        wants_other = request.engine is not None and request.engine != AUTO
        if wants_other or stored.job.status is JobStatus.COMPLETED:
            return StageName.VIDEO
        return None

    async def delete(self, job_id: str) -> None:
        """Delete an ended job with its files."""
        await self.live(job_id)
        deleted = await self._store.jobs.delete(job_id)
        await self._store.checkpoints.drop(job_id)
        await self._files.purge(deleted.files)

    # -- download ----------------------------------------------------------------------------------
    async def result(self, job_id: str) -> Download:
        """The finished video. Raises `not_ready` until there is one."""
        stored = await self.live(job_id)
        job = stored.job
        if job.result_file_id is None:
            detail, hint = _why_no_result(job)
            raise RequestError(ErrorCode.NOT_READY, detail, hint=hint)
        file = await self._store.files.get(job.result_file_id)
        return self._download(file, f"{job.title or job_id}.mp4")

    async def artifact(self, job_id: str, name: str) -> Download:
        stored = await self.live(job_id)
        found = stored.artifact(name) if name in PUBLIC_ARTIFACTS else None
        if found is None:
            known = ", ".join(sorted(PUBLIC_ARTIFACTS))
            if name not in PUBLIC_ARTIFACTS:
                raise RequestError(
                    ErrorCode.VALIDATION_FAILED, "There is no artifact of that name.", hint=f"Known: {known}."
                )
            raise RequestError(
                ErrorCode.NOT_READY, f"The job has no {name} (yet).", hint="Ask again when the job has ended."
            )
        if found.file.deleted_at is not None:
            raise RequestError(
                ErrorCode.GONE, "The file was deleted.", hint="Retry the job to make it again."
            )
        return self._download(found.file, f"{stored.job.title or job_id}-{name}")

    def _download(self, file: FileRecord, name: str) -> Download:
        return Download(self._files.path(file.rel_path), file.media_type, file.sha256, safe_name(name))


def _retry_sha256(job_id: str, request: RetryRequest) -> str:
    """What a retry under an idempotency key asked for; a key of a retry is none of another request."""
    text = json.dumps(["retry", job_id, request.start_from, request.engine])
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical_sha256(request: JobCreate) -> str:
    """What was asked for, without what goes without saying: a request that is sent again after an update of
    the service is still the same, although the new version knows one more field."""
    body = request.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _why_no_result(job: JobRecord) -> tuple[str, str]:
    """A sentence, and what to do."""
    if job.status is JobStatus.FAILED:
        return "The job failed, so there is no video.", "Look at its `error`, then retry it."
    if job.status is JobStatus.CANCELLED:
        return "The job was cancelled, so there is no video.", "Retry it."
    return "The video is not finished yet.", "Ask again when the job has ended."
