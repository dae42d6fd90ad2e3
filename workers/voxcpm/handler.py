"""The voxcpm worker's one task, `speech`: scripts in a voice learned from a sample, on an NVIDIA GPU.

Runs in the Python of `voxcpm_core/python_env`, which the installer makes; heavy imports happen in `load`. What fails
there ends the process with its reason; weights that are missing are reported with the first task.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import Task, TaskContext, TaskError, WorkerSetup
from workers.voxcpm.model import FIX, weights_folder

if TYPE_CHECKING:
    from workers.speech.cloning import Cloner

_DEFAULT_DEVICE = "cuda"
_INSTALLER = "Run install_voxcpm again; it repairs what is broken."


class VoxCpmHandler:
    """Implements `workers.handler.Handler`."""

    def __init__(self) -> None:
        self._setup: WorkerSetup | None = None
        self._torch: Any = None
        self._package: Any = None
        self._version = ""
        self._cloner: Cloner | None = None

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Import, look for the GPU, load the weights if they are there.

        Raises TaskError(import_failed, gpu_unsupported), and what torch raises when the GPU is full.
        """
        self._setup = setup
        try:
            self._torch = importlib.import_module("torch")
            self._package = importlib.import_module("voxcpm")
            self._version = importlib.metadata.version("voxcpm")
        except (
            Exception
        ) as error:  # a broken environment breaks in many ways: ImportError, OSError, RuntimeError
            if isinstance(error, MemoryError):
                raise
            raise TaskError(
                "import_failed", f"The environment of VoxCPM is broken. {_INSTALLER}", detail=repr(error)
            ) from error
        if self._device().startswith("cuda") and not self._torch.cuda.is_available():
            raise TaskError(
                "gpu_unsupported",
                "VoxCPM needs an NVIDIA GPU, and PyTorch finds none that it can use.",
                detail=f"torch {self._torch.__version__}, built for CUDA {self._torch.version.cuda}",
            )
        with contextlib.suppress(TaskError):  # missing weights come again with the first task
            self._ready()
        return {
            "engine_version": f"voxcpm {self._version}",
            "torch": str(self._torch.__version__),
            "cuda": self._torch.version.cuda,
            "models": [] if self._cloner is None else ["voxcpm2"],
            "devices": [self._device()],
        }

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task. Raises TaskError, and what torch raises when memory or GPU fail."""
        if task.task != "speech":
            raise TaskError("validation_failed", f"The voxcpm worker has no task called {task.task!r}.")
        return self._ready().run(task, context)

    def unload(self) -> None:
        """Give the GPU's memory back; the next task loads the weights again."""
        self._cloner = None
        gc.collect()
        if self._torch is not None and self._torch.cuda.is_available():
            self._torch.cuda.empty_cache()

    def _device(self) -> str:
        options = self._setup.options if self._setup is not None else {}
        return str(options.get("device", _DEFAULT_DEVICE))

    def _ready(self) -> Cloner:
        if self._cloner is None:
            self._cloner = self._load_weights()
        return self._cloner

    def _load_weights(self) -> Cloner:
        setup = self._setup
        if setup is None or self._package is None:
            raise TaskError("internal_error", "The voxcpm worker was not set up.")
        folder = weights_folder(setup.models_dir)
        from workers.speech.cloning import Cloner
        from workers.speech.text.front import Reader
        from workers.voxcpm.model import VoxCpm

        try:
            model = VoxCpm(
                folder,
                device=self._device(),
                package=self._package,
                torch=self._torch,
                version=self._version,
            )
        except Exception as error:
            if is_damage(error):
                raise TaskError(
                    "model_missing", f"The voice model VoxCPM2 is damaged. {FIX}", detail=repr(error)
                ) from error
            raise
        return Cloner(model, Reader(Path(str(setup.options["assets_dir"])) / "g2p"), setup.cache_dir)


def is_damage(error: Exception) -> bool:
    """Whether loading failed because of what is in the files, not because of the machine.

    By name: safetensors' own error and torch's for a broken archive must not be imported here.
    """
    if type(error).__name__ in {"SafetensorError", "UnpicklingError", "ValidationError", "JSONDecodeError"}:
        return True
    if isinstance(error, (FileNotFoundError, EOFError, KeyError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("PytorchStreamReader" in text or "size mismatch for" in text)


def create_handler() -> VoxCpmHandler:
    """What the host calls."""
    return VoxCpmHandler()
