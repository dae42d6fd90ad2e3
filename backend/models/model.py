"""Downloadable models on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Literal

from backend.models.codes import ErrorCode
from backend.models.job import WireModel
from backend.models.model_catalogue import ModelPurpose

ModelState = Literal["absent", "downloading", "paused", "verifying", "ready", "damaged", "failed"]
ModelFileState = Literal["absent", "partial", "unchecked", "ready", "damaged"]
# Against what a file was checked: a hash that the catalogue pins, or the one that the hub stated.
VerifiedBy = Literal["pinned", "hub"]


class ModelFileView(WireModel):
    path: str
    bytes: int
    sha256: str | None
    state: ModelFileState
    verified_by: VerifiedBy | None = None
    source: str | None = None


class ModelError(WireModel):
    """Why a model could not be fetched, or, while it is still being tried, what was in the way last."""

    code: ErrorCode
    detail: str
    hint: str | None = None


class ModelView(WireModel):
    id: str
    name_en: str
    name_zh: str
    purpose: ModelPurpose
    engine: str
    licence: str
    licence_url: str
    note: str
    # Models that must be here too; downloading this one fetches them as well.
    requires: list[str]
    # Everything is here: its own files and those of the required models.
    usable: bool
    # What one download of it would still bring, required models included.
    to_fetch_bytes: int
    bytes: int
    state: ModelState
    waiting: bool
    downloaded_bytes: int
    speed_bytes_s: float | None
    eta_s: float | None
    source: str | None
    files: list[ModelFileView]
    error: ModelError | None = None


class ModelList(WireModel):
    """Body of `GET /api/models`. `free_bytes`: what the disk of the models has left."""

    data: list[ModelView]
    free_bytes: int
    reserve_bytes: int
    offline: bool
