"""The speech engines beside the built-in one, best first. Runs in the service process; part of the wiring.

A new engine is one more entry of `clone_engines`; its `name` is then a valid `speech_engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from backend.engines.speech.base import BaseSpeechEngine
from backend.engines.speech.moss_nano import MossNanoSpeechEngine
from backend.engines.speech.voxcpm import VoxCpmSpeechEngine
from backend.engines.speech.wan2gp import WORKER, Wan2GPSpeechEngine, load_voice_facts
from backend.engines.wan2gp_home import WAN2GP_CORE, environment_readiness
from backend.engines.worker_port import EngineWorker
from backend.utils.config import BASE_DIR, BUNDLE_DIR

# Folder of the project in which the installer puts the environment.
VOXCPM_CORE = "voxcpm_core"


def clone_engines(
    workers: Mapping[str, EngineWorker], has_weights: Callable[[str], bool], *, base_dir: Path | None = None
) -> tuple[BaseSpeechEngine, ...]:
    """`workers` by name; `has_weights` looks whether a model of the catalogue is there, whole and checked."""
    base_dir = base_dir or BASE_DIR
    return (
        VoxCpmSpeechEngine(
            workers[VoxCpmSpeechEngine.name],
            core_dir=base_dir / VOXCPM_CORE,
            has_weights=partial(has_weights, VoxCpmSpeechEngine.model_id),
        ),
        *_wan2gp_engines(workers, has_weights, base_dir / WAN2GP_CORE),
        MossNanoSpeechEngine(
            workers[MossNanoSpeechEngine.name],
            has_weights=partial(has_weights, MossNanoSpeechEngine.model_id),
        ),
    )


def _wan2gp_engines(
    workers: Mapping[str, EngineWorker], has_weights: Callable[[str], bool], core_dir: Path
) -> tuple[Wan2GPSpeechEngine, ...]:
    """Wan2GP's voices, best first; all in the one worker that makes its videos too."""
    worker = workers.get(WORKER)
    if worker is None:
        return ()
    return tuple(
        Wan2GPSpeechEngine(
            worker, facts, environment=partial(environment_readiness, core_dir), has_weights=has_weights
        )
        for facts in load_voice_facts(BUNDLE_DIR / "assets")
    )
