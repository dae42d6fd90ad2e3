"""The moss_nano worker's one task, `speech`: scripts in a voice learned from a sample, on the processor.

Runs in the moss_nano worker process, in the service's own environment; heavy imports happen in `load` and later.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import Task, TaskContext, TaskError, WorkerSetup
from workers.moss_nano.layout import FIX, read_layout

if TYPE_CHECKING:
    from workers.speech.cloning import Cloner

_DEFAULT_THREADS = 2


class MossNanoHandler:
    """Implements `workers.handler.Handler`."""

    def __init__(self) -> None:
        self._setup: WorkerSetup | None = None
        self._cloner: Cloner | None = None

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Load the model. One that is not there is reported with the first task, when a person asks for it."""
        self._setup = setup
        with contextlib.suppress(TaskError):
            self._ready()
        return {
            "engine_version": f"onnxruntime {importlib.metadata.version('onnxruntime')}",
            "models": [] if self._cloner is None else ["moss-tts-nano"],
            "devices": ["cpu"],
        }

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task. Raises TaskError with a code of the product."""
        if task.task != "speech":
            raise TaskError("validation_failed", f"The moss_nano worker has no task called {task.task!r}.")
        return self._ready().run(task, context)

    def unload(self) -> None:
        """Drop the model; the next task loads it again."""
        self._cloner = None

    def _ready(self) -> Cloner:
        if self._cloner is None:
            self._cloner = self._load()
        return self._cloner

    def _load(self) -> Cloner:
        setup = self._setup
        if setup is None:
            raise TaskError("internal_error", "The moss_nano worker was not set up.")
        layout = read_layout(setup.models_dir)
        from workers.moss_nano.model import MossNano
        from workers.speech.cloning import Cloner
        from workers.speech.text.front import Reader

        try:
            model = MossNano(layout, threads=int(setup.options.get("threads", _DEFAULT_THREADS)))
        except ImportError as error:
            raise TaskError(
                "import_failed",
                "A package of the voice engine is missing. Start All-in-one again with --repair.",
                detail=repr(error),
            ) from error
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime and sentencepiece have no common error for a damaged file
            raise TaskError(
                "model_missing", f"The voice model MOSS-TTS-Nano is damaged. {FIX}", detail=repr(error)
            ) from error
        return Cloner(model, Reader(Path(str(setup.options["assets_dir"])) / "g2p"), setup.cache_dir)


def create_handler() -> MossNanoHandler:
    """What the host calls."""
    return MossNanoHandler()
