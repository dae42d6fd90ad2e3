"""How long lists and searches of the library take: `python -m benchmarks.library_search [--jobs N] [--chars N]`.

Makes a database of N jobs whose scripts have `--chars` random Chinese characters, in a temporary folder (`--dir` is
where), and prints median and maximum in ms of each kind of list, over `--times` calls.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from backend.models.codes import JobStatus
from backend.models.library_records import NO_FOLDER, JobFilter
from backend.storage.search_text import fold
from backend.storage.setup import prepare_directories
from backend.storage.store import Store, open_store
from backend.utils.clock import SystemClock

_INSERT = """
INSERT INTO jobs (job_id, title, search_text, request_json, request_sha256, engine_plan_json, selected_engine, seed,
  starred, created_at, updated_at)
VALUES (?, ?, ?, ?, 'x', '["draft"]', 'draft', 1, ?, 1, 1)
"""
_VOICES = "INSERT INTO job_voices (voice_id, seq) SELECT 'voice_a', seq FROM jobs WHERE seq % 3 = 0"
# The Chinese characters that scripts are made of here.
_FIRST, _LAST = 0x4E00, 0x6000


def _rows(count: int, chars: int) -> Iterator[tuple[str, str, str, str, bool]]:
    chance = random.Random(1)  # noqa: S311 - the same scripts in each run
    for number in range(count):
        title = f"Video {number}"
        script = "".join(chr(chance.randrange(_FIRST, _LAST)) for _ in range(chars))
        request = json.dumps({"script_input": script, "voice_id": "voice_a"}, ensure_ascii=False)
        yield f"job_{number:012d}", title, fold(f"{title}\n{script}"), request, number % 7 == 0


def _fill(path: Path, count: int, chars: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(_INSERT, _rows(count, chars))
        connection.execute(_VOICES)


async def _measure(store: Store, name: str, only: JobFilter, times: int) -> None:
    taken, total = [], 0
    for _ in range(times):
        began = time.perf_counter()
        total = (await store.jobs.list_page(only)).total
        taken.append((time.perf_counter() - began) * 1000)
    print(f"{name:24} {total:6d} found  p50 {statistics.median(taken):7.1f}  max {max(taken):7.1f} ms")


async def _run(folder: Path, count: int, chars: int, times: int) -> None:
    layout = prepare_directories(folder / "data", folder / "logs")
    store = await open_store(layout, SystemClock())
    try:
        await asyncio.to_thread(_fill, layout.database, count, chars)
        await _measure(store, "all", JobFilter(), times)
        await _measure(store, "starred", JobFilter(starred=True), times)
        await _measure(store, "failed", JobFilter(statuses=(JobStatus.FAILED,)), times)
        await _measure(store, "in no folder", JobFilter(folder_id=NO_FOLDER), times)
        await _measure(store, "of a voice", JobFilter(voice_id="voice_a"), times)
        await _measure(store, "words in all", JobFilter(q="VIDEO"), times)
        await _measure(store, "words in one", JobFilter(q=f"video {count - 1}"), times)
        await _measure(store, "words in none", JobFilter(q="没有这样的词语"), times)
        await _measure(store, "words in none, starred", JobFilter(q="没有这样的词语", starred=True), times)
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--chars", type=int, default=600)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--dir", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        asyncio.run(_run(Path(folder), options.jobs, options.chars, options.times))


if __name__ == "__main__":
    main()
