"""`/v1`: speech in OpenAI's shape, so that programs written for it speak with our voices. HTTP layer."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from backend.api.deps import ServicesDep
from backend.api.errors import openai_problems
from backend.models.openai import OpenAIModel, OpenAIModelList, OpenAISpeechRequest, OpenAIVoiceList

router = APIRouter(
    prefix="/v1", tags=["openai"], responses=openai_problems(400, 401, 403, 413, 500, 503, 507)
)

_SOUND = {
    200: {
        "content": {
            kind: {}
            for kind in (
                *("audio/mpeg", "audio/opus", "audio/aac", "audio/flac", "audio/wav", "audio/pcm"),
                "text/event-stream",
            )
        }
    },
    **openai_problems(404, 408, 429, 504),
}


@router.post("/audio/speech", response_class=StreamingResponse, responses=_SOUND)
async def create_speech(services: ServicesDep, body: OpenAISpeechRequest) -> StreamingResponse:
    """Speak a text; the answer begins when the first sentences are spoken."""
    spoken = await services.openai.speak(body)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Speech-Engine": spoken.engine}
    if body.stream_format == "sse":
        return StreamingResponse(_events(spoken.chunks), media_type="text/event-stream", headers=headers)
    return StreamingResponse(spoken.chunks, media_type=spoken.media_type, headers=headers)


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """OpenAI's `speech.audio.delta` and `speech.audio.done`; there are no tokens here to be counted."""
    async for chunk in chunks:
        yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode("ascii")})
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(data: dict[str, object]) -> bytes:
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


@router.get("/models")
async def list_openai_models(services: ServicesDep) -> OpenAIModelList:
    """`auto`, and the speech engines that can work now."""
    return OpenAIModelList(data=await services.openai.models())


@router.get("/models/{model_name}", responses=openai_problems(404))
async def get_openai_model(services: ServicesDep, model_name: str) -> OpenAIModel:
    return await services.openai.model(model_name)


@router.get("/voices")
async def list_openai_voices(services: ServicesDep) -> OpenAIVoiceList:
    """Built-in voices first, then one's own."""
    return OpenAIVoiceList(data=await services.openai.voices())
