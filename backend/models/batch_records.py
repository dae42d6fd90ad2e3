"""What the store takes and returns of batches and webhooks. Runs in the service process; no I/O.

Times end in `_at` and are ms since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from backend.models.codes import JobStatus


@dataclass(frozen=True)
class BatchRecord:
    """One batch. `items` is what its creation answered: one mapping each with index, job_id and error."""

    seq: int
    batch_id: str
    title: str
    request_sha256: str
    items: tuple[Mapping[str, Any], ...]
    created_at: int

    @property
    def job_ids(self) -> tuple[str, ...]:
        """The jobs that were accepted, in order."""
        return tuple(item["job_id"] for item in self.items if item["job_id"] is not None)


@dataclass(frozen=True)
class BatchTally:
    """How far the jobs of a batch are. Deleted jobs are not counted; `progress_sum` is in percent."""

    counts: Mapping[JobStatus, int]
    progress_sum: float

    @property
    def jobs(self) -> int:
        return sum(self.counts.values())


class DeliveryState(str, Enum):
    """State of one message to one receiver."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class WebhookRecord:
    """A registered receiver. `secret` signs what is sent to it and is shown to nobody."""

    hook_id: str
    url: str
    events: tuple[str, ...]
    secret: str
    created_at: int


@dataclass(frozen=True)
class DeliveryRecord:
    """One message to one receiver. `url` is set when the job itself named the receiver (`hook_id` None)."""

    delivery_id: int
    message_id: str
    hook_id: str | None
    url: str | None
    job_id: str | None
    type: str
    state: DeliveryState
    attempts: int
    due_at: int | None
    last_status: int | None
    last_error: str | None
    created_at: int
    finished_at: int | None


@dataclass(frozen=True)
class Usage:
    """A number of things and the bytes they take."""

    count: int = 0
    size_bytes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.count + other.count, self.size_bytes + other.size_bytes)
