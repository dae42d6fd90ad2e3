"""`/api/jobs`. HTTP layer."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse

from backend.api.deps import ServicesDep
from backend.models.codes import JobStatus
from backend.models.job import JobCreate, JobCreated, JobPage, JobView, PriorityPatch, RetryRequest

router = APIRouter(prefix="/jobs", tags=["jobs"])

MAX_PAGE = 100


@router.post("", status_code=202)
async def create_job(
    services: ServicesDep,
    response: Response,
    body: JobCreate,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> JobCreated:
    """Accept a job. Once this answers, the job survives a crash of the service."""
    created, replayed = await services.jobs.create(body, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/api/jobs/{created.job_id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return created


@router.get("")
async def list_jobs(
    services: ServicesDep,
    status: JobStatus | None = None,
    engine: Annotated[str | None, Query(max_length=32)] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    order: Literal["asc", "desc"] = "desc",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> JobPage:
    """A page of jobs, newest first unless `order=asc`."""
    return await services.jobs.page(
        status=status, engine=engine, query=q, descending=order == "desc", limit=limit, cursor=cursor
    )


@router.get("/{job_id}")
async def get_job(services: ServicesDep, job_id: str) -> JobView:
    return await services.jobs.get(job_id)


@router.patch("/{job_id}")
async def reprioritise_job(services: ServicesDep, job_id: str, body: PriorityPatch) -> JobView:
    """Move a job in the queue: a higher priority runs earlier."""
    return await services.jobs.set_priority(job_id, body.priority)


@router.post("/{job_id}/cancel", status_code=202)
async def cancel_job(services: ServicesDep, job_id: str) -> JobView:
    """Ask for a stop. Idempotent; a running job is final within 30 s."""
    return await services.jobs.cancel(job_id)


@router.post("/{job_id}/retry", status_code=202)
async def retry_job(
    services: ServicesDep, response: Response, job_id: str, body: RetryRequest | None = None
) -> JobCreated:
    """Make a new job from an ended one; finished stages are reused."""
    created = await services.jobs.retry(job_id, body or RetryRequest())
    response.headers["Location"] = f"/api/jobs/{created.job_id}"
    return created


@router.delete("/{job_id}", status_code=204)
async def delete_job(services: ServicesDep, job_id: str) -> Response:
    """Delete an ended job with its files."""
    await services.jobs.delete(job_id)
    return Response(status_code=204)


def _is_unchanged(request: Request, etag: str) -> bool:
    """RFC 9110 13.1.2: `*` or any listed tag, weak or strong."""
    header = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return header.strip() == "*" or etag in tags


@router.get(
    "/{job_id}/result",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}}}, 206: {"content": {"video/mp4": {}}}, 304: {}},
)
async def get_result(services: ServicesDep, request: Request, job_id: str, inline: bool = False) -> Response:
    """The finished video. Range requests and ETag work; `inline=1` is for a player in a page."""
    result = await services.jobs.result(job_id)
    etag = f'"{result.sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if _is_unchanged(request, etag):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        result.path,
        media_type=result.media_type,
        filename=result.file_name,
        content_disposition_type="inline" if inline else "attachment",
        headers=headers,
    )


@router.get("/{job_id}/artifacts/{name}", response_class=FileResponse)
async def get_artifact(
    services: ServicesDep, request: Request, job_id: str, name: str, inline: bool = False
) -> Response:
    """One artifact of a job: audio.wav, timings.json, subtitles.srt, subtitles.vtt, thumbnail.jpg, script.json."""
    artifact = await services.jobs.artifact(job_id, name)
    etag = f'"{artifact.sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if _is_unchanged(request, etag):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        artifact.path,
        media_type=artifact.media_type,
        filename=artifact.file_name,
        content_disposition_type="inline" if inline else "attachment",
        headers=headers,
    )
