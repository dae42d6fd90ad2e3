"""Many clients at once, on loopback, for a bounded time: `python -m benchmarks.load [--seconds 60] [--clients 200]`.

Each client submits a job, follows its events to the end, reads the job and a page of the list, and begins again.
Two clients in a hundred follow all jobs instead. At the end every stream is compared with what the database tells
of the same jobs. Then one job is read over and over, in turns with a bare FastAPI route, on the same machine in the
same run: while nothing else happens, and while the database is written as often as a running job writes it. The workers are twins; the jobs ask for an engine that is not installed, so that they end at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.http_client import Answer, Connection
from tests.support.studio import job_body

ROOT = Path(__file__).resolve().parents[1]
START_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0
FOLLOWERS_OF_ALL = 4
# Turns and length of the comparison; in turns, so that both see the same neighbours on a shared machine.
ROUNDS = 4
ROUND_S = 3.0
READERS = 16
# As often as the progress of a running job is written.
WRITE_EVERY_S = 0.25
# Of a bare route's requests per second, what a job read from the database has to reach.
TARGET_RATIO = 0.5


@dataclass
class Tally:
    """What all clients saw."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    followed: dict[str, list[str]] = field(default_factory=dict)
    all_streams: list[list[str]] = field(default_factory=list)


class Client:
    """One user: a connection for requests and one for its streams."""

    def __init__(self, port: int, tally: Tally) -> None:
        self._requests = Connection(port)
        self._port = port
        self._tally = tally

    async def ask(
        self, kind: str, method: str, target: str, *, expect: int, body: object = None
    ) -> Answer | None:
        began = time.perf_counter()
        try:
            answer = await self._requests.request(method, target, body)
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            self._tally.errors[f"{kind}: {type(error).__name__}"] += 1
            return None
        self._tally.seconds[kind].append(time.perf_counter() - began)
        if answer.status != expect:
            self._tally.errors[f"{kind}: {answer.status}"] += 1
            return None
        return answer

    async def one_job(self, number: int) -> None:
        created = await self.ask(
            "submit", "POST", "/api/jobs", expect=202, body=job_body(preferred_engine="wan2gp")
        )
        if created is None:
            return
        job_id = created.json()["job_id"]
        self._tally.followed[job_id] = await self._follow(f"/api/jobs/{job_id}/events")
        await self.ask("read", "GET", f"/api/jobs/{job_id}", expect=200)
        if number % 2:
            await self.ask("list", "GET", "/api/jobs?limit=20", expect=200)

    async def _follow(self, target: str) -> list[str]:
        began = time.perf_counter()
        ids: list[str] = []
        stream = Connection(self._port)
        try:
            # From the first event on: the job may be over before the stream is open.
            async for event in stream.events(target, last_id="0"):
                if event["event"] == "job":
                    ids.append(event["id"])
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            self._tally.errors[f"follow: {type(error).__name__}"] += 1
        finally:
            stream.close()
        self._tally.seconds["follow"].append(time.perf_counter() - began)
        return ids

    async def follow_all(self) -> None:
        """Follow every job until cancelled."""
        ids: list[str] = []
        self._tally.all_streams.append(ids)
        stream = Connection(self._port)
        with contextlib.closing(stream):
            async for event in stream.events("/api/events"):
                if "id" in event:
                    ids.append(event["id"])


