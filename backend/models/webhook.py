"""Webhooks on the wire. Pure types, no I/O."""

from __future__ import annotations

from typing import Literal

from backend.models.batch_records import DeliveryState
from backend.models.job import WebhookEvent, WireModel


class WebhookView(WireModel):
    hook_id: str
    url: str
    events: list[WebhookEvent]
    created_at: str


class WebhookCreated(WebhookView):
    """Answer of `POST /api/webhooks`: the only one that holds the secret."""

    secret: str


class WebhookList(WireModel):
    data: list[WebhookView]


class WebhookSecret(WireModel):
    """Answer of `POST /api/webhooks/secret`."""

    secret: str


class DeliveryView(WireModel):
    """One message to one receiver."""

    webhook_id: str
    hook_id: str | None
    job_id: str | None
    type: Literal["job.completed", "job.failed", "job.cancelled", "webhook.test"]
    status: DeliveryState
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: str
    next_attempt_at: str | None
    finished_at: str | None


class DeliveryList(WireModel):
    data: list[DeliveryView]
