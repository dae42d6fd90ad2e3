"""The export of videos on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.models.job import MAX_ID_CHARS, WireModel

MAX_EXPORTED = 200
ExportPart = Literal["video", "audio", "subtitles", "thumbnail", "provenance"]
VIDEO_ALONE: tuple[ExportPart, ...] = ("video",)


class ExportRequest(WireModel):
    """Body of `POST /api/exports`."""

    job_ids: Annotated[
        list[Annotated[str, Field(max_length=MAX_ID_CHARS)]], Field(min_length=1, max_length=MAX_EXPORTED)
    ]
    include: Annotated[list[ExportPart], Field(min_length=1, max_length=5)] = Field(
        default_factory=lambda: list(VIDEO_ALONE)
    )
