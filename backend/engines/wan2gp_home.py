"""Where Wan2GP lies, and whether its installer finished there. Service process side.

Upstream's checkout may be the user's own; the environment is the installer's. Files are only looked at.
"""

from __future__ import annotations

from pathlib import Path

from backend.engines.base import Readiness
from backend.engines.environment_probe import installation_readiness

# Folder of the project, below which everything of Wan2GP lies.
WAN2GP_CORE = "wan2gp_core"
INSTALLER = "install_wan2gp.bat (Windows) or install_wan2gp.sh (Linux)"
# Where upstream begins: the folder with this file is the checkout.
UPSTREAM_MAIN = "wgp.py"


def environment_readiness(core_dir: Path) -> Readiness:
    """READY, or NOT_INSTALLED with the reason and the way out. A few looks at the disk."""
    return installation_readiness(core_dir, title="Wan2GP", installer=INSTALLER, source=UPSTREAM_MAIN)
