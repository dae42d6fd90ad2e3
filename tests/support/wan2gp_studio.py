"""A whole service with Wan2GP installed: the stand-in of the engine in a real environment folder, its worker a real
process, and weights of a few bytes each that count as fetched and checked."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from backend.engines.gpu_pool import GpuFacts
from installer.state import InstallState, write_state
from tests.support.fake_wan2gp import FakeWan2GP
from tests.support.studio import Studio, running_studio
from tests.support.twin_gpus import gpu
from tests.support.wan2gp_home import SPEECH_IDS, VIDEO_IDS, lay_weights, tiny_catalogue


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


ALL_MODELS = tuple(entry for entry in (*VIDEO_IDS, *SPEECH_IDS) if entry.startswith("wan2gp"))


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
    lay_weights(folder, catalogue, *weights)
    async with running_studio(folder, catalogue=catalogue, gpus=gpus or [gpu()], **changes) as studio:
        yield studio, fake
