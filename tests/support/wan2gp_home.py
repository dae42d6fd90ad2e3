"""A finished installation of Wan2GP, or of InfiniteTalk, as far as the service looks at it, and a catalogue of tiny weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from backend.engines.diffusers_text import CATALOGUE
from backend.engines.infinitetalk_models import ENCODERS, PRESETS, SETS
from backend.models.model_catalogue import CatalogueModel
from backend.services.model_catalogue import ModelCatalogue
from backend.storage.model_files import ModelFiles
from backend.utils.config import BUNDLE_DIR
from installer.state import InstallState, write_state
from tests.support.studio import settings_in

WEIGHTS = b"weights"
_TABLE = json.loads((BUNDLE_DIR / "assets" / "wan2gp" / "models.json").read_text("utf-8"))
_VOICES = json.loads((BUNDLE_DIR / "assets" / "wan2gp" / "voices.json").read_text("utf-8"))
VIDEO_IDS = tuple(
    sorted(
        {
            model_id
            for model in _TABLE["video"]
            for key in ("catalogue", "catalogue_two", "catalogue_720p")
            for model_id in model[key] or ()
        }
    )
)
# Asked for by engines of speech.
SPEECH_IDS = (
    *sorted({model_id for voice in _VOICES["voices"] for model_id in voice["catalogue"]} - set(VIDEO_IDS)),
    "moss-tts-nano",
    "voxcpm2",
)
INFINITETALK_IDS = (
    *sorted({entry for sets in SETS.values() for entries in sets for entry in entries}),
    ENCODERS,
    *sorted({preset.lora for preset in PRESETS.values() if preset.lora}),
    *CATALOGUE.values(),
)


def tiny_catalogue() -> ModelCatalogue:
    """An entry of one small file in the place of each of gigabytes."""
    entries = [
        {
            "id": model_id,
            "name_en": model_id,
            "name_zh": model_id,
            "purpose": "video",
            "engine": "wan2gp",
            "licence": "MIT",
            "licence_url": "https://example.org/licence",
            "folder": "wan2gp",
            "sources": {"huggingface": {"repo": "owner/name", "revision": "v1"}},
            "files": [
                {
                    "path": f"{model_id}.bin",
                    "bytes": len(WEIGHTS),
                    "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
                }
            ],
        }
        for model_id in (*VIDEO_IDS, *SPEECH_IDS, *INFINITETALK_IDS)
    ]
    return ModelCatalogue([CatalogueModel.model_validate(entry) for entry in entries])


def install_wan2gp(folder: Path, *, ready: bool = True) -> Path:
    """`engines_dir` below `folder` with the environment, upstream's file and the installer's state."""
    engines_dir = install_environment(folder, "wan2gp_core", ready=ready)
    (engines_dir / "wan2gp_core" / "wgp.py").write_text("")
    return engines_dir


def install_environment(folder: Path, core_name: str, *, ready: bool = True, device: str = "cuda") -> Path:
    """`engines_dir` below `folder` with an engine's environment and the installer's state."""
    core = folder / "engines" / core_name
    python = core / "python_env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    write_state(core, InstallState(str(core), ready=ready, facts={"device": device}))
    return folder / "engines"


def lay_weights(folder: Path, models: ModelCatalogue, *model_ids: str) -> None:
    """Their files below the data folder of a studio in `folder`, as if they had been fetched and checked."""
    files = ModelFiles(settings_in(folder).models_dir)
    for model_id in model_ids:
        model = models.get(model_id)
        assert model is not None, model_id
        for file in model.files:
            path = files.path(model, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(WEIGHTS)
            files.mark(model, file, hashlib.sha256(WEIGHTS).hexdigest(), "pinned", None)
