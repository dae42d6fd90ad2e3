"""How long the store's verbs take: `python -m benchmarks.store_latency [--jobs N] [--dir FOLDER]`.

Prints median, 99th percentile and maximum in ms, each verb awaited one after the other, on the disk of
`--dir` (a temporary folder by default). Every write is synced to the disk (synchronous=FULL).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from backend.models.records import ClaimedJob, NewJob
from backend.storage.setup import prepare_directories
from backend.storage.store import Store, open_store
from backend.utils.clock import SystemClock
from backend.utils.ids import new_id


def _job() -> NewJob:
    return NewJob(new_id("job"), {"script_input": "x" * 500}, "0" * 64, ("draft",), seed=1)


async def _measure(name: str, calls: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
    times_ms, results = [], []
    for call in calls:
        started = time.perf_counter()
        results.append(await call())
        times_ms.append((time.perf_counter() - started) * 1000)
    p99 = statistics.quantiles(times_ms, n=100)[-1]
    print(f"{name:22} p50 {statistics.median(times_ms):6.2f}  p99 {p99:6.2f}  max {max(times_ms):6.2f} ms")
    return results


async def _run(store: Store, count: int) -> None:
    jobs = [job for job, _ in await _measure("enqueue", [lambda: store.jobs.enqueue(_job())] * count)]
    ids = [job.job_id for job in jobs]
    await _measure("view of a waiting job", [lambda i=i: store.jobs.get_view(i) for i in ids[::5]])
    half = [lambda: store.jobs.claim("boot/0", lease_ms=60_000)] * (count // 2)
    claimed: list[ClaimedJob] = await _measure("claim", half)
    fences = [item.fence for item in claimed]
    await _measure("report_progress", [lambda f=f: store.jobs.report_progress(f, 50) for f in fences])
    await _measure("view of a running job", [lambda f=f: store.jobs.get_view(f.job_id) for f in fences])
    await _measure("list of 20", [lambda: store.jobs.list_page()] * 100)
    await _measure("release", [lambda f=f: store.jobs.release(f) for f in fences])
    started = time.perf_counter()
    await asyncio.gather(*(store.jobs.get_view(i) for i in ids))
    print(f"{len(ids) / (time.perf_counter() - started):.0f} views a second, {len(ids)} at once")


async def _main(count: int, folder: Path) -> None:
    layout = prepare_directories(folder / "data", folder / "logs")
    store = await open_store(layout, SystemClock(), max_queued=count + 1)
    try:
        await _run(store, count)
    finally:
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--dir", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as temporary:
        asyncio.run(_main(arguments.jobs, Path(temporary)))
