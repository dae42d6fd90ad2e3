"""What can be wrong with a weight file, as errors with a way out. Runs in the InfiniteTalk worker.

Every one of them is `model_missing`: the engine cannot work with what is on the disk, another engine
may, and a new download or another file puts it right. The sentence is for a person and names the file
without its folder; the detail is for the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from workers.handler import TaskError

# How many names a detail lists; the count says how many there are.
_SHOWN = 5


def some(names: Iterable[str]) -> str:
    """The first few names and how many there are."""
    listed = sorted(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def missing_file(path: Path) -> TaskError:
    return TaskError(
        "model_missing",
        f"The weight file {path.name} is not there. Download the InfiniteTalk model on the page of models.",
        detail=f"not found: {path}",
    )


def damaged(path: Path, reason: str) -> TaskError:
    return TaskError(
        "model_missing",
        f"The weight file {path.name} is damaged or was not downloaded to its end. Delete it and "
        "download it again.",
        detail=f"{path}: {reason}",
    )


def unreadable(path: Path, error: OSError) -> TaskError:
    """The system refuses: another program holds the file, it may not be read, or the disk fails. It may be whole."""
    return TaskError(
        "model_missing",
        f"The weight file {path.name} cannot be opened or read. Close programs that use it, look whether its disk "
        "is there and may be read, then start the job again.",
        detail=f"{path}: {error}",
    )


def unsupported(path: Path, reason: str) -> TaskError:
    return TaskError(
        "model_missing",
        f"The weight file {path.name} has a format that is not supported: {reason}. Use the official "
        "safetensors, a ComfyUI file (bf16, fp16, fp8, fp8_scaled), Kijai's adapter or a GGUF file.",
        detail=f"{path}: {reason}",
    )


def incomplete(names: Iterable[str], *, audio: bool) -> TaskError:
    """`audio`: exactly the audio modules are missing, so the adapter was not given."""
    listed = sorted(names)
    return TaskError(
        "model_missing",
        "The InfiniteTalk adapter is missing: only the weights of Wan2.1 I2V are there. Download the "
        "InfiniteTalk model on the page of models."
        if audio
        else "The weights are not complete. Download the model again, all of its files.",
        detail=f"{len(listed)} parameters are missing: {some(listed)}",
    )


def misfit(path: Path, name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> TaskError:
    return TaskError(
        "model_missing",
        f"The weight file {path.name} belongs to a model of another size. InfiniteTalk needs Wan2.1 I2V 14B.",
        detail=f"{path}: {name} is {found}, the model has {wanted}",
    )


def twice(path: Path, other: Path, name: str) -> TaskError:
    return TaskError(
        "model_missing",
        f"{path.name} and {other.name} hold the same weights. Choose one of them.",
        detail=f"{name} is in {path} and in {other}",
    )
