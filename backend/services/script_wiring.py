"""Wires everything that writes scripts; a part of `container.py`. Runs in the service process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from backend.engines.worker_port import EngineWorker
from backend.models.model_catalogue import CatalogueModel
from backend.services.avatar_service import AvatarService
from backend.services.file_keeper import FileKeeper
from backend.services.script_endpoints import PLACES, LocalModel, ScriptApi, ScriptModels
from backend.services.script_local import LocalWriter
from backend.services.script_requests import ScriptService
from backend.services.script_stage import ScriptStage
from backend.services.script_writer import ScriptWriter
from backend.utils.clock import Clock
from backend.utils.config import Settings

# The entry of the catalogue that the writer worker runs.
LOCAL_MODEL_ID = "script-qwen"


@dataclass(frozen=True)
class ScriptServices:
    """What others need of it: the stage of a job, and what HTTP asks."""

    stage: ScriptStage
    requests: ScriptService


def local_model(catalogue_dir: Path, models_dir: Path) -> LocalModel:
    """The small model: its name, and where its one file will lie."""
    entry = CatalogueModel.model_validate_json((catalogue_dir / f"{LOCAL_MODEL_ID}.json").read_bytes())
    (file,) = entry.files
    return LocalModel(
        model_id=entry.id,
        name=entry.name_en,
        path=models_dir / entry.folder / file.path,
        bytes=file.expected_bytes,
    )


def script_api(settings: Settings) -> ScriptApi:
    """Who writes, as the settings say."""
    key = settings.script_api_key
    return ScriptApi(
        url=settings.script_api_url,
        key=key.get_secret_value() if key else None,
        model=settings.script_api_model,
        discovery=settings.script_discovery,
    )


def wire_scripts(
    settings: Settings,
    *,
    catalogue_dir: Path,
    worker: EngineWorker,
    files: FileKeeper,
    avatars: AvatarService,
    clock: Clock,
) -> ScriptServices:
    """`worker`: the one that runs the small model."""
    # A service that listens at one of those ports itself would find its own voices there.
    models = ScriptModels(
        script_api(settings),
        local=local_model(catalogue_dir, settings.models_dir),
        clock=clock,
        places=[place for place in PLACES if urlsplit(place.url).port != settings.port],
    )
    writer = ScriptWriter(local=LocalWriter(worker), max_chars=settings.max_script_chars)
    return ScriptServices(
        stage=ScriptStage(files=files, avatars=avatars, models=models, writer=writer),
        requests=ScriptService(models, writer, work_dir=settings.work_dir),
    )
