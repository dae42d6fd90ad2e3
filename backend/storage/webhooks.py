"""Webhooks and the outbox of their messages. Runs in the service process.

Messages about jobs are written by `append_event`, in the transaction of the job's end (`QUEUE_DELIVERIES`); here
they are taken up when due and closed. Nothing is written before a message is sent: after a crash it is sent again,
under the same message id (at least once).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence

from backend.models.batch_records import DeliveryRecord, DeliveryState, WebhookRecord
from backend.models.codes import ErrorCode
from backend.models.errors import RequestError, UnknownId
from backend.storage.db import Database, Transaction
from backend.storage.job_rows import dump
from backend.utils.clock import Clock

# Every end of a job writes a row for each; more receivers than this is a job for one that hands on.
MAX_WEBHOOKS = 20
# A test message is sent by whoever asked; only when that was cut short does the outbox find it.
TEST_GRACE_MS = 60_000
# One look into a log.
MAX_LOG = 100

_INSERT = """
INSERT INTO webhooks (hook_id, url, events_json, secret, created_at)
SELECT :hook_id, :url, :events_json, :secret, :now WHERE (SELECT count(*) FROM webhooks) < :most RETURNING *
"""
_BY_ID = "SELECT * FROM webhooks WHERE hook_id = :hook_id"
_ALL = "SELECT * FROM webhooks ORDER BY created_at, hook_id"
_SILENCE = "UPDATE webhooks SET events_json = '[]' WHERE hook_id = :hook_id"
_DROP_OWED = """
UPDATE webhook_deliveries SET state = 'failed', due_at = NULL, last_error = :error, finished_at = :now
WHERE hook_id = :hook_id AND state = 'pending'
"""
_DELETE = "DELETE FROM webhooks WHERE hook_id = :hook_id RETURNING hook_id"
_INSERT_TEST = """
INSERT INTO webhook_deliveries (message_id, hook_id, type, due_at, created_at)
VALUES (:message_id, :hook_id, 'webhook.test', :due_at, :now) RETURNING *
"""
# One message of each receiver (SQLite takes the other columns from the row that has the minimum).
DUE = """
SELECT *, MIN(due_at) AS first_due FROM webhook_deliveries WHERE state = 'pending' AND due_at <= :now
  AND COALESCE(hook_id, url) NOT IN (SELECT value FROM json_each(:besides))
GROUP BY COALESCE(hook_id, url) ORDER BY first_due LIMIT :limit
"""
NEXT_DUE = """
SELECT MIN(due_at) FROM webhook_deliveries WHERE state = 'pending'
  AND COALESCE(hook_id, url) NOT IN (SELECT value FROM json_each(:besides))
"""
_CLOSE = """
UPDATE webhook_deliveries SET attempts = attempts + 1, state = :state, due_at = :due_at, last_status = :status,
  last_error = :error, finished_at = CASE WHEN :state = 'pending' THEN NULL ELSE :now END
