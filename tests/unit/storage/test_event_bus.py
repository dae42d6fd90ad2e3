"""Wake-ups: who is woken, what a slow one loses, and how many may listen."""

from __future__ import annotations

import asyncio

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.records import EventType, NewEvent
from backend.services.event_bus import MAX_PROGRESS_JOBS, EventBus


def event(event_id: int, job_id: str = "job_a", kind: EventType = EventType.PROGRESS) -> tuple[NewEvent, ...]:
    return (NewEvent(event_id, job_id, kind),)


async def test_a_commit_wakes_those_who_follow_the_job_and_those_who_follow_all() -> None:
    bus = EventBus()
    with bus.subscribe("job_a") as mine, bus.subscribe("job_b") as other, bus.subscribe() as everything:
        bus.publish(event(7))
        for subscription in (mine, everything):
            wake = await subscription.wait(1)
            assert wake is not None
            assert wake.newest_event_id == 7
        assert await other.wait(0) is None


async def test_a_subscriber_that_waits_is_woken_and_one_that_waits_in_vain_hears_nothing() -> None:
    bus = EventBus()
    with bus.subscribe("job_a") as subscription:
        assert await subscription.wait(0.001) is None
        waiting = asyncio.ensure_future(subscription.wait(10))
        await asyncio.sleep(0)
        bus.publish(event(1))
        wake = await waiting
        assert wake is not None
        assert wake.newest_event_id == 1
        assert await subscription.wait(0) is None


async def test_a_slow_subscriber_holds_one_event_id_and_one_progress_a_job() -> None:
    bus = EventBus()
    with bus.subscribe() as slow:
        for number in range(1, 10_001):
            bus.publish(event(number))
            bus.publish_progress(f"job_{number % 1000}", {"progress": number})
        wake = await slow.wait(1)
    assert wake is not None
    assert wake.newest_event_id == 10_000
    assert len(wake.progress) == MAX_PROGRESS_JOBS
    assert wake.progress["job_0"] == {"progress": 10_000}


async def test_the_newest_progress_of_a_job_is_kept_until_it_ends() -> None:
    bus = EventBus()
    bus.publish_progress("job_a", {"progress": 1})
    bus.publish_progress("job_a", {"progress": 2})
    bus.publish(event(1))
    assert bus.newest_progress("job_a") == {"progress": 2}
    bus.publish(event(2, kind=EventType.COMPLETED))
    assert bus.newest_progress("job_a") is None
    for number in range(10 * MAX_PROGRESS_JOBS):
        bus.publish_progress(f"job_{number}", {})
    assert bus.newest_progress("job_0") is None


async def test_beyond_the_caps_a_subscriber_is_refused_until_another_leaves() -> None:
    bus = EventBus(per_job=2, total=3)
    mine = [bus.subscribe("job_a") for _ in range(2)]
    with pytest.raises(RequestError) as caught:
        bus.subscribe("job_a")
    assert caught.value.code is ErrorCode.RATE_LIMITED
    everything = bus.subscribe()
    with pytest.raises(RequestError):
        bus.subscribe("job_b")
    mine[0].close()
    mine[0].close()
    assert bus.subscribers == 2
    other = bus.subscribe("job_b")
    for subscription in (mine[1], everything, other):
        subscription.close()
    assert bus.subscribers == 0


async def test_closing_the_bus_ends_every_wait_and_later_subscriptions_at_once() -> None:
    bus = EventBus()
    subscription = bus.subscribe("job_a")
    waiting = asyncio.ensure_future(subscription.wait(10))
    await asyncio.sleep(0)
    bus.close()
    wake = await waiting
    assert wake is not None
    assert wake.closed
    late = await bus.subscribe("job_a").wait(10)
    assert late is not None
    assert late.closed
    assert bus.subscribers == 0


async def test_what_was_committed_before_the_end_is_still_announced_with_it() -> None:
    bus = EventBus()
    subscription = bus.subscribe("job_a")
    bus.publish(event(5, kind=EventType.FAILED))
    bus.close()
    wake = await subscription.wait(1)
    assert wake is not None
    assert (wake.newest_event_id, wake.closed) == (5, True)


async def test_a_listener_hears_every_commit_until_it_stops() -> None:
    bus = EventBus()
    heard: list[int] = []
    stop = bus.listen(lambda events: heard.extend(item.event_id for item in events))
    bus.publish(event(1))
    bus.publish(event(2, job_id="job_b"))
    stop()
    stop()
    bus.publish(event(3))
    assert heard == [1, 2]
