"""`/api/script`: a text about a topic, without a job. HTTP layer.

The format of the stream is that of `/api/events`: WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, problems
from backend.models.codes import ErrorCode
from backend.models.dictionary import ScriptCheck, ScriptCheckOrder
from backend.models.script import ScriptModelList, ScriptOrder, ScriptText
from backend.services.script_requests import ScriptEvent

router = APIRouter(prefix="/script", tags=["script"])

_STREAM = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# How soon it is noticed that whoever asked for a whole text has hung up.
_LOOK_EVERY_S = 0.25
# nginx's number for a caller that went away; nobody reads it.
_CLIENT_CLOSED_REQUEST = 499


@router.post(
    "",
    response_model=ScriptText,
    responses={
        200: {"content": {_STREAM: {}}},
        **problems(
            ErrorCode.SCRIPT_MODEL_MISSING,
            ErrorCode.SCRIPT_FAILED,
            ErrorCode.RATE_LIMITED,
            statuses=BODY_STATUSES,
        ),
    },
)
async def write_script(services: ServicesDep, request: Request, body: ScriptOrder) -> object:
    """Write a text. With `Accept: text/event-stream` it comes while it is written."""
    if _wants_stream(request.headers.get("accept", "")):
        events = await services.scripts.open(body)
        return StreamingResponse(_bytes_of(events), media_type=_STREAM, headers=_HEADERS)
    writing = asyncio.ensure_future(services.scripts.write(body))
    try:
        while not writing.done():
            await asyncio.wait({writing}, timeout=_LOOK_EVERY_S)
            if not writing.done() and await request.is_disconnected():
                return Response(status_code=_CLIENT_CLOSED_REQUEST)
        return writing.result()
    finally:
        if not writing.done():
            writing.cancel()
            await asyncio.wait({writing})


@router.post(
    "/check",
    responses=problems(
        ErrorCode.VOICE_NOT_FOUND, ErrorCode.TIMEOUT, ErrorCode.ENGINE_UNAVAILABLE, statuses=BODY_STATUSES
    ),
)
async def check_script(services: ServicesDep, body: ScriptCheckOrder) -> ScriptCheck:
    """What will be said, sentence by sentence, with doubtful readings marked."""
    return await services.texts.check.check(body)


@router.get("/models")
async def list_script_models(services: ServicesDep) -> ScriptModelList:
    """Models that can write, and what to do about those that cannot yet."""
    return await services.scripts.models()


def _wants_stream(accept: str) -> bool:
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return _STREAM in kinds


async def _bytes_of(events: AsyncIterator[ScriptEvent | None]) -> AsyncIterator[bytes]:
    """JSON has no raw newline, so no field can be forged."""
    async for event in events:
        if event is None:
            yield b": ping\n\n"
            continue
        data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
        yield f"event: {event.type}\ndata: {data}\n\n".encode()
