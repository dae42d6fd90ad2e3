"""The writer's task. Runs in the writer worker process; llama.cpp is imported in `load`, the model is read later.

Flow: `script_write`: a GGUF file and the messages of a chat -> `text.txt`, which grows while the model speaks. Each
progress report tells in `step` how many bytes of it are complete, so that the service can show the text meanwhile.
"""

from __future__ import annotations

import concurrent.futures
import importlib.metadata
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import Task, TaskContext, TaskError, WorkerSetup

if TYPE_CHECKING:
    from workers.writer.model import ChatModel

TEXT_FILE = "text.txt"
_DEFAULT_THREADS = 2
# How soon a cancel is seen while a gigabyte is read from the disk.
_POLL_S = 0.1


class WriterHandler:
    """Implements `workers.handler.Handler`. Keeps the model of the last task in memory."""

    def __init__(self) -> None:
        self._threads = _DEFAULT_THREADS
        # The model, or its reading, which goes on when the task that asked for it is cancelled.
        self._path: Path | None = None
        self._reading: concurrent.futures.Future[ChatModel] | None = None

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        """Import llama.cpp; which file to read is said by the first task."""
        # Read when llama.cpp's library is loaded. Threads that wait must sleep: beside other engines spinning ones
        # were seventy times slower (0.7 instead of 52 tokens a second on two busy cores).
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import xllamacpp  # noqa: F401 - here, so that a package that is missing or broken is told at once

        from workers.writer import model

        self._threads = int(setup.options.get("threads", _DEFAULT_THREADS))
        version = importlib.metadata.version(model.PACKAGE)
        return {"engine_version": f"{model.PACKAGE} {version}", "models": [], "devices": ["cpu"]}

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do one task. Raises TaskError with a code of the product."""
        if task.task != "script_write":
            raise TaskError("validation_failed", f"The writer has no task called {task.task!r}.")
        request = json.loads(task.inputs["request"].read_text(encoding="utf-8"))
        context.progress(None, "Loading the writing model")
        model = self._ready_model(task.inputs["model"], context)
        path = task.output_dir / TEXT_FILE
        written = characters = 0
        finish = "stop"
        with path.open("wb", buffering=0) as out:
            for piece in model.answer(
                request["messages"], max_tokens=int(request["max_tokens"]), seed=task.seed, context=context
            ):
                if piece.finish is not None:
                    finish = piece.finish
                    continue
                data = piece.text.encode("utf-8", "ignore")
                out.write(data)
                written += len(data)
                characters += len(piece.text)
                context.progress(None, "Writing the script", step=written)
        if not characters:
            raise TaskError("no_output", "The writing model said nothing.")
        context.artifact("text", path, media_type="text/plain; charset=utf-8")
        return {"characters": characters, "finish": finish}

    def unload(self) -> None:
        """Drop the model; the next task reads it again."""
        reading, self._reading, self._path = self._reading, None, None
        if reading is not None and reading.exception() is None:
            reading.result().close()

    def _ready_model(self, path: Path, context: TaskContext) -> ChatModel:
        if self._path != path:
            self.unload()
        if self._reading is None:
            self._path, self._reading = path, concurrent.futures.Future()
            threading.Thread(
                target=_read_model, args=(path, self._threads, self._reading), name="read-model", daemon=True
            ).start()
        while not self._reading.done():
            context.raise_if_cancelled()
            concurrent.futures.wait({self._reading}, timeout=_POLL_S)
        if self._reading.exception() is not None:
            failed, self._reading, self._path = self._reading, None, None
            return failed.result()
        return self._reading.result()


def _read_model(path: Path, threads: int, reading: concurrent.futures.Future[ChatModel]) -> None:
    from workers.writer.model import ChatModel

    try:
        reading.set_result(ChatModel(path, threads=threads))
    except BaseException as error:  # noqa: BLE001 - it is raised where the model is waited for
        reading.set_exception(error)


def create_handler() -> WriterHandler:
    """What the host calls."""
    return WriterHandler()
