"""What takes room on the disk, on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.models.job import WireModel

DiskKind = Literal[
    "uploads",
    "voices",
    "avatars",
    "results",
    "intermediates",
    "checkpoints",
    "speech_cache",
    "previews",
    "models",
    "logs",
    "backups",
    "database",
    "work",
]
ReclaimRule = Literal["old_jobs", "unused_uploads", "intermediates", "results", "caches", "database"]


class DiskUse(WireModel):
    kind: DiskKind
    bytes: int
    count: int


class Reclaimable(WireModel):
    rule: ReclaimRule
    bytes: int
    count: int


class DiskLedger(WireModel):
    """Body of `GET /api/system/disk`."""

    free_bytes: int
    total_bytes: int
    used_bytes: int
    budget_bytes: int | None
    kinds: list[DiskUse]
    reclaimable: list[Reclaimable]


class ReclaimRequest(WireModel):
    """Body of `POST /api/system/disk/reclaim`."""

    what: Annotated[list[ReclaimRule], Field(min_length=1, max_length=6)]


class ReclaimReport(WireModel):
    freed_bytes: int
    rules: list[Reclaimable]
