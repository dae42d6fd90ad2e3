"""Starting and stopping the service over and over leaves no descriptor, thread, task or process behind."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tests.support.studio import running_studio

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc"),
]

# The first rounds fill caches and pools that are kept on purpose.
WARM_UP = 2


def held() -> tuple[int, int, int, int]:
    """Descriptors, threads other than the loop's pool, tasks, and child processes."""
    gc.collect()
    pool = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    children = psutil.Process().children(recursive=True)
    return len(os.listdir("/proc/self/fd")), len(pool), len(asyncio.all_tasks()), len(children)  # noqa: PTH208


@pytest.mark.parametrize("rounds", [6, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_many_starts_and_stops_leave_nothing_open(tmp_path: Path, rounds: int) -> None:
    baseline = None
    for number in range(WARM_UP + rounds):
        async with running_studio(tmp_path) as studio:
            if number < WARM_UP:
                assert (await studio.wait_for(await studio.submit()))["status"] == "completed"
            async with studio.http.stream("GET", "/health") as answer:
                assert answer.status_code == 200
        if number == WARM_UP - 1:
            baseline = held()
    assert held() == baseline
