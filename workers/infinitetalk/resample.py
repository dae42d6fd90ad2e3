"""Sound at 16 kHz from a WAV at any rate, read piece by piece. Runs in the InfiniteTalk worker.

Flow: samples of a PCM WAV (mono, or the mean of its channels) as fp64 in [-1, 1) -> polyphase filter ->
any stretch of the same sound at another rate. A stretch depends on nothing but its place, so hours of sound
need only the memory of the stretch that is asked for.

The filter is a windowed sinc (Kaiser). Its numbers: pass band to 7.2 kHz within 0.01 dB, at least 90 dB down
from 8 kHz on when 24 kHz become 16 kHz; speech carries nothing between them that wav2vec2 was taught.
"""

from __future__ import annotations

import math
import wave
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from workers.handler import TaskError

RATE = 16_000  # of wav2vec2
# 90 dB of stop band; half the transition from 0.9 to 1.0 of the lower Nyquist frequency.
_STOP_BAND_DB = 92.0
_PASS = 0.9
# A filter of more numbers belongs to a rate that shares nothing with 16 kHz, which no recorder writes.
_MAX_FILTER = 1 << 22
# Samples filtered in one go: bounds the memory of the filter's windows to some tens of MB.
_BLOCK = 1 << 15

Samples = npt.NDArray[np.float64]


class Sound(Protocol):
    """Mono sound of known length; `read` gives `count` samples from `start`, all inside the sound."""

    rate: int
    length: int

    def read(self, start: int, count: int) -> Samples: ...


class WavFile:
    """A PCM WAV of 8, 16, 24 or 32 bits on disk. Opened for each stretch: tasks are long, handles are not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as wav:
            self.rate = wav.getframerate()
            self.length = wav.getnframes()
            self._width = wav.getsampwidth()
            self._channels = wav.getnchannels()
        if not self.length or not self.rate:
            raise TaskError("audio_unreadable", f"{path.name} holds no sound.")

    def _open(self) -> wave.Wave_read:
        try:
            return wave.open(str(self._path), "rb")
        except (OSError, EOFError, wave.Error) as error:
            raise TaskError("audio_unreadable", f"{self._path.name} is not a PCM WAV: {error}") from error

    def read(self, start: int, count: int) -> Samples:
        with self._open() as wav:
            wav.setpos(start)
            data = wav.readframes(count)
        if len(data) != count * self._width * self._channels:
            raise TaskError("audio_unreadable", f"{self._path.name} ends before the length it states.")
        samples: Samples = _decode(data, self._width).reshape(count, self._channels).mean(axis=1)
        return samples


def _decode(data: bytes, width: int) -> Samples:
    """PCM bytes as numbers in [-1, 1). 8 bits are unsigned in a WAV, everything else is signed."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    if width == 3:
        raw = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 1:] = raw
        return wide.view("<i4")[:, 0] / 2.0**31
    return np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)


class ArraySound:
    """Sound that is in memory already."""

    def __init__(self, samples: npt.NDArray[np.floating], rate: int = RATE) -> None:
        self._samples = np.asarray(samples, np.float64)
        self.rate = rate
        self.length = len(self._samples)

    def read(self, start: int, count: int) -> Samples:
        return self._samples[start : start + count]


class Resampled:
    """The same sound at another rate.

    With up / down the ratio of the rates in lowest terms, output sample n = m * up + p lies at input time
    m * down + p * down / up: each of the `up` phases p has a filter of its own, moved on by `down` for m.
    """

    def __init__(self, source: Sound, rate: int = RATE) -> None:
        self._source = source
        self.rate = rate
        divisor = math.gcd(source.rate, rate)
        self._up, self._down = rate // divisor, source.rate // divisor
        self.length = -(-source.length * self._up // self._down)
        if self._up * self._down > _MAX_FILTER:
            raise TaskError("audio_unreadable", f"Sound at {source.rate} samples a second cannot be used.")
        self._kernels, self._reach = _kernels(self._up, self._down)

    def read(self, start: int, count: int) -> Samples:
        if self._up == self._down:
            return self._source.read(start, count)
        out = np.empty(count)
        for offset in range(0, count, _BLOCK):
            size = min(_BLOCK, count - offset)
            out[offset : offset + size] = self._stretch(start + offset, size)
        return out

    def _stretch(self, start: int, count: int) -> Samples:
        """Output samples start .. start + count - 1."""
        first, last = start // self._up, (start + count - 1) // self._up
        taps = self._kernels.shape[1]
        samples = self._padded(first * self._down - self._reach, (last - first) * self._down + taps)
        windows = np.lib.stride_tricks.sliding_window_view(samples, taps)[:: self._down]
        phases: Samples = windows @ self._kernels.T  # (m, up)
        skipped = start - first * self._up
        return phases.reshape(-1)[skipped : skipped + count]

    def _padded(self, start: int, count: int) -> Samples:
        """Input samples from `start`, with silence where there is no sound."""
        samples = np.zeros(count)
        low, high = max(0, start), min(self._source.length, start + count)
        if high > low:
            samples[low - start : high - start] = self._source.read(low, high - low)
        return samples


def _kernels(up: int, down: int) -> tuple[Samples, int]:
    """Filters (up, taps) of the phases, and how many input samples lie before a phase's own place."""
    # Frequencies in units of the input's rate; the lower of the two Nyquist frequencies must not be passed.
    nyquist = min(1.0, up / down) / 2
    cutoff = nyquist * (1 + _PASS) / 2
    transition = nyquist * (1 - _PASS)
    # Kaiser's formulas for the window's shape and length.
    beta = 0.1102 * (_STOP_BAND_DB - 8.7)
    half = (_STOP_BAND_DB - 7.95) / (2.285 * 2 * math.pi * transition) / 2
    reach = math.ceil(half)
    places = np.arange(-reach, reach + down + 1)[None, :] - (np.arange(up) * down / up)[:, None]
    inside = np.clip(1 - (places / half) ** 2, 0, None)
    window = np.i0(beta * np.sqrt(inside)) / np.i0(beta) * (inside > 0)
    kernels = 2 * cutoff * np.sinc(2 * cutoff * places) * window
    # A constant stays that constant in every phase.
    return kernels / kernels.sum(axis=1, keepdims=True), reach
