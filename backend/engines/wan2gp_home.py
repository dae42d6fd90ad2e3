"""Whether Wan2GP lies where its installer puts it: environment, upstream's files, finished or not. Service process side.

Upstream's checkout may be the user's own; the environment is the installer's. Files are only looked at.
"""

from __future__ import annotations

from pathlib import Path

from backend.engines.base import READY, Readiness
from backend.engines.environment_probe import environment_python, is_installation_whole
from backend.models.codes import ErrorCode

# Folder of the project, below which everything of Wan2GP lies.
WAN2GP_CORE = "wan2gp_core"
INSTALLER = "install_wan2gp.bat (Windows) or install_wan2gp.sh (Linux)"
# Where upstream begins: the folder with this file is the checkout.
UPSTREAM_MAIN = "wgp.py"


def environment_readiness(core_dir: Path) -> Readiness:
    """READY, or NOT_INSTALLED with the reason and the way out. A few looks at the disk."""
    if environment_python(core_dir) is None:
        return _missing(
            "Wan2GP is not installed on this computer.",
            f"Run {INSTALLER} in the project folder. It needs an NVIDIA GPU.",
        )
    if not (core_dir / UPSTREAM_MAIN).is_file():
        return _missing(
            f"Wan2GP's own files are missing: there is no {UPSTREAM_MAIN} in {core_dir.name}.",
            f"Run {INSTALLER} again; it fetches them, or uses a copy that you put there.",
        )
    if not is_installation_whole(core_dir):
        return _missing(
            "The installation of Wan2GP is not finished.",
            f"Run {INSTALLER} again; it goes on where it stopped.",
        )
    return READY


def _missing(reason: str, fix: str) -> Readiness:
    return Readiness("NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED, reason, fix)
