"""Tasks that the worker can do in seconds with the model folder of `workers/infinitetalk/tiny_model.py`."""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from PIL import Image

from workers.handler import Task, TaskCancelled, WorkerSetup
from workers.infinitetalk.handler import InfiniteTalkHandler, create_handler

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
RATE = 24_000


def make_speech(path: Path, seconds: float, *, pitch: float = 180.0) -> Path:
    """A tone that swells four times a second, as syllables do."""
    count = round(seconds * RATE)
    samples = (
        int(
            12_000
            * math.sin(2 * math.pi * pitch * n / RATE)
            * (0.55 + 0.45 * math.sin(8 * math.pi * n / RATE))
        )
        for n in range(count)
    )
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


def make_portrait(path: Path, size: tuple[int, int] = (90, 100)) -> Path:
    """A shaded picture, width and height in pixels."""
    columns, rows = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    colours = np.stack([columns, rows, 1 - columns * rows], axis=-1)
    Image.fromarray((colours * 255).astype(np.uint8)).save(path)
    return path


@dataclass
class Recorder:
    """A `TaskContext` that remembers. `on_progress` may cancel or raise."""

    on_progress: Callable[[Recorder, dict[str, Any]], None] | None = None
    cancelled: bool = False
    progressed: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def progress(self, fraction: float | None, message: str = "", **more: Any) -> None:
        self.progressed.append({"fraction": fraction, "message": message, **more})
        if self.on_progress is not None:
            self.on_progress(self, self.progressed[-1])

    def artifact(self, role: str, path: Path, **more: Any) -> None:
        self.artifacts.append({"role": role, "path": path, **more})

    def log(self, level: str, message: str) -> None:
        self.logged.append(f"{level}: {message}")

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise TaskCancelled


@dataclass(frozen=True)
class Bench:
    """A folder for one test, a worker, and the inputs."""

    root: Path
    models_dir: Path

    def handler(self) -> InfiniteTalkHandler:
        """A worker as after a restart."""
        setup = WorkerSetup(
            engine="infinitetalk",
            engine_root=None,
            work_dir=self.root,
            models_dir=self.models_dir,
            cache_dir=self.root,
            device=None,
            options={"ffmpeg": FFMPEG, "device": "cpu"},
        )
        handler = create_handler()
        handler.load(setup)
        return handler

    def task(
        self, attempt: int = 1, *, seconds: float = 0.6, inputs: dict[str, Path] | None = None, **params: Any
    ) -> Task:
        """A film of `seconds` with the cheapest preset; windows are kept from attempt to attempt."""
        output = self.root / f"attempt-{attempt}"
        output.mkdir(parents=True, exist_ok=True)
        given = {
            "audio": make_speech(self.root / "speech.wav", seconds),
            "portrait": make_portrait(self.root / "portrait.png"),
        }
        wanted = {
            "preset": "turbo",
            "resolution": "512p",
            "checkpoint_dir": str(self.root / "kept"),
            **params,
        }
        return Task(
            "job",
            attempt,
            "talking_avatar",
            "InfiniteTalk",
            given if inputs is None else inputs,
            wanted,
            output,
            11,
        )


def film(task: Task, context: Recorder, bench: Bench) -> tuple[dict[str, Any], bytes]:
    result = bench.handler().run(task, context)
    (artifact,) = context.artifacts
    return result, artifact["path"].read_bytes()


def of_two(bench: Bench, first: float, second: float) -> Task:
    """A task with two speakers whose tracks have these lengths."""
    task = bench.task(speakers=[{"face": {"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.5}}, {"face": None}])
    inputs = dict(task.inputs)
    inputs["track_1"] = make_speech(bench.root / "one.wav", first, pitch=120)
    inputs["track_2"] = make_speech(bench.root / "two.wav", second, pitch=240)
    return bench.task(inputs=inputs, **task.params)
