"""Server-sent events: `/api/events` and `/api/jobs/{id}/events`. HTTP layer.

Source of the format: WHATWG HTML, "Server-sent events". Stored events carry their row id, so a client that
reconnects with Last-Event-ID misses nothing; progress ticks carry none and may be lost.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from backend.api.deps import ServicesDep
from backend.api.errors import problems
from backend.models.codes import ErrorCode
from backend.services.event_stream import StreamEvent

router = APIRouter(tags=["events"])

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# SQLite's largest integer; a larger id can only be made up.
_MAX_EVENT_ID = 2**63 - 1


def encode(event: StreamEvent | None) -> bytes:
    """One event as bytes; None is the keep-alive comment. JSON has no raw newline, so no field can be forged."""
    if event is None:
        return b": ping\n\n"
    data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
    head = f"id: {event.event_id}\n" if event.event_id is not None else ""
    return f"{head}event: {event.type}\ndata: {data}\n\n".encode()


def _last_id(header: str | None) -> int | None:
    """The id a client saw last, or None when it is absent or nonsense."""
    if header is None or not header.isascii() or not header.isdigit():
        return None
    number = int(header)
    return number if number <= _MAX_EVENT_ID else None


async def _bytes_of(events: AsyncIterator[StreamEvent | None]) -> AsyncIterator[bytes]:
    async for event in events:
        yield encode(event)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(ErrorCode.RATE_LIMITED)},
)
async def all_events(
    services: ServicesDep, last_event_id: Annotated[str | None, Header(max_length=32)] = None
) -> StreamingResponse:
    """Events of all jobs."""
    stream = await services.events.open(None, _last_id(last_event_id))
    return StreamingResponse(_bytes_of(stream), media_type="text/event-stream", headers=_HEADERS)


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}},
        **problems(ErrorCode.JOB_NOT_FOUND, ErrorCode.GONE, ErrorCode.RATE_LIMITED),
    },
)
async def job_events(
    services: ServicesDep, job_id: str, last_event_id: Annotated[str | None, Header(max_length=32)] = None
) -> StreamingResponse:
    """Events of one job; the stream ends after the job's last event."""
    stream = await services.events.open(job_id, _last_id(last_event_id))
    return StreamingResponse(_bytes_of(stream), media_type="text/event-stream", headers=_HEADERS)
