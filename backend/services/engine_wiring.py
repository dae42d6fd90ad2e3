"""The built-in engines for the picture, best first. Runs in the service process; part of the wiring in `container`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from backend.engines.base import BaseEngineAdapter
from backend.engines.diffusers_text import DiffusersText
from backend.engines.draft_adapter import DraftAdapter
from backend.engines.gpu_pool import GpuPool
from backend.engines.infinitetalk_adapter import InfiniteTalkAdapter
from backend.engines.infinitetalk_home import INFINITETALK_CORE
from backend.engines.wan2gp_adapter import Wan2GPAdapter
from backend.engines.wan2gp_home import WAN2GP_CORE
from backend.engines.wan2gp_models import Wan2GPModels
from backend.engines.worker_port import EngineWorker
from backend.models.errors import RequestError
from backend.services.model_service import ModelService
from backend.utils.clock import Clock
from backend.utils.media.ffmpeg import Ffmpeg

# A batch of two hundred jobs must not look at thirty files for each of them, on the event loop; what a person changes
# is seen before the next click.
REMEMBERED_S = 1.0


def remembered(look: Callable[[str], bool], clock: Clock) -> Callable[[str], bool]:
    """`look`, whose answers hold for a moment. What went meanwhile, the worker misses and says so."""
    known: dict[str, tuple[float, bool]] = {}

    def ask(model_id: str) -> bool:
        now = clock.monotonic_s()
        if model_id not in known or now - known[model_id][0] >= REMEMBERED_S:
            known[model_id] = (now, look(model_id))
        return known[model_id][1]

    return ask


def video_engines(
    workers: Mapping[str, EngineWorker],
    models: ModelService,
    table: Wan2GPModels,
    gpus: GpuPool,
    *,
    engines_dir: Path,
    ffmpeg: Ffmpeg,
    clock: Clock,
) -> tuple[BaseEngineAdapter, ...]:
    """`engines_dir` holds the engines' own folders (`wan2gp_core`, …)."""

    def look(model_id: str) -> bool:
        try:
            return models.ready_now(model_id)
        except RequestError:
            return False  # not in the catalogue of this release

    has_weights = remembered(look, clock)
    infinitetalk, core_dir = workers["infinitetalk"], engines_dir / INFINITETALK_CORE
    return (
        InfiniteTalkAdapter(infinitetalk, core_dir=core_dir, has_weights=has_weights, ffmpeg=ffmpeg),
        Wan2GPAdapter(
            workers["wan2gp"],
            core_dir=engines_dir / WAN2GP_CORE,
            models=table,
            has_weights=has_weights,
            largest_gpu_mib=gpus.largest_mib,
            text=DiffusersText(infinitetalk, core_dir=core_dir, has_weights=has_weights),
        ),
        DraftAdapter(workers["draft"]),
    )
