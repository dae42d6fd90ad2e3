"""What Whisper looks at: 80 log-mel bands, 100 frames a second. Runs in the listening worker.

Flow: samples at 16 kHz -> windows of 25 ms every 10 ms -> power spectrum -> 80 mel bands -> log10, the
lowest 8 decades under the loudest point cut off, scaled to about -1..1.

Source of the constants: Radford et al. 2022 (Whisper), section 2.2; the mel scale is Slaney's (Auditory Toolbox).
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
WINDOW = 400
HOP = 160
BANDS = 80
# What the model was trained on: always 30 s, silence after the speech. Half of it is understood as well (27 of 499
# Chinese characters wrong either way, 32 with a third) and costs two fifths.
FULL_SECONDS = 30
HALF_SECONDS = 15
# Some silence must follow the speech, or the last word is lost.
_REST_S = 1.0

# Slaney's scale: linear up to 1 kHz, 200/3 Hz a mel, then 27 steps to each factor of 6.4.
_LINEAR_HZ = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27.0
_RANGE_DECADES = 8.0


def window_seconds(longest: int) -> int:
    """The window for clips of at most `longest` samples at SAMPLE_RATE."""
    return HALF_SECONDS if longest <= (HALF_SECONDS - _REST_S) * SAMPLE_RATE else FULL_SECONDS


def log_mel(samples: Samples, seconds: int = FULL_SECONDS) -> Features:
    """Features of one clip at SAMPLE_RATE, float32 (BANDS, 100 * seconds). What is beyond is left out."""
    clip = np.zeros(seconds * SAMPLE_RATE, np.float32)
    kept = samples[: len(clip)]
    clip[: len(kept)] = kept
    padded = np.pad(clip, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: seconds * SAMPLE_RATE // HOP]
    power = np.abs(np.fft.rfft(frames * _window(), axis=1)) ** 2
    bands = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    bands = np.maximum(bands, bands.max() - _RANGE_DECADES)
    return np.ascontiguousarray((bands + 4.0) / 4.0, dtype=np.float32)


@functools.cache
def _window() -> Samples:
    """A periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def _hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)


@functools.cache
def _filters() -> npt.NDArray[np.float32]:
    """Triangles of equal area over the bins of the spectrum: (BANDS, WINDOW // 2 + 1)."""
    highest = _BREAK_MEL + np.log(SAMPLE_RATE / 2 / _BREAK_HZ) / _LOG_STEP
    corners = _hz(np.linspace(0.0, highest, BANDS + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - left) / (middle - left)
    falling = (right - bins) / (right - middle)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (right - left)), np.float32)
