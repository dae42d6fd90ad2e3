"""Event streams over real connections: many of them, slow ones, broken ones, and none that costs the job anything."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.services.event_bus import SUBSCRIBERS_PER_JOB, SUBSCRIBERS_TOTAL
from tests.integration.test_events_over_http import parse
from tests.support.served import Served, serving, twins
from tests.support.studio import TERMINAL, WAIT_S, job_body
from tests.support.twin_worker import TwinWorker

FEW_BYTES = 1 << 16
# The longest script that may be set, so that twenty jobs fill six megabytes.
LONG_SCRIPT_CHARS = 100_000
SNAPSHOT_BYTES = 5 << 20
FEW_STREAMS = 5


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as running:
        yield running


def client(served: Served) -> httpx.Client:
    return httpx.Client(base_url=served.url, trust_env=False, timeout=WAIT_S)


def submit(http: httpx.Client, **changes: Any) -> str:
    answer = http.post("/api/jobs", json=job_body(**{"preferred_engine": "wan2gp", **changes}))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def wait_for(http: httpx.Client, job_id: str) -> dict[str, Any]:
    while True:
        view: dict[str, Any] = http.get(f"/api/jobs/{job_id}").json()
        if view["status"] in TERMINAL:
            return view


def wait_until_idle(http: httpx.Client) -> None:
    while True:
        queue = http.get("/api/queue").json()
        if not queue["queued"] + queue["running"]:
            return


def open_stream(
    served: Served, target: str, last_id: str | None = None, *, buffer: int | None = None
) -> socket.socket:
    """A stream as a bare socket; `buffer` makes the system keep only so many bytes for a reader that does not read."""
    connection = socket.socket()
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(WAIT_S)
    connection.connect(("127.0.0.1", served.port))
    lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *([f"Last-Event-ID: {last_id}"] if last_id else [])]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    return connection


def status_line(connection: socket.socket) -> bytes:
    return connection.recv(12)


def all_ids(http: httpx.Client, job_id: str) -> list[str]:
    """The job's events as a client sees them that asks for all of them after the end."""
    whole = http.get(f"/api/jobs/{job_id}/events", headers={"Last-Event-ID": "0"}).text
    return [event["id"] for event in parse(whole) if event["event"] == "job"]


def test_a_reader_that_reads_nothing_slows_neither_the_jobs_nor_other_readers(tmp_path: Path) -> None:
    with serving(tmp_path, max_script_chars=LONG_SCRIPT_CHARS) as served, client(served) as http:
        # Six megabytes of first snapshot: more than the system keeps for a connection, so the server must wait.
        for _ in range(20):
            submit(http, script_input="字" * LONG_SCRIPT_CHARS)
        wait_until_idle(http)
        with open_stream(served, "/api/events", buffer=FEW_BYTES) as lazy:
            assert status_line(lazy) == b"HTTP/1.1 200"
            job_ids = [submit(http) for _ in range(20)]
            with http.stream("GET", f"/api/jobs/{job_ids[-1]}/events") as eager:
                assert parse("".join(eager.iter_text()))[-1]["data"]["status"] == "failed"
            wait_until_idle(http)
            assert http.get("/health").json() == {"ok": True}
            expected = sorted(int(event_id) for job_id in job_ids for event_id in all_ids(http, job_id))
            # And then it reads after all: late, but every event once and in order.
            seen, rest, received = [], b"", 0
            while not seen or seen[-1] < expected[-1]:
                chunk = lazy.recv(1 << 20)
                received += len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                seen += [int(line[4:]) for line in lines if line.startswith(b"id: ")]
            assert received > SNAPSHOT_BYTES
            assert seen.pop(0) < expected[0], "the id of the snapshot"
            assert seen == expected


def test_a_client_that_loses_its_connection_at_every_event_misses_none_and_sees_none_twice(
    tmp_path: Path,
) -> None:
    workers = twins()
    speech = workers["speech"]
    assert isinstance(speech, TwinWorker)
    with serving(tmp_path, workers) as served, client(served) as http:
        job_id = submit(http, preferred_engine="draft")
        seen: list[str] = []
        while True:
            headers = {"Last-Event-ID": seen[-1] if seen else "0"}
            with http.stream("GET", f"/api/jobs/{job_id}/events", headers=headers) as stream:
                lines = stream.iter_lines()
                event_id = next((line[4:] for line in lines if line.startswith("id: ")), None)
            if event_id is None:
                break
            seen.append(event_id)
        assert wait_for(http, job_id)["status"] == "completed"
        assert seen == all_ids(http, job_id)


def test_the_caps_are_those_of_the_settings_and_a_closed_stream_makes_room(served: Served) -> None:
    with client(served) as http, contextlib.ExitStack() as stack:
        job_id = submit(http)
        wait_for(http, job_id)
        http.post("/api/queue/pause")
        waiting = submit(http)
        streams = [
            stack.enter_context(open_stream(served, f"/api/jobs/{waiting}/events"))
            for _ in range(SUBSCRIBERS_PER_JOB)
        ]
        assert {status_line(stream) for stream in streams} == {b"HTTP/1.1 200"}
        refused = http.get(f"/api/jobs/{waiting}/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"]

        others = [
            stack.enter_context(open_stream(served, "/api/events"))
            for _ in range(SUBSCRIBERS_TOTAL - len(streams))
        ]
        assert {status_line(stream) for stream in others} == {b"HTTP/1.1 200"}
        assert http.get("/api/events").status_code == 429, "the 65th"
        assert http.get(f"/api/jobs/{waiting}").status_code == 200, "polling goes on"

        others[0].close()
        while True:
            with open_stream(served, "/api/events") as again:
                if status_line(again) == b"HTTP/1.1 200":
                    break


def test_streams_that_end_by_themselves_give_their_places_back(tmp_path: Path) -> None:
    with serving(tmp_path, sse_max_subscribers=FEW_STREAMS) as served, client(served) as http:
        job_id = submit(http)
        for _ in range(FEW_STREAMS * 3):
            assert http.get(f"/api/jobs/{job_id}/events", headers={"Last-Event-ID": "0"}).status_code == 200
        assert subscribers(served) == 0


def test_streams_that_are_refused_or_fail_to_open_cost_no_place(tmp_path: Path) -> None:
    with serving(tmp_path, sse_max_subscribers=FEW_STREAMS) as served, client(served) as http:
        for _ in range(FEW_STREAMS * 3):
            assert http.get("/api/jobs/job_zzzzzzzz1/events").status_code == 404
            assert http.get("/api/events", headers={"Last-Event-ID": "9" * 50}).status_code == 422
        assert subscribers(served) == 0


def subscribers(served: Served) -> int:
    count: int = served.app.state.services.events._bus.subscribers
    return count
