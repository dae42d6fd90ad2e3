"""The project's dictionary and the check of a script, on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from backend.models.job import WireModel
from backend.models.speakers import SPEAKERS, SpeakerName, check_names

SpokenLanguage = Literal["zh", "en", "ja"]

MAX_TERM_CHARS = 60
MAX_READING_CHARS = 200
# Far above MAX_SCRIPT_CHARACTERS of any installation; the setting decides.
MAX_CHECKED_CHARS = 100_000


class DictionaryEntryView(WireModel):
    """A term and how it is read: pinyin with tones, or words to say in its place."""

    term: str
    reading: str
    language: SpokenLanguage
    created_at: str


class DictionaryList(WireModel):
    data: list[DictionaryEntryView]


class DictionaryPut(WireModel):
    """Body of `PUT /api/dictionary/{term}`. Without a language, the script of the term decides."""

    reading: Annotated[str, Field(min_length=1, max_length=MAX_READING_CHARS)]
    language: SpokenLanguage | None = None


class ScriptCheckOrder(WireModel):
    """Body of `POST /api/script/check`."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_CHECKED_CHARS)]
    language: Literal["auto", "zh", "en", "ja"] = "auto"
    voice_id: Annotated[str, Field(max_length=64)] | None = None
    speakers: Annotated[list[SpeakerName], Field(max_length=SPEAKERS)] = Field(default_factory=list)

    @field_validator("speakers")
    @classmethod
    def _none_or_two(cls, value: list[str]) -> list[str]:
        return check_names(value)

    @field_validator("text")
    @classmethod
    def _no_broken_unicode(cls, value: str) -> str:
        """Lone surrogates cannot be sent as UTF-8; NUL ends strings in foreign code."""
        if "\x00" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            raise ValueError("text must be valid Unicode without NUL characters")
        return value


class ScriptDoubt(WireModel):
    """A reading that is a guess. `start`, `end`: its place in the text that was sent."""

    text: str
    start: int
    end: int
    reading: str
    alternatives: list[str]
    reason: Literal["polyphone", "unknown_word", "mixed"]


class ScriptSentence(WireModel):
    """One sentence as it will be said. `pinyin`: its Chinese syllables, with the tones as they are said."""

    index: int
    text: str
    start: int
    end: int
    language: SpokenLanguage
    spoken: str
    pinyin: str
    estimated_s: float
    doubts: list[ScriptDoubt]


class ScriptProblem(WireModel):
    """A mark in the script that cannot be followed as written."""

    code: Literal["mark_limited", "mark_unopened", "mark_unknown"]
    message: str
    start: int
    end: int


class ScriptCheck(WireModel):
    """Answer of `POST /api/script/check`."""

    version: int
    language: SpokenLanguage
    characters: int
    estimated_s: float
    sentences: list[ScriptSentence]
    problems: list[ScriptProblem]
