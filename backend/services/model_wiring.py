"""Makes the model service from the settings. Runs in the service process; part of the wiring in `container`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from backend.services.model_catalogue import ModelCatalogue, load_catalogue
from backend.services.model_service import ModelService
from backend.services.model_sources import ModelSources
from backend.services.model_transfer import ModelTransfers
from backend.storage.model_files import ModelFiles
from backend.storage.store import Store
from backend.utils.config import BASE_DIR, Settings

# Where a Wan2GP that the user brought along keeps its weights.
_CHECKPOINTS = ("wan2gp_core", "ckpts")


async def wire_models(
    settings: Settings,
    store: Store,
    assets_dir: Path,
    *,
    catalogue: ModelCatalogue | None,
    on_death: Callable[[BaseException], None],
) -> ModelService:
    """The service, not started. `catalogue` replaces the one of `assets/catalogue` in tests."""
    files = ModelFiles(settings.models_dir)
    transfers = ModelTransfers(
        files,
        ModelSources(settings.model_source_order, hf_endpoint=settings.hf_endpoint),
        hub_caches=settings.hub_caches,
        folders=(*settings.model_folder_list, BASE_DIR.joinpath(*_CHECKPOINTS)),
        offline=settings.model_offline,
    )
    if catalogue is None:
        catalogue = await asyncio.to_thread(load_catalogue, assets_dir / "catalogue")
    return ModelService(
        catalogue,
        files,
        transfers,
        store.settings,
        on_death=on_death,
        parallel=settings.model_parallel,
        is_offline=settings.model_offline,
    )
