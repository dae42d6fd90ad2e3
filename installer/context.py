"""What every step of an installation knows: the engine, the machine, where things go. Runs in the start script's Python."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from installer.engines import LOCKS, EngineDefinition
from installer.gpus import Gpu, Graphics
from installer.sources import Sources
from installer.torch_builds import TorchBuild
from launcher.console import Console
from launcher.process import Outcome, Runner
from launcher.project import child_environment, python_of
from launcher.state import lock_digest

UV_LOCK = LOCKS / "uv.lock"
# What a user's shell may say to uv and what must not decide here.
_UV_FOREIGN = (
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_PYTHON",
    "UV_TARGET",
    "UV_PREFIX",
)


@dataclass(frozen=True)
class Context:
    """`gpu` is None without a usable one; `torch` is None when there is neither a GPU nor a choice of the user."""

    engine: EngineDefinition
    root: Path
    graphics: Graphics
    gpu: Gpu | None
    torch: TorchBuild | None
    sources: Sources
    runner: Runner
    console: Console
    private_python: bool = False

    @property
    def core(self) -> Path:
        return self.root / self.engine.core_folder

    @property
    def environment(self) -> Path:
        """`python_env`, where the service looks for it."""
        return self.core / "python_env"

    @property
    def python(self) -> Path:
        return python_of(self.environment)

    @property
    def uv_folder(self) -> Path:
        """By the lock's hash: another version of uv goes beside the old one."""
        return self.core / "tools" / f"uv-{lock_digest(UV_LOCK)[:12]}"

    @property
    def uv(self) -> Path:
        """Where `pip install --target` puts the program."""
        return self.uv_folder / "bin" / ("uv.exe" if sys.platform == "win32" else "uv")

    def uv_environment(self) -> dict[str, str]:
        """For uv: everything that it keeps lies in the engine's folder, and nothing else decides what it does."""
        env = child_environment(
            {
                "UV_CACHE_DIR": str(self.core / "cache"),
                "UV_PYTHON_INSTALL_DIR": str(self.core / "python"),
                "UV_PYTHON_INSTALL_MIRROR": (
                    f"{self.sources.github}/astral-sh/python-build-standalone/releases/download"
                ),
                "UV_PYTHON_DOWNLOADS": "manual",
                "UV_NO_CONFIG": "1",
                "UV_HTTP_TIMEOUT": "120",
                "UV_NO_PROGRESS": "1",
            }
        )
        for name in _UV_FOREIGN:
            env.pop(name, None)
        return env

    def run_uv(self, *arguments: str) -> Outcome:
        """Run uv with the terminal's output; its last lines come back."""
        return self.runner.stream([str(self.uv), *arguments], cwd=self.core, env=self.uv_environment())
