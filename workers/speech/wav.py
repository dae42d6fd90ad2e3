"""A WAV file that grows. Runs in the speech worker.

Flow: float samples of one sentence after the other -> 16-bit PCM on disk; the header gets its lengths at the end,
so memory holds one sentence however long the script is.
"""

from __future__ import annotations

import wave
from pathlib import Path
from types import TracebackType

from workers.speech.cache import to_pcm
from workers.speech.kokoro import SAMPLE_RATE, Samples

_SILENCE_CHUNK = SAMPLE_RATE


class WavWriter:
    """Mono, 24 kHz, 16 bit. A context manager; leaving it completes the header."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wave: wave.Wave_write | None = None
        self._samples = 0

    def __enter__(self) -> WavWriter:
        self._wave = wave.open(str(self._path), "wb")
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(SAMPLE_RATE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wave is not None:
            self._wave.close()
            self._wave = None

    @property
    def samples(self) -> int:
        """Samples written so far."""
        return self._samples

    def write(self, samples: Samples) -> None:
        """Append float samples in -1..1."""
        if self._wave is None:
            raise RuntimeError("the WAV file is not open")
        self._wave.writeframesraw(to_pcm(samples))
        self._samples += len(samples)

    def silence(self, count: int) -> None:
        """Append `count` zero samples."""
        if self._wave is None:
            raise RuntimeError("the WAV file is not open")
        for start in range(0, count, _SILENCE_CHUNK):
            self._wave.writeframesraw(bytes(2 * min(_SILENCE_CHUNK, count - start)))
        self._samples += count
