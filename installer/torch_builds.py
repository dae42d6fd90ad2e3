"""Which build of PyTorch fits a graphics card. Pure data and pure functions.

Sources: PyTorch's release matrix for 2.10 (CUDA 12.6 builds hold code for compute capability 5.0 to 9.0, CUDA 12.8
and 13.0 builds for 7.5 to 12.0) and NVIDIA's table of drivers (CUDA 12.x runs with 525 and newer, CUDA 13 with 580
and newer; Blackwell cards need 570). 2.8 (leaks memory) and 2.9 (needs far more GPU memory for video decoders) are
passed over on purpose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from installer.gpus import Gpu
from launcher.errors import Exit, LauncherError

# Packages that belong to one version of PyTorch.
COMPANIONS = {
    "2.10.0": {"torch": "2.10.0", "torchvision": "0.25.0", "torchaudio": "2.10.0"},
    "2.7.1": {"torch": "2.7.1", "torchvision": "0.22.1", "torchaudio": "2.7.1"},
    "2.5.1": {"torch": "2.5.1", "torchvision": "0.20.1", "torchaudio": "2.5.1"},
}
# For engines that need PyTorch alone: the build for the processor, which is the one that their tests run with.
ALONE = {"2.13.0": {"torch": "2.13.0"}}
CPU = "cpu"
CPU_VERSION = "2.13.0"
_ASKED = re.compile(r"(\d+\.\d+\.\d+)\+(cpu|cu\d{3})")
DRIVER_CUDA_13, DRIVER_BLACKWELL, DRIVER_CUDA_12 = 580, 570, 525
BLACKWELL = (10, 0)
# Newer than what the builds were made for: refused, rather than found out in the first job.
NEWEST = (12, 1)


@dataclass(frozen=True)
class TorchBuild:
    """`version` such as 2.10.0, `cuda` such as cu130 or cpu; `reason`: why this one; `warning`: what to know."""

    version: str
    cuda: str
    reason: str
    warning: str | None = None

    @property
    def label(self) -> str:
        return f"{self.version}+{self.cuda}"

    def pins(self, packages: tuple[str, ...]) -> list[str]:
        """Requirements of `packages`, of the version that belongs to this build."""
        versions = {**COMPANIONS, **ALONE}[self.version]
        return [f"{package}=={versions[package]}+{self.cuda}" for package in packages]


def choose(gpu: Gpu) -> TorchBuild:
    """The build for a GPU. Raises LauncherError(GPU_UNSUPPORTED) when there is none for it or its driver."""
    if gpu.capability > NEWEST:
        raise _unsupported(
            gpu,
            "is newer than the builds of PyTorch that were tested",
            "update All-in-one.",
            "请更新 All-in-one。",
        )
    if gpu.capability < (5, 0):
        raise _unsupported(
            gpu, "is older than any build of PyTorch still made", "use the CPU engines.", "请使用 CPU 引擎。"
        )
    if gpu.driver_major < DRIVER_CUDA_12:
        raise _old_driver(gpu, DRIVER_CUDA_12)
    if gpu.capability < (7, 5):
        return TorchBuild(
            "2.7.1",
            "cu126",
            "the last builds with code for Maxwell, Pascal and Volta cards are those for CUDA 12.6",
        )
    if gpu.driver_major >= DRIVER_CUDA_13:
        return TorchBuild("2.10.0", "cu130", "this card and its driver support CUDA 13")
    if gpu.capability >= BLACKWELL and gpu.driver_major < DRIVER_BLACKWELL:
        raise _old_driver(gpu, DRIVER_BLACKWELL)
    return TorchBuild(
        "2.10.0",
        "cu128",
        f"driver {gpu.driver} does not run CUDA 13, which needs {DRIVER_CUDA_13} or newer",
    )


def for_processor(why: str) -> TorchBuild:
    """The build without CUDA."""
    return TorchBuild(CPU_VERSION, CPU, why)


def asked(text: str, packages: tuple[str, ...] = ("torch",), oldest: tuple[int, int] = (0, 0)) -> TorchBuild:
    """The build that a person asks for, such as `2.5.1+cu124`, with `packages`. Raises LauncherError(USAGE)."""
    match = _ASKED.fullmatch(text)
    known = [
        version
        for version, parts in {**COMPANIONS, **ALONE}.items()
        if parts.keys() >= set(packages) and _number(version) >= oldest
    ]
    if match is None or match[1] not in known:
        raise LauncherError(
            Exit.USAGE,
            f"{text!r} is no build of PyTorch that can be chosen.",
            fix=f"write VERSION+CUDA with one of the versions {', '.join(known)}, such as 2.10.0+cu128.",
            fix_zh=f"请写成 版本+CUDA，版本为 {'、'.join(known)} 之一，例如 2.10.0+cu128。",
        )
    old = _number(match[1]) < (2, 6)
    warning = (
        "PyTorch before 2.6 can be made to run foreign code by a model file (CVE-2025-32434)."
        if old
        else None
    )
    return TorchBuild(match[1], match[2], "you asked for it", warning)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _unsupported(gpu: Gpu, why: str, fix: str, fix_zh: str) -> LauncherError:
    return LauncherError(Exit.GPU_UNSUPPORTED, f"The graphics card {gpu} {why}.", fix=fix, fix_zh=fix_zh)


def _old_driver(gpu: Gpu, needed: int) -> LauncherError:
    return LauncherError(
        Exit.GPU_UNSUPPORTED,
        f"The driver of {gpu.name} is {gpu.driver}; {needed} or newer is needed.",
        fix="install the newest driver from nvidia.com (or your system's packages), restart, then run this again.",
        fix_zh="请从 nvidia.cn（或系统软件包）安装最新驱动，重启后再次运行。",
    )
