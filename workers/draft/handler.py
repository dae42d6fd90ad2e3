"""The draft worker's handler: a talking portrait on the CPU. Runs in the draft worker.

Flow: `load` imports the heavy packages and loads the networks once; `run` does one task with them warm. Importing
this module imports neither numpy nor OpenCV nor onnxruntime.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import Handler, Task, TaskContext, TaskError, WorkerSetup

if TYPE_CHECKING:
    from workers.draft.sessions import Models

ENGINE_VERSION = "1.0"
TASKS = ("talking_avatar", "portrait_probe")
_DEFAULT_THREADS = 2


class DraftHandler:
    """Animates portraits. One task at a time."""

    def __init__(self) -> None:
        self._models: Models | None = None
        self._ffmpeg = ""
        self._threads = _DEFAULT_THREADS

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Import and load everything. Raises `TaskError`: `import_failed`, `model_missing`."""
        options = setup.options
        self._ffmpeg = str(options["ffmpeg"])
        self._threads = max(1, int(options.get("threads", _DEFAULT_THREADS)))
        # The matrices are small: BLAS threads would spend more time waiting for each other than computing.
        # The libraries read this once, when numpy is first imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        try:
            import cv2

            from workers.draft.sessions import load_models
        except ImportError as error:
            raise TaskError(
                "import_failed",
                "A package of the draft engine is missing. Run the installation again.",
                detail=str(error),
            ) from error
        # The frames are small: OpenCV's own threads cost more than they bring beside the encoder's.
        cv2.setNumThreads(1)
        self._models = load_models(Path(str(options["assets_dir"])), self._threads)
        return {
            "engine_version": ENGINE_VERSION,
            "models": ["blazeface", "face-mesh-attention", "selfie-segmentation", "viseme-net"],
            "devices": ["cpu"],
        }

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task. Raises `TaskError`; `TaskCancelled` passes through after cleaning up."""
        if self._models is None:
            raise TaskError("internal_error", "The draft engine was not loaded.")
        if task.task == "portrait_probe":
            from workers.draft.portrait_probe import probe_portrait

            return probe_portrait(task, context, self._models)
        if task.task == "talking_avatar":
            from workers.draft.talking_avatar import render_talking_avatar

            return render_talking_avatar(
                task, context, self._models, ffmpeg_path=self._ffmpeg, threads=self._threads
            )
        raise TaskError("validation_failed", f"The draft engine knows no task {task.task!r}.")

    def unload(self) -> None:
        """Forget the networks. Idempotent."""
        self._models = None


def create_handler() -> Handler:
    """What the worker host calls."""
    return DraftHandler()
