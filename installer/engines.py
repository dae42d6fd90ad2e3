"""The engines that can be installed, as data. A new engine is one more entry here and a lock beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "locks"


@dataclass(frozen=True)
class EngineDefinition:
    """One engine with an environment of its own.

    `core_folder`: its folder in the project, where everything goes. `pythons`: minor versions, the best one first.
    `lock`: file in installer/locks, installed without its PyTorch. `torch_packages`: what is installed from
    PyTorch's own index; `imports`: modules that the self-test imports. `min_capability`: of the GPU; `memory_mib`:
    of the GPU, less is warned of. `disk_mib`: free space that the installation needs while it runs.
    `model_id`: of the weights, in assets/catalogue.
    """

    name: str
    title: str
    core_folder: str
    pythons: tuple[str, ...]
    lock: str
    torch_packages: tuple[str, ...]
    imports: tuple[str, ...]
    min_capability: tuple[int, int]
    why_capability: str
    memory_mib: int
    disk_mib: int
    licence: str
    home: str
    model_id: str

    @property
    def lock_file(self) -> Path:
        return LOCKS / self.lock


VOXCPM = EngineDefinition(
    name="voxcpm",
    title="VoxCPM2 (voice cloning)",
    core_folder="voxcpm_core",
    pythons=("3.11", "3.12", "3.10"),
    lock="voxcpm.lock",
    torch_packages=("torch", "torchaudio"),
    imports=("voxcpm", "transformers", "librosa"),
    min_capability=(7, 5),
    why_capability="its weights are bfloat16, which older cards cannot compute with",
    # 6.2 GiB after loading and 7.3 GiB while speaking were reported for an RTX A5000.
    memory_mib=7_600,
    # Wheels and their unpacked contents side by side: about 3.5 GB of CUDA libraries compressed, 7 GB unpacked.
    disk_mib=13_000,
    licence="Apache-2.0",
    home="https://github.com/OpenBMB/VoxCPM",
    model_id="voxcpm2",
)

ENGINES: Mapping[str, EngineDefinition] = {VOXCPM.name: VOXCPM}
