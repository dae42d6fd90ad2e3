"""`/api/voice/clone`, `/api/voices` and `/api/speech/engines`. HTTP layer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import FileResponse

from backend.api.deps import ServicesDep
from backend.api.downloads import send_file
from backend.api.errors import BODY_STATUSES, problems
from backend.api.uploads import chunks_of
from backend.models.codes import ErrorCode
from backend.models.library import (
    MAX_VOICE_NAME_CHARS,
    PreviewRequest,
    SpeechEngineList,
    VoiceCloned,
    VoiceList,
    VoicePatch,
    VoiceView,
)
from backend.services.library_page import MAX_LIBRARY_PAGE

router = APIRouter(tags=["voices"])

MAX_NAME_CHARS = MAX_VOICE_NAME_CHARS
VoiceLanguage = Literal["auto", "zh", "en", "ja"]
LibraryLimit = Annotated[int, Query(ge=1, le=MAX_LIBRARY_PAGE)]
LibraryCursor = Annotated[str | None, Query(max_length=200)]
# For what was uploaded and is never sent as what it claims to be.
OPAQUE = "application/octet-stream"
# Somebody's voice is for whoever asked, and for no cache on the way.
_PRIVATE = {"Cache-Control": "private, no-store"}

_LOOKED_UP = problems(ErrorCode.VOICE_NOT_FOUND)
_SENT = problems(ErrorCode.VOICE_NOT_FOUND, ErrorCode.GONE, statuses=(416,))
_RECORDING: dict[int | str, dict[str, Any]] = {
    200: {"content": {OPAQUE: {}}},
    206: {"content": {OPAQUE: {}, "multipart/byteranges": {}}},
    **_SENT,
}
_REFERENCE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/wav": {}}},
    206: {"content": {"audio/wav": {}, "multipart/byteranges": {}}},
    **_SENT,
}


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
    language: Annotated[VoiceLanguage, Form(description="What the speaker speaks")] = "auto",
) -> VoiceCloned:
    """Enrol a voice: check the sample, keep it, and match the voice as well as can be done at once."""
    return await services.enrolment.clone(
        chunks_of(audio_file),
        name=name or (audio_file.filename or "")[:MAX_NAME_CHARS],
        consent=consent,
        language=language,
    )


@router.get("/voices")
async def list_voices(
    services: ServicesDep, limit: LibraryLimit = MAX_LIBRARY_PAGE, cursor: LibraryCursor = None
) -> VoiceList:
    """Built-in voices first, then the caller's own, newest first."""
    return await services.voices.page(limit=limit, cursor=cursor)


@router.get("/voices/{voice_id}", responses=_LOOKED_UP)
async def get_voice(services: ServicesDep, voice_id: str) -> VoiceView:
    return await services.voices.get(voice_id)


@router.patch("/voices/{voice_id}", responses=problems(ErrorCode.VOICE_NOT_FOUND, statuses=BODY_STATUSES))
async def change_voice(services: ServicesDep, voice_id: str, body: VoicePatch) -> VoiceView:
    """Rename a voice of one's own, or note something about it."""
    return await services.voices.change(voice_id, body)


@router.delete("/voices/{voice_id}", status_code=204, responses=_LOOKED_UP)
async def delete_voice(services: ServicesDep, voice_id: str) -> Response:
    await services.voices.delete(voice_id)
    return Response(status_code=204)


@router.post(
    "/voices/{voice_id}/enrol",
    responses=problems(
        ErrorCode.VOICE_NOT_FOUND,
        ErrorCode.GONE,
        ErrorCode.AUDIO_UNREADABLE,
        ErrorCode.VOICE_TOO_SHORT,
        ErrorCode.TIMEOUT,
        ErrorCode.ENGINE_UNAVAILABLE,
    ),
)
async def enrol_voice(services: ServicesDep, voice_id: str) -> VoiceView:
    """Enrol a voice of one's own again from its original."""
    return await services.enrolment.enrol(voice_id)


@router.get("/voices/{voice_id}/sample", response_class=FileResponse, responses=_RECORDING)
async def get_sample(services: ServicesDep, voice_id: str) -> Response:
    """The original, to be saved: it is whatever was uploaded and is never shown as a page."""
    sound = await services.voices.sound(voice_id, is_reference=False)
    return await send_file(
        sound.path,
        media_type=OPAQUE,
        hint="Upload the sample again.",
        headers=_PRIVATE,
        file_name=sound.file_name,
    )


@router.get("/voices/{voice_id}/reference", response_class=FileResponse, responses=_REFERENCE)
async def get_reference(services: ServicesDep, voice_id: str) -> Response:
    """The extracted speech that engines learn from."""
    sound = await services.voices.sound(voice_id, is_reference=True)
    return await send_file(
        sound.path,
        media_type="audio/wav",
        hint="Enrol the voice again.",
        headers=_PRIVATE,
        file_name=sound.file_name,
        inline=True,
    )


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
    path = await services.speaker.preview(voice_id, body or PreviewRequest.model_validate({}))
    return await send_file(
        path, media_type="audio/wav", hint="Ask once more.", headers={"Cache-Control": "no-store"}
    )


@router.get("/speech/engines")
async def list_speech_engines(services: ServicesDep) -> SpeechEngineList:
    """Every speech engine: what it can do, and whether it can work now."""
    return SpeechEngineList(data=await services.speech.views())
