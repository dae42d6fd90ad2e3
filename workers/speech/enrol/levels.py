"""What only the sound as it was recorded shows: clipping, level, phase. Runs in the speech worker.

Flow: pieces of the recording at its own rate and with its own channels -> running sums, a peak per 20 ms and a
histogram per channel -> `Levels`. Memory grows by one number per 20 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.speech.enrol.decode import Mix

STEP_S = 0.02
# The histogram: up to twice full scale (lossy codecs overshoot), in bins fine enough that a ceiling shows as a spike.
_BINS = 4096
_TOP = 2.0
# Clipped samples pile up in the last 1 % below the peak; the rest of speech becomes rarer towards its peak. Compared
# is the density there with the density in the 10 % before. Measured: 119 LibriSpeech clips, but for one that is
# clipped, reach 4.4, most of them 0; clips cut off 1 dB below their peak and turned down have 5 to 19, at 3 dB 10 to 32.
_SPIKE_WIDTH = 0.01
_BEFORE_WIDTH = 0.1
_SPIKE_DENSITY = 6.0
# A spike of fewer samples than this share is chance.
_SPIKE_SHARE = 5e-5
# Below this peak the steps of 16 bits are as wide as the bins.
_MIN_PEAK_BINS = 40
# A step whose peak is this near to the ceiling was cut off.
_AT_CEILING = 0.99
# Channels that are each other's negative cancel when mixed: correlation.
_INVERTED = -0.5
# A channel this much weaker than the other is an unused input.
_UNUSED_DB = 30.0
# What the mixed sound's peak is raised to; the rest leaves room for the resampler's overshoot.
_RAISED_PEAK = 0.8
_MAX_RAISE = 1000.0
_SILENCE = 1e-7
_MAX_WAVEFORM = 400

F32 = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Levels:
    """Of the whole decoded recording. Peaks as recorded: 1 is full scale.

    `peaks` has one per `STEP_S`; `clipped_fraction` is the share of samples at a ceiling and `ceiling` where that
    lies, None without one. `gain` is what `mix` raises the sound by.
    """

    duration_s: float
    peak: float
    peaks: F32
    clipped_fraction: float
    ceiling: float | None
    is_inverted: bool
    mix: Mix
    gain: float

    def clipped_share(self, start_s: float, end_s: float) -> float:
        """Share of the 20 ms steps between two times that touch the ceiling."""
        if self.ceiling is None:
            return 0.0
        peaks = self.peaks[int(start_s / STEP_S) : max(int(end_s / STEP_S), int(start_s / STEP_S) + 1)]
        return float(np.mean(peaks >= _AT_CEILING * self.ceiling)) if len(peaks) else 0.0

    def waveform(self) -> list[float]:
        """At most 400 peaks (0..1) over the whole recording, for a picture of it."""
        if not len(self.peaks):
            return []
        parts = np.array_split(self.peaks, min(_MAX_WAVEFORM, len(self.peaks)))
        return [round(min(float(part.max()), 1.0), 3) for part in parts]


class LevelMeter:
    """Takes a recording piece by piece."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self._channels = channels
        self._step = round(STEP_S * rate)
        self._count = 0
        self._power = np.zeros(channels)
        self._product = 0.0
        self._histogram = np.zeros((channels, 2, _BINS), np.int64)
        self._peaks: list[F32] = []
        self._rest = np.zeros((0, channels), np.float32)

    def feed(self, samples: F32) -> None:
        """The next samples (n, channels)."""
        if not len(samples):
            return
        self._count += len(samples)
        self._power += np.square(samples, dtype=np.float64).sum(axis=0)
        if self._channels == 2:
            self._product += float(np.multiply(samples[:, 0], samples[:, 1], dtype=np.float64).sum())
        for channel in range(self._channels):
            column = samples[:, channel]
            bins = np.minimum(np.abs(column) * (_BINS / _TOP), _BINS - 1).astype(np.int32)
            for side, mask in enumerate((column >= 0, column < 0)):
                self._histogram[channel, side] += np.bincount(bins[mask], minlength=_BINS)
        samples = np.concatenate([self._rest, samples])
        steps = len(samples) // self._step
        # No -1: the last piece of a recording may be shorter than a step, and nothing has no shape to infer.
        whole = np.abs(samples[: steps * self._step]).reshape(steps, self._step * self._channels)
        self._peaks.append(whole.max(axis=1, initial=0.0))
        self._rest = samples[steps * self._step :]

    def result(self) -> Levels:
        """After the last piece."""
        if len(self._rest):
            self._peaks.append(np.abs(self._rest).max(keepdims=True)[0])
        peaks = np.concatenate([*self._peaks, np.zeros(0, np.float32)])
        peak = float(peaks.max(initial=0.0))
        left, right, inverted = self._weights()
        gain = min(_RAISED_PEAK / max(peak, _SILENCE), _MAX_RAISE)
        found = [
            spike
            for channel, weight in zip(range(self._channels), (left, right), strict=False)
            if weight and (spike := clipping(self._histogram[channel])) is not None
        ]
        share, ceiling = max(found, default=(0.0, None))
        return Levels(
            duration_s=self._count / self._rate,
            peak=peak,
            peaks=peaks,
            clipped_fraction=share,
            ceiling=ceiling,
            is_inverted=inverted,
            mix=Mix(left * gain, right * gain),
            gain=gain,
        )

    def _weights(self) -> tuple[float, float, bool]:
        """The factors of left and right, and whether they cancel each other."""
        if self._channels == 1:
            return 1.0, 0.0, False
        left, right = np.maximum(self._power, _SILENCE**2)
        ratio_db = 10.0 * np.log10(left / right)
        if abs(ratio_db) > _UNUSED_DB:
            return (1.0, 0.0, False) if ratio_db > 0 else (0.0, 1.0, False)
        if self._product / np.sqrt(left * right) < _INVERTED:
            return (1.0, 0.0, True) if ratio_db >= 0 else (0.0, 1.0, True)
        return 0.5, 0.5, False


def clipping(histogram: Counts) -> tuple[float, float] | None:
    """The share of samples at a ceiling and its height (1 is full scale), or None when nothing was cut off.

    `histogram` (2, bins): absolute values of the positive and of the negative samples, from 0 to 2.
    """
    total = int(histogram.sum())
    found = [spike for side in histogram if (spike := _spike(side, total)) is not None]
    if not found:
        return None
    return sum(share for share, _ in found), max(height for _, height in found)


def _spike(side: Counts, total: int) -> tuple[float, float] | None:
    used = np.flatnonzero(side)
    if not len(used) or used[-1] < _MIN_PEAK_BINS:
        return None
    peak = int(used[-1])
    width = max(2, int(np.ceil(_SPIKE_WIDTH * peak)))
    before = int(_BEFORE_WIDTH * peak)
    edge = peak - width + 1
    at_top = int(side[edge:].sum())
    if at_top < _SPIKE_SHARE * total:
        return None
    below = (int(side[max(0, edge - before) : edge].sum()) + 1) / max(before, 1)
    if at_top / width < _SPIKE_DENSITY * below:
        return None
    return at_top / total, (peak + 0.5) * _TOP / _BINS
