"""Writing a script from a topic, on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from backend.models.job import MAX_STYLE_CHARS, WireModel
from backend.models.speakers import SPEAKERS, SpeakerName, check_names

ScriptLanguage = Literal["auto", "zh", "en", "ja"]
ScriptSource = Literal["ollama", "lmstudio", "llamacpp", "custom", "local"]

# A page of notes. What is longer is a text already and can be spoken as it is.
MAX_TOPIC_CHARS = 4000
MAX_MODEL_CHARS = 200


class ScriptOrder(WireModel):
    """Body of `POST /api/script`. `seconds` is how long the text shall take when it is spoken."""

    topic: Annotated[str, Field(min_length=1, max_length=MAX_TOPIC_CHARS)]
    language: ScriptLanguage = "auto"
    seconds: Annotated[int, Field(ge=5, le=600)] = 30
    style: Annotated[str, Field(max_length=MAX_STYLE_CHARS)] = ""
    model: Annotated[str, Field(max_length=MAX_MODEL_CHARS)] | None = None
    speakers: Annotated[list[SpeakerName], Field(max_length=SPEAKERS)] = Field(default_factory=list)

    @field_validator("topic", "style", "model")
    @classmethod
    def _no_broken_unicode(cls, value: str | None) -> str | None:
        """Lone surrogates cannot be sent as UTF-8; NUL ends strings in foreign code."""
        if value is not None and ("\x00" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value)):
            raise ValueError("text must be valid Unicode without NUL characters")
        return value

    @field_validator("speakers")
    @classmethod
    def _none_or_two(cls, value: list[str]) -> list[str]:
        return check_names(value)

    @field_validator("topic")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not any(char.isalnum() for char in value):
            raise ValueError("give a topic to write about")
        return value


class ScriptText(WireModel):
    """A text that was written. `estimated_s` is how long it takes to speak at normal speed."""

    text: str
    model: str
    source: ScriptSource
    language: Literal["zh", "en", "ja"]
    characters: int
    estimated_s: float


class ScriptModelView(WireModel):
    """A model that writes, or could when `fix` is done."""

    id: str
    source: ScriptSource
    model: str
    ready: bool
    reason: str | None = None
    fix: str | None = None


class ScriptModelList(WireModel):
    """`chosen` is the id of the model that writes when none is named."""

    data: list[ScriptModelView]
    chosen: str | None
