"""Where InfiniteTalk's environment lies, and whether its installer finished there. Service process side.

Its code is ours and comes with the service, its weights are the model service's; the folder holds a Python alone.
"""

from __future__ import annotations

from pathlib import Path

from backend.engines.base import Readiness
from backend.engines.environment_probe import installation_readiness, is_for_a_gpu
from backend.models.codes import ErrorCode

# Folder of the project in which the installer puts the environment.
INFINITETALK_CORE = "infinitetalk_core"
INSTALLER = "install_infinitetalk.bat (Windows) or install_infinitetalk.sh (Linux)"


def infinitetalk_readiness(core_dir: Path) -> Readiness:
    """READY, or NOT_INSTALLED with the reason and the way out. A few looks at the disk."""
    environment = installation_readiness(core_dir, title="InfiniteTalk", installer=INSTALLER)
    if environment.is_ready and not is_for_a_gpu(core_dir):
        return Readiness(
            "NOT_INSTALLED",
            ErrorCode.GPU_UNSUPPORTED,
            "InfiniteTalk was installed without an NVIDIA GPU, and a film on the processor would take weeks.",
            f"With an NVIDIA GPU and its driver in this computer, run {INSTALLER} again.",
        )
    return environment
