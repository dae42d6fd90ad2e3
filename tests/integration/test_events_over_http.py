"""Server-sent events: replay without gap or duplicate, an end, and caps."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from backend.services.event_stream import EventService, StreamEvent
from tests.support.studio import Studio, running_studio


def parse(text: str) -> list[dict[str, Any]]:
    """Events of a stream as dicts with id, event and data (WHATWG HTML, event stream interpretation)."""
    events = []
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.splitlines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
        if fields:
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


async def read_stream(studio: Studio, job_id: str, last_id: str | None = None) -> list[dict[str, Any]]:
    headers = {"Last-Event-ID": last_id} if last_id is not None else {}
    answer = await studio.http.get(f"/api/jobs/{job_id}/events", headers=headers, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return parse(answer.text)


async def test_a_followed_job_tells_every_state_in_order_and_then_the_stream_ends(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        studio.speech.gate.clear()
        job_id = await studio.submit()
        reading = asyncio.ensure_future(read_stream(studio, job_id))
        await asyncio.sleep(0.1)
        studio.speech.gate.set()
        events = await reading
        assert events[0]["event"] == "snapshot"
        assert events[0]["data"]["job_id"] == job_id
        stored = [event for event in events if event["event"] == "job"]
        assert stored[-1]["data"]["status"] == "completed"
        assert stored[-1]["data"]["progress"] == 100
        ids = [int(event["id"]) for event in stored]
        assert ids == sorted(set(ids))
        progress = [event["data"]["progress"] for event in stored]
        assert progress == sorted(progress), "progress never goes back within an attempt"


async def test_a_reconnect_after_any_event_gets_the_rest_exactly_once(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        whole = [e for e in await read_stream(studio, job_id, "0") if e["event"] == "job"]
        assert whole[0]["data"]["type"] == "queued"
        assert whole[-1]["data"]["type"] == "completed"
        for index, event in enumerate(whole):
            rest = [e for e in await read_stream(studio, job_id, event["id"]) if e["event"] == "job"]
            assert [e["id"] for e in rest] == [e["id"] for e in whole[index + 1 :]]


async def test_the_stream_of_an_ended_job_is_its_snapshot(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit(preferred_engine="wan2gp")
        await studio.wait_for(job_id)
        events = await read_stream(studio, job_id)
        assert [event["event"] for event in events] == ["snapshot"]
        assert events[0]["data"]["status"] == "failed"


async def test_nonsense_as_last_event_id_starts_like_a_first_visit(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit(preferred_engine="wan2gp")
        await studio.wait_for(job_id)
        for nonsense in ("abc", "-1", "9" * 30, "1e3"):
            assert (await read_stream(studio, job_id, nonsense))[0]["event"] == "snapshot"


async def test_unknown_and_deleted_jobs_have_no_stream(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        assert (await studio.http.get("/api/jobs/job_zzzzzzzz1/events")).status_code == 404
        job_id = await studio.submit(preferred_engine="wan2gp")
        await studio.wait_for(job_id)
        await studio.http.delete(f"/api/jobs/{job_id}")
        assert (await studio.http.get(f"/api/jobs/{job_id}/events")).status_code == 410


async def test_one_stream_too_many_is_refused_and_a_closed_one_makes_room(tmp_path: Path) -> None:
    async with running_studio(tmp_path, sse_max_subscribers=2) as studio:
        events: EventService = studio_events(studio.http)
        first = await events.open(None, None)
        second = await events.open(None, None)
        assert (await anext(first)) is not None  # type: ignore[arg-type]
        refused = await studio.http.get("/api/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"]
        await first.aclose()  # type: ignore[attr-defined]
        third = await events.open(None, None)
        for stream in (second, third):
            event = await anext(stream)  # type: ignore[arg-type]
            assert isinstance(event, StreamEvent)
            await stream.aclose()  # type: ignore[attr-defined]


def studio_events(http: httpx.AsyncClient) -> EventService:
    events = http._transport.app.state.services.events  # type: ignore[attr-defined]
    assert isinstance(events, EventService)
    return events
