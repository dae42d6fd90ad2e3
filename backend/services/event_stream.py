"""Events of jobs as a stream: a snapshot, then every stored event in order.

Runs in the service process. The rows of `job_events` are the stream; the bus only says when to look. So a
client that reconnects with the id it saw last gets each event exactly once.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.records import EventRecord
from backend.services.event_bus import EventBus, Subscription
from backend.services.job_view import wire_view
from backend.storage.jobs import MAX_EVENTS, JobStore
from backend.utils.ids import is_id

# Proxies and browsers drop a silent connection after 30 to 60 s.
PING_EVERY_S = 15.0
# Jobs in the first snapshot of the stream of all jobs.
SNAPSHOT_JOBS = 20


@dataclass(frozen=True)
class StreamEvent:
    """One server-sent event. Without an id it is a snapshot after which the replay begins elsewhere."""

    type: str
    data: Mapping[str, Any]
    event_id: int | None = None


class EventService:
    """Opens streams."""

    def __init__(self, store: JobStore, bus: EventBus, *, ping_every_s: float = PING_EVERY_S) -> None:
        self._store = store
        self._bus = bus
        self._ping_every_s = ping_every_s

    async def open(self, job_id: str | None, last_event_id: int | None) -> AsyncIterator[StreamEvent | None]:
        """A stream of one job or of all (`job_id` None); None items are keep-alive pings.

        Raises `job_not_found`, `gone`, `rate_limited` here, before the first byte is sent.
        """
        if job_id is not None:
            await self._require(job_id)
        # Subscribed before the snapshot is read: what is committed in between wakes us.
        stream = self._stream(self._bus.subscribe(job_id), job_id, last_event_id)
        # Begun here: a generator that never ran would never give its subscription back.
        return _prepend(await stream.__anext__(), stream)

    def close(self) -> None:
        """End all streams: the service stops."""
        self._bus.close()

    async def _require(self, job_id: str) -> None:
        if not is_id(job_id, "job"):
            raise RequestError(
                ErrorCode.JOB_NOT_FOUND, "There is no such job.", hint="List the jobs with GET /api/jobs."
            )
        if (await self._store.get(job_id)).deleted_at is not None:
            raise RequestError(ErrorCode.GONE, "This job was deleted.", hint="Make a new one.")

    async def _stream(
        self, subscription: Subscription, job_id: str | None, last_event_id: int | None
    ) -> AsyncGenerator[StreamEvent | None, None]:
        with subscription:
            newest = await self._store.latest_event_id()
            # An id from a database that was replaced since would hide all events to come.
            seen = newest if last_event_id is None or last_event_id > newest else last_event_id
            yield await self._snapshot(job_id, newest if last_event_id is None else None)
            if job_id is not None and last_event_id is None and (await self._store.get(job_id)).is_terminal:
                return
            while True:
                async for event in self._stored_events(seen, job_id):
                    seen = event.event_id
                    yield _stored(event)
                    if job_id is not None and event.is_terminal:
                        return
                if (
                    job_id is not None
                    and last_event_id is not None
                    and await self._has_nothing_left(job_id, seen)
                ):
                    return
                wake = await subscription.wait(self._ping_every_s)
                if wake is None:
                    yield None
                    continue
                if wake.closed:
                    return

    async def _has_nothing_left(self, job_id: str, seen: int) -> bool:
        """A client that comes back after the end, having seen the end, must not wait for ever."""
        if not (await self._store.get(job_id)).is_terminal:
            return False
        return not await self._store.events_since(seen, job_id=job_id, limit=1)

    async def _stored_events(self, seen: int, job_id: str | None) -> AsyncIterator[EventRecord]:
        while True:
            batch = await self._store.events_since(seen, job_id=job_id, limit=MAX_EVENTS)
            for event in batch:
                seen = event.event_id
                yield event
            if len(batch) < MAX_EVENTS:
                return

    async def _snapshot(self, job_id: str | None, event_id: int | None) -> StreamEvent:
        if job_id is not None:
            view = wire_view(await self._store.get_view(job_id))
            return StreamEvent("snapshot", view.model_dump(mode="json"), event_id)
        page = await self._store.list_page(limit=SNAPSHOT_JOBS)
        views = [wire_view(await self._store.get_view(job.job_id)) for job in page.jobs]
        return StreamEvent("snapshot", {"jobs": [view.model_dump(mode="json") for view in views]}, event_id)


async def _prepend(
    first: StreamEvent | None, rest: AsyncGenerator[StreamEvent | None, None]
) -> AsyncIterator[StreamEvent | None]:
    async with contextlib.aclosing(rest):
        yield first
        async for event in rest:
            yield event


def _stored(event: EventRecord) -> StreamEvent:
    return StreamEvent("job", {"type": str(event.type), **event.data}, event.event_id)
