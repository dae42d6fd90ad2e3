"""The infinitetalk worker: `talking_avatar` by our own InfiniteTalk, `text_to_video` by Wan 2.1. A worker process.

Runs in the Python of `infinitetalk_core/python_env`, which the installer makes. `load` imports torch and looks
for the card; weights are loaded by the first film that needs them and stay until another film needs others,
`unload` is called or the process ends.
"""

from __future__ import annotations

import gc
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import Task, TaskContext, TaskError, WorkerSetup

if TYPE_CHECKING:
    from workers.infinitetalk.pipeline import Setting

_FFMPEG_OPTION = "ffmpeg"
# "cpu" lets a tiny model run without a card (tests, the installer's self-test). A film of the real one
# would take weeks.
_DEVICE_OPTION = "device"
_CPU = "cpu"
# Where the table of the text-to-video models is.
_ASSETS_OPTION = "assets_dir"
_OWN_ASSETS = Path(__file__).resolve().parents[2] / "assets"
# How libraries below torch say that an allocation failed.
_OOM_PHRASES = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
)
_HOST_PHRASES = ("DefaultCPUAllocator", "not enough memory: you tried to allocate", "cudaHostAlloc")


class InfiniteTalkHandler:
    """Implements `workers.handler.Handler`."""

    def __init__(self) -> None:
        self._setting: Setting | None = None

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Import, find the card; no weights. Raises TaskError(gpu_unsupported)."""
        import torch

        from workers.infinitetalk import machine
        from workers.infinitetalk.model_folder import ModelFolder
        from workers.infinitetalk.models import ModelStore
        from workers.infinitetalk.pipeline import Setting
        from workers.infinitetalk.scenes import MODELS

        on_cpu = setup.options.get(_DEVICE_OPTION) == _CPU
        if not on_cpu and not torch.cuda.is_available():
            raise TaskError(
                "gpu_unsupported",
                "PyTorch finds no GPU. Update the driver, or run install_infinitetalk again.",
                detail=f"torch {torch.__version__}, CUDA {torch.version.cuda}",
            )
        device = machine.device_of(_CPU if on_cpu else "cuda")
        folder = ModelFolder(setup.models_dir)
        self._setting = Setting(
            folder,
            ModelStore(folder, device),
            str(setup.options.get(_FFMPEG_OPTION) or "ffmpeg"),
            Path(str(setup.options.get(_ASSETS_OPTION) or _OWN_ASSETS)),
        )
        return {
            "engine_version": f"infinitetalk on diffusers {version('diffusers')}",
            "torch": str(torch.__version__),
            "cuda": torch.version.cuda,
            "models": ["InfiniteTalk", *MODELS],
            "devices": [_CPU if on_cpu else str(torch.cuda.get_device_name(device))],
        }

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task. Raises TaskError, TaskCancelled."""
        setting = self._setting
        if setting is None:
            raise TaskError("internal_error", "The InfiniteTalk worker was not set up.")
        import torch

        from workers.infinitetalk.pipeline import make_film
        from workers.infinitetalk.scenes import make_scenes

        make = {"talking_avatar": make_film, "text_to_video": make_scenes}.get(task.task)
        if make is None:
            raise TaskError("validation_failed", f"The InfiniteTalk worker has no task called {task.task!r}.")
        on_card = setting.store.device.type != _CPU
        if on_card:
            torch.cuda.reset_peak_memory_stats()
        try:
            result = make(task, context, setting)
        except TaskError as error:
            if error.poisons_worker:
                setting.store.drop()
            raise
        except (RuntimeError, MemoryError) as error:
            failure = memory_failure(error)
            if failure is None:
                raise
            setting.store.drop()
            raise failure from error
        if on_card:
            result["peak_vram_mib"] = round(torch.cuda.max_memory_allocated() / (1 << 20), 1)
        return result

    def unload(self) -> None:
        """Give the memory back; the next task loads its weights again."""
        if self._setting is not None:
            self._setting.store.drop()
        gc.collect()


def memory_failure(error: BaseException) -> TaskError | None:
    """The product's error for an allocation that failed, None for any other error.

    The process is not used again: its memory is in pieces, and what raised still holds tensors.
    """
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(phrase in text for phrase in _HOST_PHRASES):
        return TaskError(
            "host_oom",
            "This computer's memory was not enough for the film. Close other programs and start the job again; "
            "the finished windows are kept.",
            detail=text,
            poisons_worker=True,
        )
    lowered = text.lower()
    if "outofmemoryerror" in lowered or any(phrase.lower() in lowered for phrase in _OOM_PHRASES):
        return TaskError(
            "gpu_oom",
            "The GPU's memory was not enough for this film. The finished windows are kept.",
            detail=text,
            poisons_worker=True,
        )
    return None


def create_handler() -> InfiniteTalkHandler:
    """What the host calls."""
    return InfiniteTalkHandler()
