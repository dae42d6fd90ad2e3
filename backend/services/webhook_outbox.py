"""Sends what receivers are owed, again and again until they take it. Runs in the service process, as one task.

The rows are the outbox: written with the event they tell of, taken up here when due, closed after each attempt. So a
message survives a crash at any moment; the receiver may see it twice and knows it by its id.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from backend.models.batch_records import DeliveryRecord, DeliveryState
from backend.models.codes import ErrorCode
from backend.models.errors import ProductError, UnknownId
from backend.models.records import TERMINAL_EVENTS, NewEvent
from backend.services.webhook_sender import Message, Sender, Sent
from backend.storage.webhooks import WebhooksRepository
from backend.utils.clock import Clock, iso_from_ms
from backend.utils.logger import app_logger

# After the first attempt, s: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h. Then the message is given up.
RETRY_AFTER_S = (5, 300, 1_800, 7_200, 18_000, 36_000)
# Receivers that are sent to at the same time; each gets one message at a time. Enough that a few that take their
# whole 15 s do not hold up the others.
MAX_IN_FLIGHT = 16
# Even without a wake-up the rows are looked at this often.
POLL_S = 30.0
# A database that is busy is asked again after this pause.
STORE_RETRY_S = 2.0

DataOf = Callable[[DeliveryRecord], Awaitable[Mapping[str, Any]]]


class Secrets(Protocol):
    """Who knows the secret for jobs that name their receiver themselves."""

    async def for_jobs(self) -> str: ...


class WebhookOutbox:
    """The background task. `data_of` gives the `data` of a message: the job as the API shows it."""

    def __init__(
        self,
        *,
        store: WebhooksRepository,
        sender: Sender,
        secrets: Secrets,
        data_of: DataOf,
        clock: Clock,
        on_death: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._sender = sender
        self._secrets = secrets
        self._data_of = data_of
        self._clock = clock
        self._on_death = on_death
        self._wake = asyncio.Event()
        self._stopping = False
        self._loop_task: asyncio.Task[None] | None = None
        self._in_flight: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Begin to send, also what an earlier boot left. Idempotent."""
        if self._loop_task is None:
            self._stopping = False
            self._loop_task = asyncio.create_task(self._loop(), name="webhook-outbox")
            self._loop_task.add_done_callback(self._watch)

    async def stop(self) -> None:
        """End; what was under way stays owed. Idempotent."""
        # Not by the cancel alone: before Python 3.12 `wait_for` loses one that meets the event it waits for.
        self._stopping = True
        loop, self._loop_task = self._loop_task, None
        tasks = [*([loop] if loop else []), *self._in_flight.values()]
        self._in_flight.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def on_events(self, events: tuple[NewEvent, ...]) -> None:
        """Rows were committed: the end of a job may owe somebody a message."""
        if any(event.type in TERMINAL_EVENTS for event in events):
            self.wake()

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def _watch(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            app_logger.critical("%s died", task.get_name(), exc_info=error)
            self._on_death(error)

    async def _loop(self) -> None:
        while not self._stopping:
            # Cleared before the look: what comes during it sets the event again.
            self._wake.clear()
            try:
                await self._begin_what_is_due()
                delay_s = await self._rest_s()
            except ProductError as error:
                app_logger.error("the webhooks cannot be read: %s", error.detail)
                delay_s = STORE_RETRY_S
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=delay_s)
            except (TimeoutError, asyncio.TimeoutError):
                continue

    async def _begin_what_is_due(self) -> None:
        free = MAX_IN_FLIGHT - len(self._in_flight)
        if free <= 0:
            return
        for delivery in await self._store.due(besides=tuple(self._in_flight), limit=free):
            receiver = delivery.hook_id or delivery.url or ""
            task = asyncio.create_task(self._send_one(receiver, delivery), name="webhook-delivery")
            self._in_flight[receiver] = task
            task.add_done_callback(self._watch)

    async def _rest_s(self) -> float:
        """Until the next message is due, at most one poll. One that ends wakes us."""
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            return POLL_S
        due_ms = await self._store.next_due_ms(besides=tuple(self._in_flight))
        if due_ms is None:
            return POLL_S
        return min(POLL_S, max(0.01, (due_ms - self._clock.now_ms()) / 1000))

    async def _send_one(self, receiver: str, delivery: DeliveryRecord) -> None:
        try:
            await self.attempt(delivery)
        except ProductError as error:
            # Still due: without this pause it would be sent again and again while the database is away.
            app_logger.error("webhook %s cannot be settled: %s", delivery.message_id, error.detail)
            await asyncio.sleep(STORE_RETRY_S)
        except Exception:  # noqa: BLE001 - one message must not end the sending of all others
            app_logger.exception("webhook %s could not be sent", delivery.message_id)
            await self._put_off(delivery)
        finally:
            self._in_flight.pop(receiver, None)
            self._wake.set()

    async def _put_off(self, delivery: DeliveryRecord) -> None:
        """After an error of our own: tried again like after one of the receiver."""
        try:
            await self._close(delivery, Sent(error="The message could not be made; see logs/app.log."))
        except ProductError as error:
            app_logger.error("webhook %s cannot be settled: %s", delivery.message_id, error.detail)
            await asyncio.sleep(STORE_RETRY_S)

    async def attempt(self, delivery: DeliveryRecord) -> DeliveryRecord | None:
        """Send it once now and note what came of it. None: its receiver was deleted meanwhile."""
        try:
            message = await self._message(delivery)
        except UnknownId:
            return None
        except ProductError as error:
            if error.code is ErrorCode.JOB_NOT_FOUND:
                return None
            raise
        sent = await self._sender.send(message, at_s=self._clock.now_ms() // 1000)
        closed = await self._close(delivery, sent)
        if sent.refused_for_good and delivery.hook_id is not None:
            # Standard Webhooks: 410 asks to disable the endpoint.
            await self._store.silence(delivery.hook_id, error="The receiver wants no more messages.")
        return closed

    async def _close(self, delivery: DeliveryRecord, sent: Sent) -> DeliveryRecord | None:
        state, due_at = DeliveryState.DELIVERED, None
        if sent.error is not None:
            state = DeliveryState.FAILED
            may_repeat = delivery.job_id is not None and not sent.refused_for_good
            if may_repeat and delivery.attempts < len(RETRY_AFTER_S):
                state = DeliveryState.PENDING
                due_at = self._clock.now_ms() + RETRY_AFTER_S[delivery.attempts] * 1000
        app_logger.info(
            "webhook %s (%s, attempt %d): %s",
            delivery.message_id,
            delivery.type,
            delivery.attempts + 1,
            sent.error or f"taken with status {sent.status}",
        )
        return await self._store.close_attempt(
            delivery.message_id, state, due_at=due_at, status=sent.status, error=sent.error
        )

    async def _message(self, delivery: DeliveryRecord) -> Message:
        if delivery.hook_id is not None:
            hook = await self._store.get(delivery.hook_id)
            url, secret = hook.url, hook.secret
        else:
            url, secret = delivery.url or "", await self._secrets.for_jobs()
        body = {
            "type": delivery.type,
            "timestamp": iso_from_ms(delivery.created_at),
            "data": await self._data_of(delivery),
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return Message(delivery.message_id, url, secret, text.encode())
