"""The built-in engines for the picture, best first. Runs in the service process; part of the wiring in `container`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from backend.engines.base import BaseEngineAdapter
from backend.engines.draft_adapter import DraftAdapter
from backend.engines.gpu_pool import GpuPool
from backend.engines.infinitetalk_adapter import InfiniteTalkAdapter
from backend.engines.wan2gp_adapter import Wan2GPAdapter
from backend.engines.wan2gp_home import WAN2GP_CORE
from backend.engines.wan2gp_models import Wan2GPModels
from backend.engines.worker_port import EngineWorker
from backend.models.errors import RequestError
from backend.services.model_service import ModelService
from backend.utils.config import BUNDLE_DIR


def video_engines(
    workers: Mapping[str, EngineWorker],
    models: ModelService,
    table: Wan2GPModels,
    gpus: GpuPool,
    *,
    engines_dir: Path,
) -> tuple[BaseEngineAdapter, ...]:
    """`engines_dir` holds the engines' own folders (`wan2gp_core`, …)."""

    def has_weights(model_id: str) -> bool:
        try:
            return models.ready_now(model_id)
        except RequestError:
            return False  # not in the catalogue of this release

    return (
        InfiniteTalkAdapter(
            engines_dir / "infinitetalk_core", BUNDLE_DIR / "workers" / "infinitetalk" / "handler.py"
        ),
        Wan2GPAdapter(
            workers["wan2gp"],
            core_dir=engines_dir / WAN2GP_CORE,
            models=table,
            has_weights=has_weights,
            largest_gpu_mib=gpus.largest_mib,
        ),
        DraftAdapter(workers["draft"]),
    )
