"""The engines that can be installed, as data. A new engine is one more entry here and its locks beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "locks"
# The table of Wan2GP's models names the version of upstream that it was written for; the installer brings that one.
_WAN2GP_TABLE = Path(__file__).resolve().parents[1] / "assets" / "wan2gp" / "models.json"


@dataclass(frozen=True)
class Upstream:
    """A program of others that is fetched as the source of one commit.

    `tree`: git's id of that commit's files, which what was unpacked must have. `marker`: the file in the engine's folder
    that a user's own copy has. `version`: as the program calls itself, found in the marker by `version_pattern`.
    `about_mib`: of its archive.
    """

    home: str
    commit: str
    tree: str
    version: str
    marker: str
    version_pattern: str
    licence_note: str
    about_mib: int

    @property
    def path(self) -> str:
        """OWNER/NAME on GitHub."""
        return self.home.removeprefix("https://github.com/")


@dataclass(frozen=True)
class EngineDefinition:
    """One engine with an environment of its own.

    `core_folder`: its folder in the project, where everything goes. `steps`: names of installer/steps.py, in any order.
    `pythons`: minor versions, the best one first. `lock`: file in installer/locks, installed without its PyTorch;
    `source_lock`: the same for packages that are published as source only. `torch_packages`: what is installed from
    PyTorch's own index; `imports`: modules that the self-test imports. `min_capability`: of the GPU; `memory_mib`:
    of the GPU, less is warned of. `disk_mib`: free space that the installation needs while it runs, `disk_cpu_mib` with
    PyTorch for the processor; `weights_gb`: what its usual weights take afterwards, told and not asked for.
    `model_id`: of the weights, in assets/catalogue; `more_models`: of those that some of its choices need besides.
    `needs_headers`: on Linux its Python must come with C headers, as the one that the installer fetches does.
    `refuses_others`: on a machine with another maker's card alone nothing is installed; `refuses_macos`: nor on macOS.
    `runs_without_card`: without a card it is installed and tested on the processor. `oldest_torch`: of PyTorch.
    """

    name: str
    title: str
    core_folder: str
    steps: tuple[str, ...]
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
    source_lock: str | None = None
    upstream: Upstream | None = None
    weights_gb: int | None = None
    packages_mib: int = 250
    needs_headers: bool = False
    refuses_others: bool = False
    refuses_macos: bool = False
    runs_without_card: bool = False
    disk_cpu_mib: int | None = None
    more_models: tuple[tuple[str, str], ...] = ()
    oldest_torch: tuple[int, int] = (2, 5)

    @property
    def lock_file(self) -> Path:
        return LOCKS / self.lock

    @property
    def lock_files(self) -> tuple[Path, ...]:
        """All locks of its packages, in the order in which they are installed."""
        return (self.lock_file, *(() if self.source_lock is None else (LOCKS / self.source_lock,)))


VOXCPM = EngineDefinition(
    name="voxcpm",
    title="VoxCPM2 (voice cloning)",
    core_folder="voxcpm_core",
    steps=("uv", "python", "environment", "torch", "packages", "self-test"),
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


def _wan2gp_upstream() -> Upstream:
    pin = json.loads(_WAN2GP_TABLE.read_text("utf-8"))["upstream"]
    return Upstream(
        home=str(pin["home"]),
        commit=str(pin["commit"]),
        tree=str(pin["tree"]),
        version=str(pin["version"]),
        marker="wgp.py",
        version_pattern=r"""^WanGP_version\s*=\s*["']([\w.]{1,20})["']""",
        licence_note="WanGP Community License 2.0: free of charge, no paid or hosted use; read LICENSE.txt in its folder",
        about_mib=80,
    )


WAN2GP = EngineDefinition(
    name="wan2gp",
    title="Wan2GP (WanGP by deepbeepmeep)",
    core_folder="wan2gp_core",
    steps=("uv", "python", "environment", "ffmpeg", "source", "torch", "packages", "self-test", "start"),
    # Upstream supports 3.11 for the cards of today, and its start was tried with the lock on that one alone.
    pythons=("3.11",),
    lock="wan2gp.lock",
    source_lock="wan2gp-source.lock",
    torch_packages=("torch", "torchvision", "torchaudio"),
    imports=(
        *("mmgp", "diffusers", "transformers", "gradio", "librosa", "cv2", "onnxruntime", "whisper"),
        *("spacy", "misaki", "audio_separator.separator", "s3tokenizer", "omegaconf"),
    ),
    min_capability=(6, 0),
    why_capability="upstream supports GTX 10 cards and newer ones",
    # A card sold with 8 GB; what each model needs is said in the page before a job.
    memory_mib=8_000,
    # Like VoxCPM2's, and 1.7 GB of packages, their wheels, and the source.
    disk_mib=17_000,
    licence="WanGP Community License 2.0",
    home="https://github.com/deepbeepmeep/Wan2GP",
    model_id="wan2gp-core",
    upstream=_wan2gp_upstream(),
    weights_gb=30,
    packages_mib=600,
    # Triton, which comes with PyTorch, builds its kernels against them; a distribution's Python often has none.
    needs_headers=True,
    refuses_others=True,
    refuses_macos=True,
)

INFINITETALK = EngineDefinition(
    name="infinitetalk",
    title="InfiniteTalk (All-in-one's own, on diffusers)",
    core_folder="infinitetalk_core",
    steps=("uv", "python", "environment", "torch", "packages", "self-test", "film"),
    # transformers 5 and diffusers want 3.11 or newer; the tests run on 3.11.
    pythons=("3.11", "3.12"),
    lock="infinitetalk.lock",
    torch_packages=("torch",),
    imports=("diffusers", "transformers", "torchao", "peft", "gguf", "accelerate", "imageio_ffmpeg"),
    min_capability=(7, 5),
    why_capability="builds of PyTorch since 2.8 have no code for it, and its 16-bit arithmetic is too slow",
    # A card sold with 8 GB: the weights are streamed through it (workers/infinitetalk/memory.py).
    memory_mib=8_000,
    # Wheels and their unpacked contents side by side, as VoxCPM2's.
    disk_mib=13_000,
    licence="Apache-2.0",
    home="https://github.com/MeiGen-AI/InfiniteTalk",
    model_id="infinitetalk-single",
    more_models=(("infinitetalk-multi", "two speakers"),),
    weights_gb=29,
    packages_mib=140,
    # Triton builds its kernels against them when a model is compiled.
    needs_headers=True,
    refuses_macos=True,
    runs_without_card=True,
    disk_cpu_mib=3_000,
    # What reading a checkpoint safely needs (CVE-2025-32434), and diffusers' attention backends.
    oldest_torch=(2, 6),
)

ENGINES: Mapping[str, EngineDefinition] = {engine.name: engine for engine in (VOXCPM, WAN2GP, INFINITETALK)}
