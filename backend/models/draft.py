"""Drafts on the wire: what a page keeps of unfinished work. Pure types, no I/O."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field, field_validator

from backend.models.job import WireModel
from backend.models.json_values import check_json

# The longest script four times over; a page saves after every pause in typing.
MAX_DRAFT_CHARS = 200_000
DRAFT_NAME_PATTERN = r"^[a-z0-9-]{1,40}$"


class DraftPut(WireModel):
    """Body of `PUT /api/drafts/{name}`. `revision`: the one that is replaced; null when there is none yet."""

    body: dict[str, Any]
    revision: Annotated[int, Field(ge=1, le=2**53)] | None = None

    @field_validator("body", mode="before")
    @classmethod
    def _can_be_kept(cls, value: Any) -> Any:
        return check_json(value, what="body")

    @field_validator("body")
    @classmethod
    def _bounded(cls, value: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(value, ensure_ascii=False)) > MAX_DRAFT_CHARS:
            raise ValueError(f"body may hold at most {MAX_DRAFT_CHARS} characters as JSON")
        return value


class DraftView(WireModel):
    name: str
    body: dict[str, Any]
    revision: int
    saved_at: str


class DraftEntry(WireModel):
    """A draft in the list: its body may be long, and is read by name."""

    name: str
    revision: int
    saved_at: str


class DraftList(WireModel):
    data: list[DraftEntry]
