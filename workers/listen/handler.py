"""The listening worker's task. Runs in the listening worker process; heavy imports happen in `load` and later.

Flow: `listen`: a WAV and its timings -> each sentence cut out of it, a few at a time -> what a recogniser
understands -> compared with what was meant -> `heard.json`.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import Task, TaskContext, TaskError, WorkerSetup
from workers.listen.install import FIX, model_dir, verified_manifest

if TYPE_CHECKING:
    from workers.listen.hearing import Hearing

ENGINE = "whisper-base-int8"
_DEFAULT_THREADS = 2


class ListenHandler:
    """Implements `workers.handler.Handler`."""

    def __init__(self) -> None:
        self._hearing: Hearing | None = None
        self._setup: WorkerSetup | None = None

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Load the model. Raises TaskError(model_missing) when it is not installed whole."""
        self._setup = setup
        self._ready()
        return {
            "engine_version": f"{ENGINE} ctranslate2 {importlib.metadata.version('ctranslate2')}",
            "models": [ENGINE],
            "devices": ["cpu"],
        }

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task. Raises TaskError with a code of the product."""
        if task.task != "listen":
            raise TaskError("validation_failed", f"The listening worker has no task called {task.task!r}.")
        return self._ready().run(task, context)

    def unload(self) -> None:
        """Drop the model; the next task loads it again."""
        self._hearing = None

    def _ready(self) -> Hearing:
        if self._setup is None:
            raise TaskError("internal_error", "The listening worker was not set up.")
        if self._hearing is None:
            try:
                from workers.listen.hearing import Hearing
                from workers.listen.transcriber import Transcriber

                if verified_manifest(self._setup.models_dir) is None:
                    raise TaskError("model_missing", f"The recogniser is not installed. {FIX}")
                threads = int(self._setup.options.get("threads", _DEFAULT_THREADS))
                transcriber = Transcriber(model_dir(self._setup.models_dir), threads=threads)
            except ImportError as error:
                raise TaskError(
                    "model_missing", f"The recogniser is not installed. {FIX}", detail=repr(error)
                ) from error
            g2p = Path(str(self._setup.options["assets_dir"])) / "g2p"
            self._hearing = Hearing(transcriber, g2p)
        return self._hearing


def create_handler() -> ListenHandler:
    """What the host calls."""
    return ListenHandler()