@contextlib.contextmanager
def service(*arguments: str) -> Iterator[tuple[int, psutil.Process]]:
    """A server in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.twin_service", arguments[0], str(port), *arguments[1:]]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(STOP_WITHIN_S)


async def load(port: int, *, clients: int, seconds: float) -> Tally:
    """Run the clients for `seconds`, let every job end, and let the streams catch up."""
    tally = Tally()
    ends_at = time.monotonic() + seconds

    async def user() -> None:
        client, number = Client(port, tally), 0
        while time.monotonic() < ends_at:
            await client.one_job(number)
            number += 1

    watchers = [asyncio.create_task(Client(port, tally).follow_all()) for _ in range(FOLLOWERS_OF_ALL)]
    await asyncio.sleep(1)
    await asyncio.gather(*(user() for _ in range(clients - FOLLOWERS_OF_ALL)))
    await asyncio.sleep(2)
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    return tally


def lost_events(database: Path, tally: Tally) -> int:
    """Events that the database holds and a stream did not tell of, or told twice or out of order."""
    lost, every = 0, set[str]()
    with contextlib.closing(sqlite3.connect(database)) as rows:
        for job_id, seen in tally.followed.items():
            found = rows.execute(
                "SELECT event_id FROM job_events WHERE job_id = ? ORDER BY event_id", (job_id,)
            )
            stored = [str(event_id) for (event_id,) in found]
            every.update(stored)
            lost += 0 if seen == stored else max(1, len(set(stored) ^ set(seen)))
    for ids in tally.all_streams:
        in_order = ids == sorted(ids, key=int) and len(set(ids)) == len(ids)
        lost += len(every - set(ids)) + (0 if in_order else 1)
    return lost


async def rate(port: int, target: str) -> float:
    """Requests per second of `READERS` connections for `ROUND_S`."""
    ends_at = time.monotonic() + ROUND_S
    done = 0

    async def reader() -> None:
        nonlocal done
        connection = Connection(port)
        while time.monotonic() < ends_at:
            answer = await connection.request("GET", target)
            if answer.status != 200:
                raise RuntimeError(f"{target} answered {answer.status}")
            done += 1
        connection.close()

    await asyncio.gather(*(reader() for _ in range(READERS)))
    return done / ROUND_S


async def cost(port: int, process: psutil.Process, target: str) -> tuple[float, float]:
    """Requests per second, and CPU milliseconds of the server per request."""
    before = sum(process.cpu_times()[:2])
    per_second = await rate(port, target)
    used_s = sum(process.cpu_times()[:2]) - before
    return per_second, used_s / (per_second * ROUND_S) * 1000


async def keep_writing(port: int) -> None:
    """Commit something now and then, until cancelled; nothing waits in the queue that could be paused by it."""
    connection = Connection(port)
    with contextlib.closing(connection):
        while True:
            answer = await connection.request("POST", "/api/queue/pause")
            if answer.status != 200:
                raise RuntimeError(f"the pause answered {answer.status}")
            await asyncio.sleep(WRITE_EVERY_S)


async def finished_job(port: int) -> str:
    """A completed job with all its artifacts: the longest answer that is read often."""
    connection = Connection(port)
    created = await connection.request("POST", "/api/jobs", job_body(preferred_engine="draft"))
    job_id = str(created.json()["job_id"])
    async for _ in connection.events(f"/api/jobs/{job_id}/events"):
        pass
    view = (await connection.request("GET", f"/api/jobs/{job_id}")).json()
    if view["status"] != "completed":
        raise RuntimeError(f"the job ended {view['status']}: {view['message']}")
    return job_id


async def compare(port: int, process: psutil.Process, job_id: str) -> float:
    """Print `GET /api/jobs/{id}` beside a bare route; returns the lower ratio of their requests per second."""
    with service("--bare") as (bare_port, bare_process):
        target = f"/api/jobs/{job_id}"
        results: dict[str, list[tuple[float, float]]] = {"bare": [], "job": [], "written": []}
        for _ in range(ROUNDS):
            results["bare"].append(await cost(bare_port, bare_process, target))
            results["job"].append(await cost(port, process, target))
            writing = asyncio.create_task(keep_writing(port))
            results["written"].append(await cost(port, process, target))
            if writing.done():
                writing.result()
            writing.cancel()
            await asyncio.wait({writing})
    means = {
        name: tuple(sum(part) / ROUNDS for part in zip(*rows, strict=True)) for name, rows in results.items()
    }
    for name, (per_second, milliseconds) in means.items():
        print(f"{name:8} {per_second:8.0f} requests/s  {milliseconds:6.3f} ms CPU per request")
    ratios = {name: means[name][0] / means["bare"][0] for name in ("job", "written")}
    for name, ratio in ratios.items():
        by_cpu = means["bare"][1] / means[name][1]
        print(f"{name:8} {ratio:8.2f} by requests/s  {by_cpu:6.2f} by CPU   (target >= {TARGET_RATIO})")
    return min(ratios.values())


def show(tally: Tally, seconds: float) -> None:
    """Print one line per kind of request."""
    everything = [value for values in tally.seconds.values() for value in values]
    for kind, values in [*sorted(tally.seconds.items()), ("all", everything)]:
        ordered = sorted(values)
        p50, p99 = (ordered[int(len(ordered) * part)] * 1000 for part in (0.50, 0.99))
        print(
            f"{kind:8} {len(values):7} {len(values) / seconds:8.1f}/s  p50 {p50:7.1f} ms  p99 {p99:7.1f} ms"
        )
    print(f"errors   {sum(tally.errors.values()):7} {dict(tally.errors) or ''}")


async def measure(folder: Path, *, clients: int, seconds: float) -> int:
    """The whole run; returns the number of errors, lost events and missed targets."""
    caps = [f"SSE_MAX_SUBSCRIBERS={clients * 2}", "QUEUE_LIMIT=100000", "LOG_LEVEL=WARNING"]
    with service(str(folder), *caps) as (port, process):
        tally = await load(port, clients=clients, seconds=seconds)
        show(tally, seconds)
        lost = lost_events(folder / "data" / "sqlite.db", tally)
        told = sum(map(len, tally.followed.values())) + sum(map(len, tally.all_streams))
        print(
            f"events   {told:7} told on {len(tally.followed) + len(tally.all_streams)} streams, lost {lost}"
        )
        ratio = await compare(port, process, await finished_job(port))
    return sum(tally.errors.values()) + lost + (ratio < TARGET_RATIO)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        wrong = asyncio.run(measure(Path(name), clients=options.clients, seconds=options.seconds))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
