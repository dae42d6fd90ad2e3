"""The app: `create_app(settings)` is the factory, `app` is what `uvicorn backend.main:app` loads.

Importing this module reads no setting and touches no file: settings are read when the app is first used.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from fastapi import FastAPI

from backend import __version__
from backend.api.batches import MAX_BATCH_BYTES
from backend.api.errors import install_error_handlers
from backend.api.guards import MULTIPART_OVERHEAD_BYTES, GuardMiddleware, HostPolicy
from backend.api.request_log import RequestLogMiddleware
from backend.api.routes import install_routes
from backend.api.stop_signals import on_stop_signal
from backend.api.webui import install_webui
from backend.engines.base import BaseEngineAdapter
from backend.engines.gpu_pool import GpuDriver
from backend.engines.speech.base import BaseSpeechEngine
from backend.engines.worker_port import EngineWorker
from backend.services.access import Access
from backend.services.container import running_services
from backend.services.gpu_fleet import WorkerMaker
from backend.services.model_catalogue import ModelCatalogue
from backend.services.portrait_fetch import Fetcher
from backend.utils.clock import SystemClock
from backend.utils.config import BASE_DIR, BUNDLE_DIR, Settings, load_settings


def _stop_the_service(error: BaseException) -> None:
    """A background task died: end in good order, so that whoever started us sees it and can restart."""
    os.kill(os.getpid(), signal.SIGTERM)


def create_app(
    settings: Settings | None = None,
    *,
    adapters: Sequence[BaseEngineAdapter] = (),
    speech_engines: Sequence[BaseSpeechEngine] = (),
    fetcher: Fetcher | None = None,
    workers: Mapping[str, EngineWorker | WorkerMaker] | None = None,
    catalogue: ModelCatalogue | None = None,
    gpu_driver: GpuDriver | None = None,
    engines_dir: Path = BASE_DIR,
) -> FastAPI:
    """An app over `settings` (default: environment and .env) with `adapters` and `speech_engines` beside the built-in
    engines.

    `fetcher`, `workers`, `catalogue` (of models), `gpu_driver` and `engines_dir` are seams for tests.
    """
    chosen = settings or load_settings()
    access = Access(SystemClock())

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_services(
            chosen,
            access=access,
            adapters=adapters,
            speech_engines=speech_engines,
            fetcher=fetcher,
            workers=workers,
            catalogue=catalogue,
            gpu_driver=gpu_driver,
            engines_dir=engines_dir,
            on_death=_stop_the_service,
        ) as services:
            app.state.services = services
            with on_stop_signal(services.events.close):
                yield

    app = FastAPI(
        title="All-in-one",
        version=__version__,
        description="A voice, a portrait and a script become a talking video, on one's own machine.",
        lifespan=lifespan,
        # The interactive pages load scripts from a CDN, which the content security policy forbids.
        docs_url=None,
        redoc_url=None,
    )
    install_error_handlers(app)
    install_routes(app)
    install_webui(app, BUNDLE_DIR / "webui")
    # What is added last is the outermost: refused requests are not logged.
    app.add_middleware(RequestLogMiddleware)
    app.add_middleware(
        GuardMiddleware,
        hosts=HostPolicy(chosen.host, chosen.extra_hosts),
        key=access,
        upload_limits={
            "/api/voice/clone": (chosen.max_audio_mib << 20) + MULTIPART_OVERHEAD_BYTES,
            "/api/avatars": (chosen.max_image_mib << 20) + MULTIPART_OVERHEAD_BYTES,
            "/api/batches": MAX_BATCH_BYTES,
        },
    )
    return app


def __getattr__(name: str) -> FastAPI:
    """`app`, made when uvicorn asks for it, so that importing the module has no effect."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = create_app()
    globals()["app"] = made
    return made
