"""Which graphics cards this machine has. Runs in the start script's Python.

Flow: `nvidia-smi` -> one line per NVIDIA GPU -> `Gpu`. Cards of other makers are named, so that a message can speak
of the card that a person sees in the machine. The compute capability decides, never the name.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.process import Runner
from launcher.project import child_environment

QUERY = (
    "--query-gpu=index,name,compute_cap,memory.total,driver_version",
    "--format=csv,noheader,nounits",
)
# A driver that loads for the first time after a start takes some seconds.
TIMEOUT_S = 60.0
_VENDORS = {
    "0x1002": "an AMD graphics card",
    "0x8086": "an Intel graphics card",
    "0x10de": "an NVIDIA graphics card",
}
_DISPLAYS = ("powershell", "-NoProfile", "-Command", "(Get-CimInstance Win32_VideoController).Name")


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU. `memory_mib` is None when the driver does not tell (memory shared with the processor)."""

    index: int
    name: str
    capability: tuple[int, int]
    memory_mib: int | None
    driver: str

    @property
    def driver_major(self) -> int:
        head = self.driver.partition(".")[0]
        return int(head) if head.isdecimal() else 0

    def __str__(self) -> str:
        memory = f"{self.memory_mib} MiB, " if self.memory_mib else ""
        major, minor = self.capability
        return f"{self.name} ({memory}compute capability {major}.{minor}, driver {self.driver})"


@dataclass(frozen=True)
class Graphics:
    """What was found. `others`: cards of other makers; `trouble`: why nvidia-smi gave no answer."""

    gpus: tuple[Gpu, ...] = ()
    others: tuple[str, ...] = ()
    trouble: str | None = None


def look(
    runner: Runner, environ: Mapping[str, str] = os.environ, drm: Path = Path("/sys/class/drm")
) -> Graphics:
    """The graphics cards of this machine. Never raises: no answer is an answer."""
    trouble = None
    for program in _programs(environ):
        outcome = runner.capture([program, *QUERY], timeout_s=TIMEOUT_S, env=child_environment())
        if outcome.status == 0:
            gpus = parse(outcome.text)
            if gpus:
                return Graphics(gpus=gpus)
        if outcome.status != -1:  # there is such a program, and it could not answer
            trouble = _first_line(outcome.text) or f"nvidia-smi ended with {outcome.status}"
    return Graphics(others=_others(runner, drm), trouble=trouble)


def parse(text: str) -> tuple[Gpu, ...]:
    """GPUs of nvidia-smi's answer to QUERY; lines that are none are left out."""
    found = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 5 or not fields[0].isdecimal():
            continue
        capability = re.fullmatch(r"(\d+)\.(\d+)", fields[2])
        if capability is None:
            continue
        memory = int(fields[3]) if fields[3].isdecimal() else None
        version = (int(capability[1]), int(capability[2]))
        found.append(Gpu(int(fields[0]), fields[1], version, memory, fields[4]))
    return tuple(found)


def best(gpus: tuple[Gpu, ...]) -> Gpu:
    """The GPU with the most memory; of equal ones the first."""
    return max(gpus, key=lambda gpu: (gpu.memory_mib or 0, -gpu.index))


def _programs(environ: Mapping[str, str]) -> list[str]:
    programs = ["nvidia-smi"]
    if sys.platform == "win32":
        root = environ.get("SystemRoot", r"C:\Windows")
        files = environ.get("ProgramFiles", r"C:\Program Files")
        programs += [rf"{root}\System32\nvidia-smi.exe", rf"{files}\NVIDIA Corporation\NVSMI\nvidia-smi.exe"]
    return programs


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _others(runner: Runner, drm: Path) -> tuple[str, ...]:
    if sys.platform == "win32":
        outcome = runner.capture(_DISPLAYS, timeout_s=TIMEOUT_S, env=child_environment())
        names = [line.strip() for line in outcome.lines if line.strip()] if outcome.status == 0 else []
        return tuple(dict.fromkeys(names))
    vendors = []
    for file in sorted(drm.glob("card*/device/vendor")):
        try:
            vendors.append(file.read_text("ascii").strip())
        except (OSError, ValueError):
            continue
    return tuple(dict.fromkeys(_VENDORS[vendor] for vendor in vendors if vendor in _VENDORS))