WHERE message_id = :message_id AND state = 'pending' RETURNING *
"""
OF_HOOK = """
SELECT * FROM webhook_deliveries WHERE hook_id = :hook_id ORDER BY delivery_id DESC LIMIT :limit
"""
OF_JOB = """
SELECT * FROM webhook_deliveries WHERE job_id = :job_id ORDER BY delivery_id DESC LIMIT :limit
"""


class WebhooksRepository:
    """Receivers by id, and what they are owed."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def create(self, hook_id: str, url: str, events: Sequence[str], secret: str) -> WebhookRecord:
        """Register a receiver. Raises `rate_limited` beyond MAX_WEBHOOKS."""
        params = {
            "hook_id": hook_id,
            "url": url,
            "events_json": dump(list(events)),
            "secret": secret,
            "most": MAX_WEBHOOKS,
            "now": self._clock.now_ms(),
        }
        row = await self._db.write(lambda transaction: transaction.one(_INSERT, params))
        if row is None:
            raise RequestError(
                ErrorCode.RATE_LIMITED,
                f"There are {MAX_WEBHOOKS} webhooks already.",
                hint="Delete one that is no longer needed.",
            )
        return _hook(row)

    async def get(self, hook_id: str) -> WebhookRecord:
        """One receiver. Raises `UnknownId`."""
        row = await self._db.one(_BY_ID, {"hook_id": hook_id})
        if row is None:
            raise hook_not_found(hook_id)
        return _hook(row)

    async def list_all(self) -> list[WebhookRecord]:
        """All receivers, oldest first."""
        return [_hook(row) for row in await self._db.all(_ALL)]

    async def delete(self, hook_id: str) -> None:
        """Forget a receiver, its secret and its log. Raises `UnknownId`."""
        if await self._db.write(lambda transaction: transaction.one(_DELETE, {"hook_id": hook_id})) is None:
            raise hook_not_found(hook_id)

    async def silence(self, hook_id: str, *, error: str) -> None:
        """The receiver wants nothing more: it is told of no event from now on, and what it was owed is given up."""

        async def body(transaction: Transaction) -> None:
            await transaction.run(_SILENCE, {"hook_id": hook_id})
            now = self._clock.now_ms()
            await transaction.run(_DROP_OWED, {"hook_id": hook_id, "error": error, "now": now})

        await self._db.write(body)

    async def add_test(self, hook_id: str, message_id: str) -> DeliveryRecord:
        """Owe this receiver a test message, which the caller sends at once. Raises `UnknownId`."""

        async def body(transaction: Transaction) -> DeliveryRecord:
            if await transaction.one(_BY_ID, {"hook_id": hook_id}) is None:
                raise hook_not_found(hook_id)
            now = self._clock.now_ms()
            params = {"message_id": message_id, "hook_id": hook_id, "now": now, "due_at": now + TEST_GRACE_MS}
            row = await transaction.one(_INSERT_TEST, params)
            if row is None:  # pragma: no cover - INSERT ... RETURNING always returns its row
                raise AssertionError("the delivery row was not written")
            return _delivery(row)

        return await self._db.write(body)

    async def due(self, *, besides: Sequence[str], limit: int) -> list[DeliveryRecord]:
        """What is to be sent now: one message to each receiver, longest overdue first.

        `besides`: receivers (hook id or address) that are being sent to.
        """
        params = {"now": self._clock.now_ms(), "besides": dump(list(besides)), "limit": limit}
        return [_delivery(row) for row in await self._db.all(DUE, params)]

    async def next_due_ms(self, *, besides: Sequence[str]) -> int | None:
        """When the next message is due (ms UTC) to a receiver not in `besides`; None when none waits."""
        row = await self._db.one(NEXT_DUE, {"besides": dump(list(besides))})
        return None if row is None or row[0] is None else int(row[0])

    async def close_attempt(
        self,
        message_id: str,
        state: DeliveryState,
        *,
        due_at: int | None,
        status: int | None,
        error: str | None,
    ) -> DeliveryRecord | None:
        """Note how one attempt ended; `due_at` when there will be another. None: the receiver was deleted meanwhile."""
        params = {
            "message_id": message_id,
            "state": state.value,
            "due_at": due_at,
            "status": status,
            "error": error,
            "now": self._clock.now_ms(),
        }
        row = await self._db.write(lambda transaction: transaction.one(_CLOSE, params))
        return None if row is None else _delivery(row)

    async def log_of_hook(self, hook_id: str, *, limit: int) -> list[DeliveryRecord]:
        """The newest messages to a registered receiver, newest first."""
        params = {"hook_id": hook_id, "limit": max(1, min(limit, MAX_LOG))}
        return [_delivery(row) for row in await self._db.all(OF_HOOK, params)]

    async def log_of_job(self, job_id: str) -> list[DeliveryRecord]:
        """The messages about a job, newest first."""
        return [_delivery(row) for row in await self._db.all(OF_JOB, {"job_id": job_id, "limit": MAX_LOG})]


def new_message_id() -> str:
    """A message's id, the shape that QUEUE_DELIVERIES makes in SQL."""
    return f"msg_{secrets.token_hex(16)}"


def hook_not_found(hook_id: str) -> UnknownId:
    """The answer for an id that does not exist."""
    return UnknownId(f"There is no webhook {hook_id}.", hint="List the webhooks with GET /api/webhooks.")


def _hook(row: sqlite3.Row) -> WebhookRecord:
    return WebhookRecord(
        hook_id=row["hook_id"],
        url=row["url"],
        events=tuple(json.loads(row["events_json"])),
        secret=row["secret"],
        created_at=row["created_at"],
    )


def _delivery(row: sqlite3.Row) -> DeliveryRecord:
    return DeliveryRecord(
        delivery_id=row["delivery_id"],
        message_id=row["message_id"],
        hook_id=row["hook_id"],
        url=row["url"],
        job_id=row["job_id"],
        type=row["type"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        due_at=row["due_at"],
        last_status=row["last_status"],
        last_error=row["last_error"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )
