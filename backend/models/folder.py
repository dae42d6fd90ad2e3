"""Folders of the library on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from backend.models.job import WireModel
from backend.models.json_values import check_text

MAX_FOLDER_NAME_CHARS = 100


class FolderPut(WireModel):
    """Body of `POST /api/folders` and `PATCH /api/folders/{id}`."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_FOLDER_NAME_CHARS)]

    @field_validator("name")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        name = " ".join(check_text(value).split())
        if not name or not name.isprintable():
            raise ValueError("the name holds nothing that can be seen, or a control character")
        return name


class FolderView(WireModel):
    folder_id: str
    name: str
    jobs: int
    created_at: str


class FolderList(WireModel):
    data: list[FolderView]
