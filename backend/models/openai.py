"""The OpenAI shape of speech on the wire (`/v1`). Pure types, no I/O.

Source: OpenAI's API reference, "Create speech", "List models" and "Errors".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from backend.models.job import WireModel

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


class OpenAISpeechRequest(WireModel):
    """Body of `POST /v1/audio/speech`. What is not listed here (`instructions`) is ignored."""

    model: Annotated[str, Field(min_length=1, max_length=64)]
    input: Annotated[str, Field(min_length=1, max_length=100_000)]
    voice: Annotated[str, Field(min_length=1, max_length=200)]
    response_format: SpeechFormat = "mp3"
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"

    @field_validator("voice", mode="before")
    @classmethod
    def _voice_of_an_object(cls, value: Any) -> Any:
        """OpenAI's clients send voices of one's own as `{"id": …}`."""
        return value.get("id") if isinstance(value, dict) else value

    @field_validator("input", "voice", "model")
    @classmethod
    def _no_broken_unicode(cls, value: str) -> str:
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("holds characters that are not text")
        if not value.strip():
            raise ValueError("is empty")
        return value


class OpenAIModel(WireModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class OpenAIModelList(WireModel):
    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class OpenAIVoice(WireModel):
    id: str
    object: Literal["voice"] = "voice"
    name: str
    language: str
    gender: str | None
    builtin: bool


class OpenAIVoiceList(WireModel):
    object: Literal["list"] = "list"
    data: list[OpenAIVoice]


class OpenAIErrorBody(WireModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(WireModel):
    """What every address below `/v1` answers when it refuses."""

    error: OpenAIErrorBody
