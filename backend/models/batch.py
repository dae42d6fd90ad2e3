"""Batches on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from backend.models.codes import JobStatus
from backend.models.job import MAX_TITLE_CHARS, ErrorView, WireModel
from backend.models.json_values import MAX_JSON_DEPTH

# A day and a night of drafts on a small PC; more is a second batch.
MAX_ITEMS = 200
# An item holds `metadata` one level down, beside which nothing is nested deeply.
_MAX_DEPTH = MAX_JSON_DEPTH + 8

Item = dict[str, Any]


class BatchCreate(WireModel):
    """Body of `POST /api/batches`. Items are read one by one, so a wrong one does not refuse the whole."""

    title: Annotated[str, Field(max_length=MAX_TITLE_CHARS)] = ""
    defaults: Item = Field(default_factory=dict)
    items: Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS)]

    @field_validator("defaults", "items")
    @classmethod
    def _not_nested_too_deeply(cls, value: Any) -> Any:
        """JSON writers give up at a few hundred levels."""
        waiting = [(value, 0)]
        while waiting:
            part, depth = waiting.pop()
            if depth > _MAX_DEPTH:
                raise ValueError(f"values may be nested at most {_MAX_DEPTH} levels deep")
            if isinstance(part, dict):
                waiting += [(inner, depth + 1) for inner in part.values()]
            elif isinstance(part, list):
                waiting += [(inner, depth + 1) for inner in part]
        return value

    @field_validator("title")
    @classmethod
    def _can_be_stored(cls, value: str) -> str:
        if "\x00" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            raise ValueError("text must be valid Unicode without NUL characters")
        return value


class BatchItemCreated(WireModel):
    """What became of one item: a job, or the reason why not."""

    index: int
    job_id: str | None
    error: ErrorView | None


class BatchCreated(WireModel):
    """202 answer of `POST /api/batches`."""

    batch_id: str
    items: list[BatchItemCreated]


class BatchCounts(WireModel):
    """How many items have which status; `refused` ones never were jobs, `deleted` ones are no longer."""

    queued: int
    processing: int
    fallback: int
    completed: int
    failed: int
    cancelling: int
    cancelled: int
    refused: int
    deleted: int


class BatchSummary(WireModel):
    batch_id: str
    title: str
    total: int
    counts: BatchCounts
    progress: Annotated[int, Field(ge=0, le=100)]
    finished: bool
    created_at: str


class BatchItemView(WireModel):
    index: int
    job_id: str | None
    title: str | None
    status: JobStatus | None
    progress: Annotated[int, Field(ge=0, le=100)] | None
    error: ErrorView | None


class BatchView(BatchSummary):
    """Body of `GET /api/batches/{batch_id}`."""

    items: list[BatchItemView]


class BatchPage(WireModel):
    data: list[BatchSummary]
    has_more: bool
    next_cursor: str | None
