"""VoxCPM2: clones a voice on an NVIDIA GPU, in the `voxcpm` worker with an environment of its own. Service process side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.engines.base import Readiness
from backend.engines.environment_probe import installation_readiness
from backend.engines.speech.clone import CloneSpeechEngine
from backend.engines.worker_port import EngineWorker

INSTALLER = "install_voxcpm.sh (Linux) or install_voxcpm.bat (Windows)"


class VoxCpmSpeechEngine(CloneSpeechEngine):
    """`core_dir` is `voxcpm_core`, where the installer puts the environment."""

    name = "voxcpm"
    title_en = "Voice cloning on the GPU (VoxCPM2)"
    title_zh = "GPU 声音克隆（VoxCPM2）"
    licence = "Apache-2.0"
    model_id = "voxcpm2"
    model_title = "VoxCPM2"
    uses_gpu = True

    def __init__(self, worker: EngineWorker, *, core_dir: Path, has_weights: Callable[[], bool]) -> None:
        super().__init__(worker, has_weights=has_weights)
        self._core_dir = core_dir

    def readiness(self) -> Readiness:
        environment = installation_readiness(self._core_dir, title="VoxCPM2", installer=INSTALLER)
        if not environment.is_ready:
            return environment
        return super().readiness()
