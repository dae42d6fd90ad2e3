"""A whole service with Wan2GP installed: the stand-in of the engine in a real environment folder, its worker a real
process, and weights of a few bytes each that count as fetched and checked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

from backend.engines.gpu_pool import GpuFacts
from backend.models.model_catalogue import CatalogueModel
from backend.services.model_catalogue import ModelCatalogue
from backend.storage.model_files import ModelFiles
from installer.state import InstallState, write_state
from tests.fixtures.workers.harness import ROOT
from tests.support.fake_wan2gp import FakeWan2GP
from tests.support.studio import Studio, running_studio, settings_in
from tests.support.twin_gpus import gpu

_WEIGHTS = b"weights"
_TABLE = json.loads((ROOT / "assets" / "wan2gp" / "models.json").read_text("utf-8"))
_VOICES = json.loads((ROOT / "assets" / "wan2gp" / "voices.json").read_text("utf-8"))
_ENTRIES = sorted(
    {
        entry
        for model in _TABLE["video"]
        for entries in ("catalogue", "catalogue_two", "catalogue_720p")
        for entry in model[entries] or ()
    }
    | {entry for voice in _VOICES["voices"] for entry in voice["catalogue"]}
    | {"voxcpm2", "moss-tts-nano"}
)


def tiny_catalogue() -> ModelCatalogue:
    """An entry of one small file for every entry that the table names."""
    digest = hashlib.sha256(_WEIGHTS).hexdigest()
    return ModelCatalogue(
        CatalogueModel.model_validate(
            {
                "id": entry,
                "name_en": entry,
                "name_zh": entry,
                "purpose": "video",
                "engine": "wan2gp",
                "licence": "MIT",
                "licence_url": "https://example.org/licence",
                "folder": "wan2gp",
                "sources": {"huggingface": {"repo": "owner/name", "revision": "v1"}},
                "files": [{"path": f"{entry}.bin", "bytes": len(_WEIGHTS), "sha256": digest}],
            }
        )
        for entry in _ENTRIES
    )


def lay_weights(folder: Path, catalogue: ModelCatalogue, entries: Iterable[str]) -> None:
    files = ModelFiles(settings_in(folder).models_dir)
    for entry in entries:
        model = catalogue.get(entry)
        assert model is not None, entry
        for file in model.files:
            path = files.path(model, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_WEIGHTS)
            files.mark(model, file, hashlib.sha256(_WEIGHTS).hexdigest(), "download", None)


def install(engines_dir: Path) -> FakeWan2GP:
    """What the installer leaves, with the tests' interpreter in the environment's place."""
    core = engines_dir / "wan2gp_core"
    fake = FakeWan2GP(core)
    python = core / "python_env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    write_state(core, InstallState(str(core), ready=True, facts={"gpu_index": 0}))
    return fake


ALL_MODELS = tuple(entry for entry in _ENTRIES if entry.startswith("wan2gp"))


@contextlib.asynccontextmanager
async def wan2gp_studio(
    folder: Path,
    *,
    weights: Sequence[str] = ALL_MODELS,
    gpus: Sequence[GpuFacts] | None = None,
    installed: FakeWan2GP | None = None,
    **changes: Any,
) -> AsyncIterator[tuple[Studio, FakeWan2GP]]:
    """The service over `folder`, on a machine with one card (or `gpus`) and these entries of the catalogue.

    `installed` is the engine of an earlier start over the same folder.
    """
    fake = installed or install(folder / "engines")
    catalogue = tiny_catalogue()
    lay_weights(folder, catalogue, weights)
    async with running_studio(folder, catalogue=catalogue, gpus=gpus or [gpu()], **changes) as studio:
        yield studio, fake
