"""One generation of Wan2GP's voices in memory: remembers the settings it was asked for and writes a WAV of its own."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workers.handler import TaskContext, TaskError
from workers.wan2gp.progress import Step

RATE = 22_050
# What nobody would miss in speech of a second, and what no sentence needs.
SECONDS_PER_CHARACTER = 0.07
STEPS = 4


class MemoryGenerate:
    """Stands for `workers.wan2gp.generation.generate`. `plan`: what the next generations do, else they speak.

    A plan's entry is an error to raise, `silence`, `endless`, `stereo`, `wide` (24 bit), `torn` or `cancel`.
    """

    def __init__(self, *plan: TaskError | str) -> None:
        self.plan = list(plan)
        self.calls: list[dict[str, Any]] = []
        self.samples: list[bytes] = []
        self.folders: list[Path] = []
        self.on_call: Callable[[], None] = lambda: None

    def __call__(
        self,
        engine: Any,
        settings: dict[str, Any],
        *,
        folder: Path,
        name: str,
        context: TaskContext,
        on_step: Callable[[Step], None],
    ) -> Path:
        context.raise_if_cancelled()
        folder.mkdir(parents=True, exist_ok=True)
        assert list(folder.iterdir()) == [], "what the generation before made is read and gone"
        self.calls.append(dict(settings))
        self.samples.append(Path(settings["audio_guide"]).read_bytes())
        self.folders.append(folder)
        now = self.plan.pop(0) if self.plan else ""
        on_step(Step("loading"))
        for step in range(STEPS + 1):
            on_step(Step("denoising", step=step, steps=STEPS))
        self.on_call()
        context.raise_if_cancelled()
        if isinstance(now, TaskError):
            raise now
        path = folder / f"{name}.wav"
        _write(path, now, settings)
        return path


def _write(path: Path, kind: str, settings: dict[str, Any]) -> None:
    if kind == "torn":
        path.write_bytes(b"RIFF")
        return
    seconds = 0.4 + SECONDS_PER_CHARACTER * len(settings["prompt"])
    if kind == "endless":
        seconds = float(settings["duration_seconds"])
    t = np.arange(round(seconds * RATE)) / RATE
    pitch = 120 + settings["seed"] % 80
    tone = 0.0 * t if kind == "silence" else 0.4 * np.sin(2 * np.pi * pitch * t)
    mono = (tone * 32767).astype("<i2")
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(2 if kind == "stereo" else 1)
        stream.setsampwidth(3 if kind == "wide" else 2)
        stream.setframerate(RATE)
        if kind == "wide":
            stream.writeframes(b"\0\0\1" * len(mono))
        else:
            stream.writeframes((np.repeat(mono, 2) if kind == "stereo" else mono).tobytes())
