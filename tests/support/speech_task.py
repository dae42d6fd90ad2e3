"""A speech task as a worker gets it, without a host: context, reference clip, script file, and its results read back."""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.handler import Handler, Task, TaskCancelled

RATE = 24_000


@dataclass
class MemoryContext:
    """A TaskContext that remembers; it turns cancelled when `cancel_after` progress calls were made."""

    cancel_after: int | None = None
    cancelled: bool = False
    fractions: list[float | None] = field(default_factory=list)
    artifacts: dict[str, Path] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)

    def progress(self, fraction: float | None, message: str = "", **_: Any) -> None:
        self.fractions.append(fraction)
        if self.cancel_after is not None and len(self.fractions) >= self.cancel_after:
            self.cancelled = True

    def artifact(self, role: str, path: Path, **_: Any) -> None:
        self.artifacts[role] = path

    def log(self, level: str, message: str) -> None:
        self.logs.append(message)

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise TaskCancelled


@dataclass
class Spoken:
    """What one task left."""

    data: dict[str, Any]
    timings: dict[str, Any]
    samples: npt.NDArray[np.float64]
    context: MemoryContext


def write_reference(path: Path, *, seconds: float = 3.0, rate: int = RATE, pitch: float = 150.0) -> Path:
    """A WAV that stands for a voice: a buzzing tone."""
    t = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sign(np.sin(2 * np.pi * pitch * t)) * np.sin(2 * np.pi * 3 * t)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((tone * 32767).astype("<i2").tobytes())
    return path


class Studio:
    """Gives tasks to a handler, each with a folder of its own."""

    def __init__(self, handler: Handler, folder: Path) -> None:
        self.handler = handler
        self.folder = folder
        self.reference = write_reference(folder / "声音 sample" / "reference.wav")
        self._count = 0

    def speak(
        self,
        text: str,
        *,
        language: str = "auto",
        context: MemoryContext | None = None,
        reference: Path | None = None,
        reference_text: str | None = None,
        seed: int = 1,
        **params: Any,
    ) -> Spoken:
        self._count += 1
        out = self.folder / f"任务 {self._count}"
        out.mkdir()
        script = self.folder / f"script-{self._count}.json"
        script.write_text(json.dumps({"text": text, "language": language}, ensure_ascii=False), "utf-8")
        inputs = {"script": script, "reference": reference or self.reference}
        if reference_text is not None:
            inputs["reference_text"] = self.folder / f"reference-{self._count}.txt"
            inputs["reference_text"].write_text(reference_text, "utf-8")
        context = context or MemoryContext()
        data = self.handler.run(Task("job_x", 1, "speech", None, inputs, params, out, seed), context)
        timings = json.loads(context.artifacts["timings"].read_text("utf-8"))
        with wave.open(str(context.artifacts["speech"])) as stream:
            assert (stream.getframerate(), stream.getnchannels(), stream.getsampwidth()) == (RATE, 1, 2)
            samples = np.frombuffer(stream.readframes(stream.getnframes()), "<i2") / 32768.0
        return Spoken(data, timings, samples, context)
