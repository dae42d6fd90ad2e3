"""How far speech stands above what is heard between the words. Runs in the speech worker.

Flow: samples at 16 kHz, in pieces -> the power of each 32 ms frame in the band of speech -> with the detector's
probabilities, the level of speech over the level of the pauses.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workers.speech.enrol.vad import FRAME, SAMPLE_RATE

# Rumble below and hiss above this band disturb neither a listener nor an encoder much.
_LOW_HZ, _HIGH_HZ = 125.0, 7000.0
_SPEECH, _PAUSE = 0.5, 0.15
# Reverberation and breath: so many frames on either side of speech (0.1 s) are no pause.
_GUARD_FRAMES = 3
# With fewer frames of pause than this (0.25 s) the quietest twentieth of all frames stands for them.
_MIN_PAUSE_FRAMES = 8
_QUIET_PERCENTILE = 5.0
# Digital silence, as editors and noise gates leave it, says nothing about the room: frames below this are left out.
_NOTHING = 1e-9
# Nobody's room is better than this; a recording cut to pieces by a gate may look it.
MAX_SNR_DB = 60.0
_BATCH = 256

F32 = npt.NDArray[np.float32]


class PowerMeter:
    """Takes a recording piece by piece."""

    def __init__(self) -> None:
        self._window = np.hanning(FRAME).astype(np.float32)
        self._band = slice(round(_LOW_HZ * FRAME / SAMPLE_RATE), round(_HIGH_HZ * FRAME / SAMPLE_RATE) + 1)
        self._rest = np.zeros(0, np.float32)
        self._powers: list[F32] = []

    def feed(self, samples: F32) -> None:
        """The next samples."""
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // FRAME
        frames = samples[: count * FRAME].reshape(count, FRAME)
        for first in range(0, count, _BATCH):
            self._measure(frames[first : first + _BATCH])
        self._rest = samples[count * FRAME :]

    def close(self) -> F32:
        """One power per frame of 32 ms, as the detector counts them."""
        if len(self._rest):
            self._measure(np.pad(self._rest, (0, FRAME - len(self._rest)))[None])
            self._rest = self._rest[:0]
        return np.concatenate([*self._powers, np.zeros(0, np.float32)])

    def _measure(self, frames: F32) -> None:
        power = np.abs(np.fft.rfft(frames * self._window)) ** 2
        self._powers.append(power[:, self._band].sum(axis=1).astype(np.float32))


def noise_power(powers: F32, probabilities: F32) -> float:
    """The power of a frame in which nobody speaks."""
    near = np.convolve(probabilities >= _SPEECH, np.ones(2 * _GUARD_FRAMES + 1), "same") > 0
    pause = powers[(probabilities < _PAUSE) & ~near & (powers > _NOTHING)]
    if len(pause) >= _MIN_PAUSE_FRAMES:
        # The median: a slammed door is no noise floor.
        return float(np.median(pause))
    return float(np.percentile(powers, _QUIET_PERCENTILE)) if len(powers) else 0.0


def snr_db(powers: F32, probabilities: F32, noise: float) -> float:
    """Speech over `noise` in dB, at most `MAX_SNR_DB`; the noise under the speech is taken off. 0 without speech."""
    speech = powers[probabilities >= _SPEECH]
    if not len(speech):
        return 0.0
    power = max(float(speech.mean()) - noise, _NOTHING)
    return float(np.clip(10.0 * np.log10(power / max(noise, _NOTHING)), 0.0, MAX_SNR_DB))
