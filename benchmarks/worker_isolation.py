"""Prints what isolation costs and how fast it acts: `python -m benchmarks.worker_isolation`. Linux.

One run on one machine; figures are medians where a number of rounds is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backend.engines.process_tree import ProcessIdentity
from backend.engines.supervisor import ProgressUpdate, WorkerLimits, WorkerSupervisor
from backend.engines.worker_log import LogPipe
from backend.models.errors import JobCancelled
from backend.utils.clock import SystemClock
from tests.fixtures.workers.harness import LOG, ROOT, is_alive, make_request, make_spec

ROUNDS = 10
LADDER = WorkerLimits(cancel_grace_s=0.5, term_grace_s=0.5)


def supervisor_of(directory: Path, handler: str) -> WorkerSupervisor:
    spec = make_spec(directory, handler, limits=LADDER)
    return WorkerSupervisor(spec, log=LOG, clock=SystemClock())


async def spawn_to_ready(directory: Path) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        supervisor = supervisor_of(directory, "steady")
        await supervisor.start()
        began = time.perf_counter()
        await supervisor.warm()
        times.append(time.perf_counter() - began)
        await supervisor.stop()
    return times


async def empty_task(directory: Path) -> list[float]:
    supervisor = supervisor_of(directory, "steady")
    await supervisor.start()
    await supervisor.warm()
    times = []
    for _ in range(100):
        request = make_request(directory)
        began = time.perf_counter()
        await supervisor.run(request)
        times.append(time.perf_counter() - began)
    await supervisor.stop()
    return times


async def cancel(directory: Path, handler: str, task: str) -> float:
    supervisor = supervisor_of(directory, handler)
    await supervisor.start()
    asked_at = 0.0

    def ask(update: ProgressUpdate) -> None:
        nonlocal asked_at
        asked_at = asked_at or time.perf_counter()

    request = make_request(directory, task, params={"steps": 10_000, "pause_s": 0.05})
    with contextlib.suppress(JobCancelled):
        await supervisor.run(request, report=ask, cancelled=lambda: asked_at > 0)
    took = time.perf_counter() - asked_at
    await supervisor.stop()
    return took


def parent_death(directory: Path) -> float:
    argv = [
        sys.executable,
        "-m",
        "tests.fixtures.workers.mortal_service",
        str(directory / "service"),
        "holds_the_gil",
    ]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        worker = ProcessIdentity(**json.loads(service.stdout.readline())["worker"])
        began = time.perf_counter()
        service.send_signal(signal.SIGKILL)
        while is_alive(worker.pid):
            time.sleep(0.0005)
        return time.perf_counter() - began


def drain_rate() -> float:
    """MB/s of printed text that the log pipe takes once the rate of written lines is reached."""
    pipe = LogPipe(worker_id="bench", log=LOG, clock=SystemClock())
    chunk = (b"x" * 79 + b"\n") * 819
    began = time.perf_counter()
    for _ in range(3000):
        pipe.feed(chunk)
    return 3000 * len(chunk) / 1e6 / (time.perf_counter() - began)


async def measure(directory: Path) -> None:
    ready = await spawn_to_ready(directory)
    print(
        f"spawn to ready, empty engine      {min(ready) * 1e3:.0f} / {statistics.median(ready) * 1e3:.0f} ms"
    )
    tasks = await empty_task(directory)
    print(f"empty task, warm worker           {statistics.median(tasks) * 1e3:.2f} ms")
    print(f"cooperative cancel, 50 ms steps   {await cancel(directory, 'steady', 'steps') * 1e3:.0f} ms")
    deaf = await cancel(directory, "unruly", "ignores_everything")
    print(f"deaf worker with grandchildren    {deaf:.2f} s (ladder 0.5 + 0.5 s)")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(measure(Path(name)))
        print(
            f"service killed, GIL held          {parent_death(Path(name)) * 1e3:.1f} ms until the worker is gone"
        )
        print(f"log pipe under a flood            {drain_rate():.0f} MB/s")
