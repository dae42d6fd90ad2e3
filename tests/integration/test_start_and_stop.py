"""An app that is started and stopped many times in one process leaves nothing behind: no file, thread, process, task."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from pathlib import Path

import psutil
import pytest

from tests.integration.test_library_over_http import png, upload_avatar
from tests.support.raw_asgi import call
from tests.support.studio import running_studio

pytestmark = pytest.mark.slow

CYCLES = 20
# The first starts fill caches of imported libraries, which stay.
WARM_UP = 2


def open_files() -> set[str]:
    """Paths that this process holds open."""
    return {file.path for file in psutil.Process().open_files()}


def descriptors() -> int:
    process = psutil.Process()
    return process.num_handles() if hasattr(process, "num_handles") else process.num_fds()


async def one_life(folder: Path) -> None:
    """Start, do a bit of everything, hang up on a stream, stop with a job still running."""
    async with running_studio(folder) as studio:
        app = studio.http._transport.app  # type: ignore[attr-defined]
        await studio.wait_for(await studio.submit(preferred_engine="wan2gp"))
        await upload_avatar(studio, png())
        answer = await call(app, "GET", "/api/events", hang_up_on=lambda got: b"snapshot" in got.body)
        assert (answer.status, answer.is_whole) == (200, False)
        studio.speech.gate.clear()
        job_id = await studio.submit()
        await studio.wait_for(job_id, "processing")


async def test_twenty_lives_of_the_app_leave_nothing_behind(tmp_path: Path) -> None:
    for number in range(WARM_UP):
        await one_life(tmp_path / f"warm-up-{number}")
    gc.collect()
    before = (
        descriptors(),
        open_files(),
        set(threading.enumerate()),
        psutil.Process().children(recursive=True),
    )
    handlers = {
        name: list(logging.getLogger(name).handlers)
        for name in ("allinone.app", "allinone.worker", "uvicorn")
    }
    tasks = len(asyncio.all_tasks())
    for number in range(CYCLES):
        await one_life(tmp_path / str(number))
    gc.collect()
    assert open_files() <= before[1]
    assert descriptors() <= before[0]
    # The loop's pool may grow to its bound; every other thread is a leak.
    leaked = {
        thread.name for thread in set(threading.enumerate()) - before[2] if "asyncio" not in thread.name
    }
    assert leaked == set()
    assert psutil.Process().children(recursive=True) == before[3]
    assert len(asyncio.all_tasks()) == tasks
    assert {name: list(logging.getLogger(name).handlers) for name in handlers} == handlers


async def test_a_start_that_fails_gives_everything_back(tmp_path: Path) -> None:
    async with running_studio(tmp_path):
        pass
    (tmp_path / "data" / "sqlite.db").write_bytes(b"this is no database" * 1000)
    gc.collect()
    before = (open_files(), set(threading.enumerate()))
    for _ in range(3):
        try:
            async with running_studio(tmp_path):
                raise AssertionError("it started")
        except Exception as error:  # noqa: BLE001 - any error that says why will do here
            assert "started" not in str(error)
    gc.collect()
    assert open_files() <= before[0]
    assert {t.name for t in set(threading.enumerate()) - before[1] if "asyncio" not in t.name} == set()
