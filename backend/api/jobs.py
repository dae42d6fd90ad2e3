"""`/api/jobs`. HTTP layer."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse

from backend.api.deps import ServicesDep, services_of
from backend.api.downloads import is_unchanged, send_file
from backend.api.errors import BODY_STATUSES, problems
from backend.api.plain_route import PlainRoute
from backend.models.codes import ErrorCode, JobStatus
from backend.models.estimate import JobEstimate
from backend.models.job import JobCreate, JobCreated, JobPage, JobPatch, JobView, PromoteRequest, RetryRequest
from backend.models.library_records import NO_FOLDER, JobFilter
from backend.models.quality import QualityReport
from backend.services.job_service import Download

router = APIRouter(prefix="/jobs", tags=["jobs"])

MAX_PAGE = 100
ARTIFACT_TYPES = ("audio/wav", "application/json", "application/x-subrip", "text/vtt", "image/jpeg")

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]

_LOOKED_UP = (ErrorCode.JOB_NOT_FOUND, ErrorCode.GONE)


@router.post(
    "",
    status_code=202,
    responses=problems(
        ErrorCode.VOICE_NOT_FOUND,
        ErrorCode.AVATAR_NOT_FOUND,
        ErrorCode.IDEMPOTENCY_CONFLICT,
        ErrorCode.QUEUE_FULL,
        ErrorCode.ENGINE_NOT_INSTALLED,
        statuses=BODY_STATUSES,
    ),
)
async def create_job(
    services: ServicesDep,
    response: Response,
    body: JobCreate,
    idempotency_key: IdempotencyKey = None,
) -> JobCreated:
    """Accept a job. Once this answers, the job survives a crash of the service."""
    created, replayed = await services.jobs.create(body, idempotency_key=idempotency_key)
    _tell_created(response, created, replayed=replayed)
    return created


def _tell_created(response: Response, created: JobCreated, *, replayed: bool) -> None:
    response.headers["Location"] = f"/api/jobs/{created.job_id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"


# Before /{job_id}: "estimate" is no id.
@router.post(
    "/estimate",
    responses=problems(
        ErrorCode.VOICE_NOT_FOUND,
        ErrorCode.AVATAR_NOT_FOUND,
        ErrorCode.FETCH_REFUSED,
        ErrorCode.ENGINE_NOT_INSTALLED,
        statuses=BODY_STATUSES,
    ),
)
async def estimate_job(services: ServicesDep, body: JobCreate) -> JobEstimate:
    """What this job would take: whether it fits, memory, disk, minutes. Nothing is stored."""
    return await services.estimator.estimate(body)


@router.get("")
async def list_jobs(
    services: ServicesDep,
    status: JobStatus | None = None,
    engine: Annotated[str | None, Query(max_length=32)] = None,
    batch_id: Annotated[str | None, Query(max_length=64)] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    starred: bool | None = None,
    folder_id: Annotated[str | None, Query(max_length=64)] = None,
    draft: bool | None = None,
    voice_id: Annotated[str | None, Query(max_length=64)] = None,
    order: Literal["asc", "desc"] = "desc",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> JobPage:
    """A page of jobs, newest first unless `order=asc`; `folder_id=none` for those in no folder."""
    only = JobFilter(
        statuses=None if status is None else (status,),
        engine=engine,
        batch_id=batch_id,
        q=q,
        starred=starred,
        folder_id=NO_FOLDER if folder_id == "none" else folder_id,
        draft=draft,
        voice_id=voice_id,
    )
    return await services.jobs.page(only, descending=order == "desc", limit=limit, cursor=cursor)


async def get_job(request: Request, job_id: str) -> Response:
    """One job: status, progress, stages, attempts, files."""
    # Serialised already: FastAPI would check and write it once more.
    return Response(await services_of(request).jobs.body(job_id), media_type="application/json")


# The address that is asked most: every page and program that waits, again and again.
router.add_api_route(
    "/{job_id}",
    get_job,
    response_model=JobView,
    responses=problems(*_LOOKED_UP),
    route_class_override=PlainRoute,
)


@router.patch("/{job_id}", responses=problems(*_LOOKED_UP, statuses=BODY_STATUSES))
async def change_job(services: ServicesDep, job_id: str, body: JobPatch) -> JobView:
    """Title, star, folder, and the place in the queue of a job that waits."""
    return await services.jobs.change(job_id, body)


@router.post("/{job_id}/cancel", status_code=202, responses=problems(*_LOOKED_UP))
async def cancel_job(services: ServicesDep, job_id: str) -> JobView:
    """Ask for a stop. Idempotent; a running job is final within 30 s."""
    return await services.jobs.cancel(job_id)


@router.post(
    "/{job_id}/retry",
    status_code=202,
    responses=problems(
        *_LOOKED_UP,
        ErrorCode.NOT_READY,
        ErrorCode.QUEUE_FULL,
        ErrorCode.IDEMPOTENCY_CONFLICT,
        ErrorCode.VOICE_NOT_FOUND,
        ErrorCode.AVATAR_NOT_FOUND,
        ErrorCode.FETCH_REFUSED,
        ErrorCode.TOO_LARGE,
        statuses=BODY_STATUSES,
    ),
)
async def retry_job(
    services: ServicesDep,
    response: Response,
    job_id: str,
    body: RetryRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> JobCreated:
    """Make a new job from an ended one; finished stages are reused."""
    created, replayed = await services.jobs.retry(
        job_id, body or RetryRequest(), idempotency_key=idempotency_key
    )
    _tell_created(response, created, replayed=replayed)
    return created


@router.get("/{job_id}/request", responses=problems(*_LOOKED_UP))
async def get_request(services: ServicesDep, job_id: str) -> JobCreate:
    """The request that would make this video again, without its webhook."""
    return await services.library.repeats.request_of(job_id)


@router.get("/{job_id}/report", responses=problems(*_LOOKED_UP, ErrorCode.NOT_READY))
async def get_report(services: ServicesDep, job_id: str) -> QualityReport:
    """What was measured of the finished video."""
    return await services.library.reports.of(job_id)


@router.post(
    "/{job_id}/promote",
    status_code=202,
    responses=problems(
        *_LOOKED_UP,
        ErrorCode.NOT_READY,
        ErrorCode.QUEUE_FULL,
        ErrorCode.IDEMPOTENCY_CONFLICT,
        ErrorCode.ENGINE_NOT_INSTALLED,
        ErrorCode.VOICE_NOT_FOUND,
        ErrorCode.AVATAR_NOT_FOUND,
        ErrorCode.FETCH_REFUSED,
        ErrorCode.TOO_LARGE,
        statuses=BODY_STATUSES,
    ),
)
async def promote_job(
    services: ServicesDep,
    response: Response,
    job_id: str,
    body: PromoteRequest,
    idempotency_key: IdempotencyKey = None,
) -> JobCreated:
    """Make the final video of a draft: another engine, the same speech."""
    created, replayed = await services.library.repeats.promote(job_id, body, idempotency_key=idempotency_key)
    _tell_created(response, created, replayed=replayed)
    return created


@router.delete("/{job_id}", status_code=204, responses=problems(*_LOOKED_UP, ErrorCode.NOT_READY))
async def delete_job(services: ServicesDep, job_id: str) -> Response:
    """Delete an ended job with its files."""
    await services.jobs.delete(job_id)
    return Response(status_code=204)


async def _send(request: Request, file: Download, *, inline: bool) -> Response:
    etag = f'"{file.sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if is_unchanged(request, etag):
        return Response(status_code=304, headers=headers)
    return await send_file(
        file.path,
        media_type=file.media_type,
        hint="Retry the job to make it again.",
        headers=headers,
        file_name=file.file_name,
        inline=inline,
    )


@router.get(
    "/{job_id}/preview",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 204: {}, **problems(*_LOOKED_UP)},
)
async def get_preview(services: ServicesDep, job_id: str) -> Response:
    """A small picture of what is being made, while an engine leaves one; 204 while there is none."""
    # Another one comes in two seconds: nobody keeps it.
    headers = {"Cache-Control": "no-store"}
    picture = await services.jobs.preview(job_id)
    if picture is None:
        return Response(status_code=204, headers=headers)
    return Response(picture, media_type="image/jpeg", headers=headers)


# HEAD: `curl -I` and some players ask for the size first.
@router.head("/{job_id}/result", include_in_schema=False, response_class=FileResponse)
@router.get(
    "/{job_id}/result",
    response_class=FileResponse,
    responses={
        200: {"content": {"video/mp4": {}}},
        206: {"content": {"video/mp4": {}, "multipart/byteranges": {}}},
        304: {},
        **problems(*_LOOKED_UP, ErrorCode.NOT_READY, statuses=(416,)),
    },
)
async def get_result(services: ServicesDep, request: Request, job_id: str, inline: bool = False) -> Response:
    """The finished video. Range requests and ETag work; `inline=1` is for a player in a page."""
    return await _send(request, await services.jobs.result(job_id), inline=inline)


@router.get(
    "/{job_id}/artifacts/{name}",
    response_class=FileResponse,
    responses={
        200: {"content": {kind: {} for kind in ARTIFACT_TYPES}},
        206: {"content": {kind: {} for kind in (*ARTIFACT_TYPES, "multipart/byteranges")}},
        304: {},
        **problems(*_LOOKED_UP, ErrorCode.NOT_READY, statuses=(416,)),
    },
)
async def get_artifact(
    services: ServicesDep, request: Request, job_id: str, name: str, inline: bool = False
) -> Response:
    """One artifact of a job: audio.wav, timings.json, subtitles.srt, subtitles.vtt, thumbnail.jpg, script.json."""
    return await _send(request, await services.jobs.artifact(job_id, name), inline=inline)
