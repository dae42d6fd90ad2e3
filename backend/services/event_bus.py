"""Wake-ups inside the service process: "something was committed" and the newest progress of each job.

The database is the truth: a subscriber is woken, then reads rows after the last id it has seen. So a slow
subscriber coalesces: it holds one newest event id and at most one progress per job, never a backlog, and
it can lose a progress tick but never a change of state. Everything here runs on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.records import TERMINAL_EVENTS, NewEvent

# Several tabs of one person, then some; more is a leak of connections.
SUBSCRIBERS_PER_JOB = 8
SUBSCRIBERS_TOTAL = 64
# Jobs whose newest progress one subscriber holds: as many as can run at once, with room.
MAX_PROGRESS_JOBS = 64

Listener = Callable[[tuple[NewEvent, ...]], None]


@dataclass(frozen=True)
class Wake:
    """Why a subscriber woke. `newest_event_id` 0: no new row. `progress`: job id to volatile payload.

    `closed`: the service stops; read what is left and end the stream.
    """

    newest_event_id: int = 0
    progress: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    closed: bool = False


class Subscription:
    """One listener's mailbox. Use it as a context manager, or call `close`."""

    def __init__(self, bus: EventBus, job_id: str | None) -> None:
        self._bus = bus
        self.job_id = job_id
        self._signal = asyncio.Event()
        self._newest = 0
        self._progress: dict[str, Mapping[str, Any]] = {}
        self._closed = False

    def notify(self, event_id: int) -> None:
        """A row was committed."""
        self._newest = max(self._newest, event_id)
        self._signal.set()

    def offer_progress(self, job_id: str, payload: Mapping[str, Any]) -> None:
        """Keep the newest progress of a job; the one that was not heard of for longest makes room."""
        self._progress.pop(job_id, None)
        self._progress[job_id] = payload
        if len(self._progress) > MAX_PROGRESS_JOBS:
            del self._progress[next(iter(self._progress))]
        self._signal.set()

    async def wait(self, timeout_s: float) -> Wake | None:
        """What happened since the last call; None when nothing did within `timeout_s` (send a ping)."""
        if not self._signal.is_set() and not self._closed:
            try:
                await asyncio.wait_for(self._signal.wait(), timeout_s)
            except asyncio.TimeoutError:
                return None
        self._signal.clear()
        wake = Wake(self._newest, self._progress, self._closed)
        self._newest, self._progress = 0, {}
        return wake

    def close(self) -> None:
        """Leave the bus; a waiting `wait` returns with `closed`. Idempotent."""
        self._closed = True
        self._signal.set()
        self._bus.forget(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventBus:
    """Fan-out of commits. `publish` is the store's after-commit hook."""

    def __init__(self, *, per_job: int = SUBSCRIBERS_PER_JOB, total: int = SUBSCRIBERS_TOTAL) -> None:
        self._per_job = per_job
        self._total = total
        self._of_job: dict[str, set[Subscription]] = {}
        self._of_all: set[Subscription] = set()
        self._listeners: list[Listener] = []
        self._newest_progress: dict[str, Mapping[str, Any]] = {}
        self._closed = False

    @property
    def subscribers(self) -> int:
        """How many subscriptions are open."""
        return len(self._of_all) + sum(map(len, self._of_job.values()))

    def subscribe(self, job_id: str | None = None) -> Subscription:
        """Listen to one job, or to all. Raises `rate_limited` beyond the caps."""
        mates = self._of_all if job_id is None else self._of_job.get(job_id, set())
        if self.subscribers >= self._total or (job_id is not None and len(mates) >= self._per_job):
            raise RequestError(
                ErrorCode.RATE_LIMITED,
                "Too many event streams are open.",
                hint="Close other pages that follow jobs, or poll the job instead.",
            )
        subscription = Subscription(self, job_id)
        if self._closed:
            subscription.close()
            return subscription
        if job_id is None:
            self._of_all.add(subscription)
        else:
            self._of_job.setdefault(job_id, set()).add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Called by `Subscription.close`."""
        if subscription.job_id is None:
            self._of_all.discard(subscription)
            return
        mates = self._of_job.get(subscription.job_id)
        if mates is not None:
            mates.discard(subscription)
            if not mates:
                del self._of_job[subscription.job_id]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` at each commit (the dispatcher's wake-up); returns how to stop that.

        For parts of the service itself: not counted, called synchronously, must not block or raise.
        """
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def publish(self, events: tuple[NewEvent, ...]) -> None:
        """Rows were committed: wake who follows these jobs."""
        for event in events:
            if event.type in TERMINAL_EVENTS:
                self._newest_progress.pop(event.job_id, None)
            for subscription in (*self._of_all, *self._of_job.get(event.job_id, ())):
                subscription.notify(event.event_id)
        for listener in tuple(self._listeners):
            listener(events)

    def publish_progress(self, job_id: str, payload: Mapping[str, Any]) -> None:
        """Progress between two writes to the database: newest only, lost with the process."""
        self._newest_progress.pop(job_id, None)
        self._newest_progress[job_id] = payload
        if len(self._newest_progress) > MAX_PROGRESS_JOBS:
            del self._newest_progress[next(iter(self._newest_progress))]
        for subscription in (*self._of_all, *self._of_job.get(job_id, ())):
            subscription.offer_progress(job_id, payload)

    def newest_progress(self, job_id: str) -> Mapping[str, Any] | None:
        """The newest volatile progress of a job that has not ended, if any came since its last end."""
        return self._newest_progress.get(job_id)

    def close(self) -> None:
        """Wake everybody for good: streams end, later subscriptions are closed at once."""
        self._closed = True
        for subscription in (*self._of_all, *(one for mates in self._of_job.values() for one in mates)):
            subscription.close()
