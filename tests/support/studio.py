"""A whole service in this process: real HTTP layer, services and store; twins in place of the workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from backend.engines.base import BaseEngineAdapter
from backend.engines.gpu_pool import GpuFacts
from backend.engines.speech.base import BaseSpeechEngine
from backend.engines.worker_port import EngineWorker
from backend.main import create_app
from backend.services.gpu_fleet import WorkerMaker
from backend.services.model_catalogue import ModelCatalogue
from backend.services.portrait_fetch import Fetcher
from backend.utils.config import Settings, load_settings
from tests.support.twin_gpus import TwinDriver
from tests.support.twin_worker import TwinWorker

BASE_URL = "http://127.0.0.1:8000"
TERMINAL = {"completed", "failed", "cancelled"}
# A job with twins takes about a second; a loaded CI machine gets a lot more.
WAIT_S = 60.0


@dataclass
class Studio:
    """A running service and a client for it."""

    http: httpx.AsyncClient
    speech: TwinWorker
    draft: TwinWorker
    settings: Settings

    async def submit(self, **changes: Any) -> str:
        """Post a job that would succeed, with `changes`; returns its id."""
        answer = await self.http.post("/api/jobs", json=job_body(**changes))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    async def view(self, job_id: str) -> dict[str, Any]:
        # A socket would give the loop a turn; a call in memory that is answered from what is kept does not.
        await asyncio.sleep(0)
        answer = await self.http.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def wait_for(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """Poll until the job has one of these statuses (default: any terminal one)."""
        wanted = set(statuses) or TERMINAL
        async with asyncio.timeout(WAIT_S) if hasattr(asyncio, "timeout") else contextlib.nullcontext():
            while True:
                view = await self.view(job_id)
                if view["status"] in wanted:
                    return view
                assert view["status"] not in TERMINAL, view
                await asyncio.sleep(0.02)

    async def engine(self, name: str) -> dict[str, Any]:
        """An engine's row of `GET /api/engines`."""
        answer = await self.http.get("/api/engines")
        row: dict[str, Any] = next(one for one in answer.json()["data"] if one["name"] == name)
        return row


def video_hops(view: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Who tried to make the picture of a job, how it went, and what each try gave up."""
    return [(h["engine"], h["outcome"], h["change"]) for h in view["attempts"] if h["stage"] == "video"]


def job_body(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "voice_id": "voice_builtinafheart",
        "avatar_url": "avatar_builtinaria",
        "script_mode": "manual",
        "script_input": "Hello there, this is a test.",
        "preferred_engine": "auto",
        "wangp_model": "Wan t2v 1.3B",
    }
    return {**body, **changes}


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings that read neither the machine's environment file nor its data."""
    # What writes scripts on a developer's own computer has no part in a test.
    options = {"script_discovery": False, **changes}
    return load_settings(folder / "no.env", data_dir=folder / "data", logs_dir=folder / "logs", **options)


@contextlib.asynccontextmanager
async def running_studio(
    folder: Path,
    *,
    adapters: Sequence[BaseEngineAdapter] = (),
    speech_engines: Sequence[BaseSpeechEngine] = (),
    fetcher: Fetcher | None = None,
    catalogue: ModelCatalogue | None = None,
    recogniser: EngineWorker | None = None,
    workers: Mapping[str, EngineWorker | WorkerMaker] | None = None,
    gpus: Sequence[GpuFacts] = (),
    engines_dir: Path | None = None,
    **changes: Any,
) -> AsyncIterator[Studio]:
    """Start the service over `folder`, stop it at the end.

    The machine has the `gpus` that are given and no others, and no engine is installed but what lies in `engines_dir`.
    """
    settings = settings_in(folder, **changes)
    speech, draft = TwinWorker("speech"), TwinWorker("draft")
    app = create_app(
        settings,
        adapters=adapters,
        speech_engines=speech_engines,
        fetcher=fetcher,
        workers={
            "speech": speech,
            "draft": draft,
            **({"listen": recogniser} if recogniser else {}),
            **(workers or {}),
        },
        catalogue=catalogue,
        gpu_driver=TwinDriver(gpus),
        engines_dir=engines_dir or folder / "engines",
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http,
    ):
        yield Studio(http, speech, draft, settings)
