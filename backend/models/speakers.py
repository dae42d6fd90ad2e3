"""Two people in one video, on the wire: what they are called, who speaks for them, where their faces are. Pure types."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# A conversation has two sides; one speaker is a job without `speakers`.
SPEAKERS = 2
# It stands before each turn in the script and in the subtitles, where a line holds 42 letters.
MAX_NAME_CHARS = 32
# What ends a name at the beginning of a line of the script.
COLONS = ":："
# Fractions that were cut to a few decimals may add up to a little more than the whole picture.
_ROUNDING = 0.001

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Extent = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]


class FaceBox(BaseModel):
    """Where a face is: fractions of the upright portrait, as `faces` of a portrait gives them."""

    model_config = ConfigDict(extra="ignore")

    x: Fraction
    y: Fraction
    w: Extent
    h: Extent

    @model_validator(mode="after")
    def _inside(self) -> FaceBox:
        if self.x + self.w > 1 + _ROUNDING or self.y + self.h > 1 + _ROUNDING:
            raise ValueError("the box reaches beyond the picture; x, y, w and h are fractions of it")
        return self


def _named(value: str) -> str:
    if any(char in COLONS for char in value):
        raise ValueError("a name may hold no colon: one ends it in the script")
    if not all(char.isprintable() for char in value):
        raise ValueError("a name may hold no line break, tab or control character")
    if not any(char.isalnum() for char in value):
        raise ValueError("a name needs a letter or a digit")
    return value


def _without_edges(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


# What can begin a line of the script.
SpeakerName = Annotated[
    str,
    BeforeValidator(_without_edges),
    Field(min_length=1, max_length=MAX_NAME_CHARS),
    AfterValidator(_named),
]


class Speaker(BaseModel):
    """One of two people. Without `face` the faces are taken from left to right."""

    model_config = ConfigDict(extra="ignore")

    name: SpeakerName
    voice_id: Annotated[str, Field(max_length=64)]
    face: FaceBox | None = None


def folded(name: str) -> str:
    """A name as it is compared: in any case, in any width (Ａ is A), whatever white space is in it."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def check_pair(speakers: list[Speaker]) -> list[Speaker]:
    """Raise ValueError unless there are none or two, with names that can be told apart."""
    check_names([speaker.name for speaker in speakers])
    return speakers


def check_names(names: list[str]) -> list[str]:
    """Raise ValueError unless there are none or two that can be told apart."""
    if len(names) not in (0, SPEAKERS):
        raise ValueError(f"give exactly two speakers, or none for one voice; these are {len(names)}")
    if len({folded(name) for name in names}) < len(names):
        raise ValueError("the two speakers need different names; capitals make no difference")
    return names
