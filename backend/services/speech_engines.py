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
from backend.engines.worker_port import EngineWorker
from backend.utils.config import BASE_DIR

# Folder of the project in which the installer puts the environment.
VOXCPM_CORE = "voxcpm_core"


def clone_engines(
    workers: Mapping[str, EngineWorker], has_weights: Callable[[str], bool], *, base_dir: Path = BASE_DIR
) -> tuple[BaseSpeechEngine, ...]:
    """`workers` by name; `has_weights` looks whether a model of the catalogue is there, whole and checked."""
    return (
        VoxCpmSpeechEngine(
            workers[VoxCpmSpeechEngine.name],
            core_dir=base_dir / VOXCPM_CORE,
            has_weights=partial(has_weights, VoxCpmSpeechEngine.model_id),
        ),
        MossNanoSpeechEngine(
            workers[MossNanoSpeechEngine.name],
            has_weights=partial(has_weights, MossNanoSpeechEngine.model_id),
        ),
    )
