"""`/api/voice/clone` and `/api/voices`. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.responses import FileResponse

from backend.api.deps import ServicesDep
from backend.api.uploads import chunks_of
from backend.models.library import PreviewRequest, VoiceCloned, VoiceList, VoiceView

router = APIRouter(tags=["voices"])

MAX_NAME_CHARS = 100


@router.post("/voice/clone")
async def clone_voice(
    services: ServicesDep,
    audio_file: Annotated[UploadFile, File(description="Any audio or video file with one voice")],
    name: Annotated[str, Form(max_length=MAX_NAME_CHARS)] = "",
    consent: Annotated[bool, Form(description="The speaker allows this use")] = False,
) -> VoiceCloned:
    """Store a voice sample after checking that it can be read and holds enough speech."""
    return await services.voices.clone(
        chunks_of(audio_file), name=name or (audio_file.filename or ""), consent=consent
    )


@router.get("/voices")
async def list_voices(services: ServicesDep) -> VoiceList:
    """Built-in voices first, then the caller's own, newest first."""
    return VoiceList(data=await services.voices.all())


@router.get("/voices/{voice_id}")
async def get_voice(services: ServicesDep, voice_id: str) -> VoiceView:
    return await services.voices.get(voice_id)


@router.delete("/voices/{voice_id}", status_code=204)
async def delete_voice(services: ServicesDep, voice_id: str) -> Response:
    await services.voices.delete(voice_id)
    return Response(status_code=204)


@router.post(
    "/voices/{voice_id}/preview",
    response_class=FileResponse,
    responses={200: {"content": {"audio/wav": {}}}},
)
async def preview_voice(
    services: ServicesDep, voice_id: str, body: PreviewRequest | None = None
) -> FileResponse:
    """A short WAV in this voice."""
    path = await services.voices.preview(voice_id, body or PreviewRequest.model_validate({}))
    return FileResponse(path, media_type="audio/wav", headers={"Cache-Control": "no-store"})
