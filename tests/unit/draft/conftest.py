"""What the draft engine's tests share: warm models, a photograph, speech-like audio and a task's context."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from workers.draft.faces import find_faces
from workers.draft.framing import Framing, frame_portrait
from workers.draft.sessions import Models, load_models
from workers.handler import TaskCancelled

ASSETS = Path(__file__).resolve().parents[3] / "assets"
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "draft"
RATE = 24_000


class FakeContext:
    """A `TaskContext` that keeps what it is told and can cancel after some progress reports."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.fractions: list[float] = []
        self.steps: list[tuple[int, int]] = []
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.logs: list[tuple[str, str]] = []
        self.checks = 0
        self._cancel_after = cancel_after

    def progress(
        self,
        fraction: float | None,
        message: str = "",
        *,
        stage: str = "",
        step: int | None = None,
        steps: int | None = None,
        eta_s: float | None = None,
    ) -> None:
        assert fraction is not None
        self.fractions.append(fraction)
        if step is not None and steps is not None:
            self.steps.append((step, steps))

    def artifact(self, role: str, path: Path, **facts: Any) -> None:
        assert path.is_file()
        self.artifacts[role] = {"path": path, **facts}

    def log(self, level: str, message: str) -> None:
        self.logs.append((level, message))

    @property
    def cancelled(self) -> bool:
        return self._cancel_after is not None and len(self.steps) >= self._cancel_after

    def raise_if_cancelled(self) -> None:
        self.checks += 1
        if self.cancelled:
            raise TaskCancelled


@pytest.fixture(scope="session")
def ffmpeg_path() -> str:
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def models() -> Models:
    return load_models(ASSETS, threads=2)


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """A frontal photograph, RGB 512x512: Eileen Collins, NASA, public domain."""
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def photo_file(photo: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "portrait.png"
    assert cv2.imwrite(str(path), photo[:, :, ::-1])
    return path


@pytest.fixture(scope="session")
def framing(models: Models, photo: NDArray[np.uint8]) -> Framing:
    """The photograph framed as the engine frames it, small enough to be quick."""
    face = find_faces(models, photo, lambda: None)[0]
    return frame_portrait(photo, face, "1:1", 384)


def write_wav(path: Path, samples: NDArray[np.float64], rate: int = RATE) -> Path:
    """A mono PCM WAV from samples in -1..1."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def voiced(seconds: float, rate: int = RATE, pitch_hz: float = 140.0) -> NDArray[np.float64]:
    """A buzz with formants: loud and harmonic, as a vowel is."""
    t = np.arange(int(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 20))
    return np.asarray(0.2 * buzz, np.float64)


def write_timings(path: Path, phonemes: Sequence[tuple[str, float, float]]) -> Path:
    """A timings file with one sentence."""
    entries = [{"symbol": s, "start_s": a, "end_s": b} for s, a, b in phonemes]
    sentence = {
        "index": 0,
        "text": "test",
        "start_s": phonemes[0][1],
        "end_s": phonemes[-1][2],
        "words": [],
        "phonemes": entries,
    }
    document = {
        "version": 1,
        "engine": "test",
        "voice": "test",
        "language": "en",
        "duration_s": phonemes[-1][2],
        "sentences": [sentence],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def spell(symbols: str, each_s: float = 0.16, start_s: float = 0.3) -> list[tuple[str, float, float]]:
    """Phonemes of equal length after a pause, one per character."""
    return [(s, start_s + i * each_s, start_s + (i + 1) * each_s) for i, s in enumerate(symbols)]
