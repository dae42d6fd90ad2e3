"""While heavy things run, the event loop stays free: `/health` is answered within 50 ms.

A real uvicorn in a process of its own; the load comes from a second process, so that what is measured here is the
service and not the test. The bound is asserted for the median, because a shared machine may stop any process for
longer; the worst is printed (pytest -s).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_library_over_http import png
from tests.support.studio import job_body
from tests.support.twin_worker import write_tone

ROOT = Path(__file__).resolve().parents[2]
ANSWER_WITHIN_MS = 50.0
# Of the time that was watched, the part in which `/health` took longer. A blocked loop shows here and not in the
# median; a neighbour that takes the processor away now and then stays below.
SLOW_SHARE = 0.25
START_WITHIN_S = 60.0
LOAD_WITHIN_S = 100.0
UPLOAD_BYTES = 100 << 20
# Jobs with the longest script that is allowed by default: pages and searches over them are the heaviest reads.
LONG_JOBS = 100
SCRIPT_CHARS = 20_000
PAUSE_S = 0.005

# Runs in the second process: several clients at once, each doing one heavy thing over and over.
LOAD = """
import http.client, sys, threading, time
port, kind, upload, ends_at = int(sys.argv[1]), sys.argv[2], sys.argv[3], time.monotonic() + float(sys.argv[4])

def request(method, target, body=None, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status < 400, (target, answer.status)

def upload_once():
    with open(upload, "rb") as file:
        request("POST", "/api/voice/clone", file, {"Content-Type": "multipart/form-data; boundary=a"})

WORK = {
    "uploads": [upload_once],
    "listings": [lambda: request("GET", "/api/jobs?limit=100")],
    "searches": [lambda: request("GET", "/api/jobs?q=not-in-any-script")] * 2,
}
work = [one for kinds in WORK.values() for one in kinds] if kind == "everything" else WORK[kind]

done = []

def repeat(one):
    while True:
        one()
        if time.monotonic() > ends_at:
            done.append(one)
            return

threads = [threading.Thread(target=repeat, args=(one,)) for one in work]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(len(done) != len(work))
"""


@contextlib.contextmanager
def service(folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.twin_service", str(folder), str(port)], cwd=ROOT
    )
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            assert process.poll() is None, "the service did not start"
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


def connected(port: int) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60))


def request(connection: http.client.HTTPConnection, method: str, target: str, body: str | None = None) -> int:
    connection.request(method, target, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with service(tmp_path_factory.mktemp("loop")) as running:
        with connected(running) as connection:
            assert request(connection, "POST", "/api/queue/pause") == 200
            for index in range(LONG_JOBS):
                body = job_body(script_input="字" * SCRIPT_CHARS, title=f"{index}")
                assert request(connection, "POST", "/api/jobs", json.dumps(body)) == 202
        yield running


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multipart body with a sound file of 100 MB, on disk."""
    folder = tmp_path_factory.mktemp("upload")
    write_tone(folder / "tone.wav", 1.0)
    path = folder / "body"
    with path.open("wb") as file:
        file.write(b'--a\r\nContent-Disposition: form-data; name="audio_file"; filename="a.wav"\r\n\r\n')
        file.write((folder / "tone.wav").read_bytes())
        for _ in range(UPLOAD_BYTES >> 20):
            file.write(bytes(1 << 20))
        file.write(b"\r\n--a--\r\n")
    return path


@pytest.mark.parametrize("kind", ["uploads", "listings", "searches", "everything"])
def test_health_is_answered_at_once_while_others_work(port: int, upload: Path, kind: str) -> None:
    """Uploads are received, synced and hashed twice; listings are six megabytes of JSON; searches read every script."""
    command = [sys.executable, "-c", LOAD, str(port), kind, str(upload), "2"]
    load = subprocess.Popen(command)
    milliseconds: list[float] = []
    started = time.monotonic()
    deadline = started + LOAD_WITHIN_S
    with connected(port) as connection, contextlib.ExitStack() as stack:
        stack.callback(load.wait, 10)
        stack.callback(load.kill)
        while load.poll() is None:
            assert time.monotonic() < deadline, "the load did not end"
            began = time.perf_counter()
            assert request(connection, "GET", "/health") == 200
            milliseconds.append((time.perf_counter() - began) * 1000)
            time.sleep(PAUSE_S)
    assert load.returncode == 0, "the load itself was answered"
    watched_ms = (time.monotonic() - started) * 1000
    milliseconds.sort()
    median = statistics.median(milliseconds)
    print(
        f"\n{kind}: /health {len(milliseconds)} times, median {median:.1f} ms, "
        f"p99 {milliseconds[int(len(milliseconds) * 0.99)]:.1f} ms, worst {milliseconds[-1]:.1f} ms"
    )
    assert len(milliseconds) > 10, "the loop stood still"
    assert median < ANSWER_WITHIN_MS
    slow = sum(value for value in milliseconds if value > ANSWER_WITHIN_MS)
    assert slow / watched_ms < SLOW_SHARE


def test_a_service_full_of_slow_requests_still_says_that_it_lives(port: int) -> None:
    """Sixty bodies that do not come take no thread and no turn of the loop."""
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            waiting = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            waiting.sendall(
                b"POST /api/avatars HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=a\r\n"
                b'Content-Length: 9000\r\n\r\n--a\r\nContent-Disposition: form-data; name="image_file"; filename="x"\r\n'
                b"\r\n" + png()
            )
        connection = stack.enter_context(connected(port))
        times = []
        for _ in range(50):
            began = time.perf_counter()
            assert request(connection, "GET", "/health") == 200
            times.append((time.perf_counter() - began) * 1000)
        assert statistics.median(times) < ANSWER_WITHIN_MS
