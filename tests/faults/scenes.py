"""Scenes of the fault tests: a service with one misbehaving engine, and waiting for a job to come somewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.fixture_engine import FixtureEngine
from tests.support.studio import WAIT_S, Studio, running_studio


@contextlib.asynccontextmanager
async def fixture_studio(
    folder: Path, handler: str, task: str, **engine: Any
) -> AsyncIterator[tuple[Studio, FixtureEngine]]:
    """A service whose engine `fixture` runs `task` of a fixture handler in a real worker for each job."""
    async with (
        FixtureEngine("fixture", folder, handler, task, **engine) as fixture,
        running_studio(folder, adapters=[fixture]) as studio,
    ):
        yield studio, fixture


async def reaches(studio: Studio, job_id: str, **wanted: Any) -> dict[str, Any]:
    """Poll until these fields of the job have these values; returns the view."""
    give_up_at = asyncio.get_running_loop().time() + WAIT_S
    while True:
        view = await studio.view(job_id)
        if all(view[name] == value for name, value in wanted.items()):
            return view
        assert asyncio.get_running_loop().time() < give_up_at, (wanted, view)
        await asyncio.sleep(0.02)
