"""What the files and parameters of a task may be: checks that the handlers of engines share. Worker process. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskError

# Longer texts are neither prompts nor scripts: an hour's speech is a tenth of this.
MAX_TEXT_CHARS = 500_000


def text(params: Mapping[str, Any], name: str) -> str:
    """A text; "" when it is left out. Raises TaskError(validation_failed)."""
    value = params.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS or "\0" in value:
        raise TaskError(
            "validation_failed", f"{name} must be a text.", detail=f"{name}: {type(value).__name__}"
        )
    return value


def whole(params: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    """A whole number; None when it is left out. Raises TaskError(validation_failed)."""
    value = params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise TaskError(
            "validation_failed",
            f"{name} must be a whole number from {least} to {most}.",
            detail=f"{name}: {value!r}",
        )
    return value


def input_file(task: Task, name: str, code: str, sentence: str) -> Path:
    """An input of the task, there and not empty. Raises TaskError: `validation_failed` when it was not given, else `code`."""
    path = task.inputs.get(name)
    if path is None:
        raise TaskError("validation_failed", sentence, detail=f"input {name!r} was not given")
    if not path.is_file() or path.stat().st_size == 0:
        raise TaskError(code, sentence, detail=f"input {name!r} is missing or empty: {path}")
    return path.resolve()


def folder_of(given: object, what: str = "parts") -> Path | None:
    """The folder for finished `what` that a task names. Raises TaskError(validation_failed)."""
    if given is None:
        return None
    if not isinstance(given, str) or not given or not Path(given).is_absolute():
        raise TaskError(
            "validation_failed",
            f"The folder for finished {what} must be an absolute path.",
            detail=f"checkpoint_dir: {given!r}",
        )
    return Path(given)
