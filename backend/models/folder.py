"""Folders of the library on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from backend.models.job import WireModel
from backend.models.json_values import check_name

MAX_FOLDER_NAME_CHARS = 100


class FolderPut(WireModel):
    """Body of `POST /api/folders` and `PATCH /api/folders/{id}`."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_FOLDER_NAME_CHARS), AfterValidator(check_name)]


class FolderView(WireModel):
    folder_id: str
    name: str
    jobs: int
    created_at: str


class FolderList(WireModel):
    data: list[FolderView]
