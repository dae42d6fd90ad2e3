"""`/api/voice/clone` and `/api/voices`. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.responses import FileResponse

from backend.api.deps import ServicesDep
from backend.api.downloads import send_file
from backend.api.errors import BODY_STATUSES, problems
from backend.api.uploads import chunks_of
from backend.models.codes import ErrorCode
from backend.models.library import PreviewRequest, VoiceCloned, VoiceList, VoiceView

router = APIRouter(tags=["voices"])

MAX_NAME_CHARS = 100

_LOOKED_UP = problems(ErrorCode.VOICE_NOT_FOUND)


@router.post(
    "/voice/clone",
    responses=problems(
        ErrorCode.AUDIO_UNREADABLE,
        ErrorCode.VOICE_TOO_SHORT,
        ErrorCode.TIMEOUT,
        ErrorCode.ENGINE_UNAVAILABLE,
        statuses=BODY_STATUSES,
    ),
)
async def clone_voice(
    services: ServicesDep,
    audio_file: Annotated[UploadFile, File(description="Any audio or video file with one voice")],
    name: Annotated[str, Form(max_length=MAX_NAME_CHARS)] = "",
    consent: Annotated[bool, Form(description="The speaker allows this use")] = False,
) -> VoiceCloned:
    """Store a voice sample after checking that it can be read and holds enough speech."""
    return await services.voices.clone(
        chunks_of(audio_file), name=name or (audio_file.filename or "")[:MAX_NAME_CHARS], consent=consent
    )


@router.get("/voices")
async def list_voices(services: ServicesDep) -> VoiceList:
    """Built-in voices first, then the caller's own, newest first."""
    return VoiceList(data=await services.voices.all())


@router.get("/voices/{voice_id}", responses=_LOOKED_UP)
async def get_voice(services: ServicesDep, voice_id: str) -> VoiceView:
    return await services.voices.get(voice_id)


@router.delete("/voices/{voice_id}", status_code=204, responses=_LOOKED_UP)
async def delete_voice(services: ServicesDep, voice_id: str) -> Response:
    await services.voices.delete(voice_id)
    return Response(status_code=204)


@router.post(
    "/voices/{voice_id}/preview",
    response_class=FileResponse,
    responses={
        200: {"content": {"audio/wav": {}}},
        206: {"content": {"audio/wav": {}, "multipart/byteranges": {}}},
        **problems(
            ErrorCode.VOICE_NOT_FOUND,
            ErrorCode.GONE,
            ErrorCode.TIMEOUT,
            ErrorCode.ENGINE_UNAVAILABLE,
            statuses=(*BODY_STATUSES, 416),
        ),
    },
)
async def preview_voice(services: ServicesDep, voice_id: str, body: PreviewRequest | None = None) -> Response:
    """A short WAV in this voice."""
    path = await services.voices.preview(voice_id, body or PreviewRequest.model_validate({}))
    return await send_file(
        path, media_type="audio/wav", hint="Ask once more.", headers={"Cache-Control": "no-store"}
    )
