"""What callers may do with webhooks. Runs in the service process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.models.batch_records import DeliveryRecord, WebhookRecord
from backend.models.job import WEBHOOK_EVENTS, WebhookTarget
from backend.models.webhook import (
    DeliveryList,
    DeliveryView,
    WebhookCreated,
    WebhookList,
    WebhookSecret,
    WebhookView,
)
from backend.services.job_view import wire_view
from backend.services.webhook_outbox import WebhookOutbox
from backend.services.webhook_sender import Sender, new_secret
from backend.storage.settings_kv import SettingsRepository
from backend.storage.store import Store
from backend.storage.webhooks import hook_not_found, new_message_id
from backend.utils.clock import iso_from_ms
from backend.utils.ids import is_id, new_id

# The secret for jobs that name their receiver themselves.
SECRET_FLAG = "webhook_secret"  # noqa: S105 - the name of a flag


class JobWebhookSecret:
    """The one secret for all receivers that jobs name; made when it is first needed, replaced on request."""

    def __init__(self, flags: SettingsRepository) -> None:
        self._flags = flags

    async def for_jobs(self) -> str:
        return str((await self._flags.get_or_set(SECRET_FLAG, {"secret": new_secret()}))["secret"])

    async def replace(self) -> str:
        """A new secret; the old one signs nothing from now on."""
        secret = new_secret()
        await self._flags.set(SECRET_FLAG, {"secret": secret})
        return secret


class WebhookService:
    """Register, list, test, forget, and look into the log."""

    def __init__(
        self, *, store: Store, sender: Sender, outbox: WebhookOutbox, secret: JobWebhookSecret
    ) -> None:
        self._store = store
        self._sender = sender
        self._outbox = outbox
        self._secret = secret

    async def create(self, request: WebhookTarget) -> WebhookCreated:
        """Register a receiver; the answer alone holds its secret. Raises `fetch_refused`, `rate_limited`."""
        self._sender.check(request.url)
        events = [event for event in WEBHOOK_EVENTS if event in request.events]
        record = await self._store.webhooks.create(new_id("hook"), request.url, events, new_secret())
        return WebhookCreated(**_hook_view(record).model_dump(), secret=record.secret)

    async def all(self) -> WebhookList:
        return WebhookList(data=[_hook_view(record) for record in await self._store.webhooks.list_all()])

    async def get(self, hook_id: str) -> WebhookView:
        return _hook_view(await self._hook(hook_id))

    async def _hook(self, hook_id: str) -> WebhookRecord:
        if not is_id(hook_id, "hook"):
            raise hook_not_found("of that id")
        return await self._store.webhooks.get(hook_id)

    async def delete(self, hook_id: str) -> None:
        """Forget a receiver; what it was still owed goes with it."""
        await self._hook(hook_id)
        await self._store.webhooks.delete(hook_id)

    async def test(self, hook_id: str) -> DeliveryView:
        """Send one test message now and tell what came of it. It is not repeated."""
        await self._hook(hook_id)
        delivery = await self._store.webhooks.add_test(hook_id, new_message_id())
        closed = await self._outbox.attempt(delivery)
        if closed is None:
            raise hook_not_found(hook_id)
        return _delivery_view(closed)

    async def deliveries(self, hook_id: str, *, limit: int) -> DeliveryList:
        """The newest messages to a registered receiver."""
        await self._hook(hook_id)
        found = await self._store.webhooks.log_of_hook(hook_id, limit=limit)
        return DeliveryList(data=[_delivery_view(record) for record in found])

    async def deliveries_of_job(self, job_id: str) -> DeliveryList:
        """The messages about a job, to registered receivers and to its own. Raises `job_not_found`."""
        await self._store.jobs.get(job_id)
        found = await self._store.webhooks.log_of_job(job_id)
        return DeliveryList(data=[_delivery_view(record) for record in found])

    async def replace_job_secret(self) -> WebhookSecret:
        """A new secret for the receivers that jobs name; shown here and nowhere else."""
        return WebhookSecret(secret=await self._secret.replace())


async def delivery_data(store: Store, delivery: DeliveryRecord) -> Mapping[str, Any]:
    """The `data` of a message: the job as `GET /api/jobs/{id}` shows it. Raises `job_not_found`."""
    if delivery.job_id is None:
        return {"hook_id": delivery.hook_id}
    return wire_view(await store.jobs.get_view(delivery.job_id)).model_dump(mode="json")


def _hook_view(record: WebhookRecord) -> WebhookView:
    return WebhookView.model_validate(
        {
            "hook_id": record.hook_id,
            "url": record.url,
            "events": list(record.events),
            "created_at": iso_from_ms(record.created_at),
        }
    )


def _delivery_view(record: DeliveryRecord) -> DeliveryView:
    return DeliveryView.model_validate(
        {
            "webhook_id": record.message_id,
            "hook_id": record.hook_id,
            "job_id": record.job_id,
            "type": record.type,
            "status": record.state,
            "attempts": record.attempts,
            "last_status": record.last_status,
            "last_error": record.last_error,
            "created_at": iso_from_ms(record.created_at),
            "next_attempt_at": None if record.due_at is None else iso_from_ms(record.due_at),
            "finished_at": None if record.finished_at is None else iso_from_ms(record.finished_at),
        }
    )
