"""How a voice sounds, as 256 numbers. Runs in the speech worker on numpy alone.

Flow: samples at 16 kHz -> level fixed -> mel energies every 10 ms -> windows of 1.6 s, all at once through a
three-layer LSTM -> the mean of their unit vectors. The cosine of two such vectors says how alike two voices are:
about 0.95 for two sentences of one person, 0.55 for two strangers.

Source of the facts: Resemblyzer 0.1.4 (GE2E, arXiv:1710.10467): 25 ms Hann windows, 40 Slaney mel bands of power,
not of its logarithm, so the level matters; see assets/models/speaker/NOTICE for the weights.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.handler import TaskError

SAMPLE_RATE = 16_000
EMBEDDING_SIZE = 256
# Cosine between sentences of one speaker and between two strangers, measured on LibriSpeech readers.
SAME_SPEAKER, STRANGERS = 0.95, 0.58
WEIGHTS_FILE = "resemblyzer.npz"

_WINDOW = 400
_HOP = 160
_MEL_BANDS = 40
# The network was trained on windows of 1.6 s; 1.3 of them begin per second.
_FRAMES = 160
_STEP = round(SAMPLE_RATE / 1.3 / _HOP)
# A last window counts when at least this share of it is sound.
_MIN_COVERAGE = 0.75
# Training raised quiet speech to this level. Fixing it both ways makes the vector independent of loudness.
_LEVEL_DBFS = -30.0
_LAYERS = 3
_SILENCE = 1e-7

F32 = npt.NDArray[np.float32]


class SpeakerEncoder:
    """The loaded network: 3 MB on disk, 6 MB in memory."""

    def __init__(self, assets_dir: Path) -> None:
        """`assets_dir`: the program's assets folder. Raises TaskError(model_missing) for a damaged file."""
        path = assets_dir / "models" / "speaker" / WEIGHTS_FILE
        try:
            # Read whole first: of a damaged file numpy would leave the handle open.
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                layers = [
                    tuple(
                        np.ascontiguousarray(stored[f"{part}_{n}"].T, np.float32)
                        for part in ("input", "state", "bias")
                    )
                    for n in range(_LAYERS)
                ]
                self._projection = np.ascontiguousarray(stored["projection"].T, np.float32)
                self._projection_bias = stored["projection_bias"].astype(np.float32)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise TaskError(
                "model_missing",
                "The file that compares voices is missing or damaged. Unpack the program again.",
                detail=repr(error),
            ) from error
        self._layers = layers
        bank = _mel_bank()
        self._bank = bank.T.copy()
        area = bank.sum(axis=1)
        # Centre of each mel band in Hz, and the factor that turns its energy back into power.
        self.band_hz: F32 = np.asarray(bank @ np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE) / area, np.float32)
        self.band_width: F32 = np.asarray(1.0 / area, np.float32)
        # Hann with the period of the window, as spectrograms use it.
        self._hann = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)

    def embed(self, samples_16k: F32) -> F32:
        """The unit vector (256,) of mono speech at 16 kHz, any length from one sample on.

        Shorter than 1.6 s it is padded with silence. Raises ValueError for no samples.
        """
        windows = self.embed_windows(samples_16k)
        mean = windows.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), _SILENCE), np.float32)

    def embed_windows(self, samples_16k: F32) -> F32:
        """Unit vectors (windows, 256), one per 1.6 s beginning every 0.77 s (`window_starts`)."""
        return self.embed_mels(self.mel_windows(samples_16k))

    def mel_windows(self, samples_16k: F32) -> F32:
        """The network's input (windows, 160, 40), at the level of training. Raises ValueError for no samples.

        Multiplied by 10^(dB / 10) it is the input of the same sound at another level.
        """
        samples = np.asarray(samples_16k, np.float32).ravel()
        if not len(samples):
            raise ValueError("no samples to listen to")
        samples = _fix_level(samples)
        starts = window_starts(len(samples))
        needed = (starts[-1] + _FRAMES) * _HOP
        if needed > len(samples):
            samples = np.pad(samples, (0, needed - len(samples)))
        mel = self._mel(samples)
        return np.stack([mel[start : start + _FRAMES] for start in starts])

    def embed_mels(self, windows: F32) -> F32:
        """Unit vectors (n, 256) of mel windows (n, 160, 40); windows of several clips may be mixed."""
        states = windows.astype(np.float32, copy=False).transpose(1, 0, 2)
        for layer in self._layers:
            states = _lstm(states, *layer)
        raw = np.maximum(states[-1] @ self._projection + self._projection_bias, 0.0)
        norms = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), _SILENCE)
        return np.asarray(raw / norms, np.float32)

    def _mel(self, samples: F32) -> F32:
        """Mel power (n, 40); frame i is centred on sample 160 i."""
        padded = np.pad(samples, _WINDOW // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
        power = np.abs(np.fft.rfft(frames * self._hann, _WINDOW)) ** 2
        return np.asarray(power.astype(np.float32) @ self._bank, np.float32)


def window_starts(count: int) -> list[int]:
    """First frames (10 ms each) of the windows over `count` samples: at least one."""
    frames = -(-(count + 1) // _HOP)
    starts = list(range(0, max(1, frames - _FRAMES + _STEP + 1), _STEP))
    coverage = (count - starts[-1] * _HOP) / (_FRAMES * _HOP)
    if coverage < _MIN_COVERAGE and len(starts) > 1:
        starts.pop()
    return starts


def _fix_level(samples: F32) -> F32:
    """`samples` at the training level; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return samples if rms < _SILENCE else samples * np.float32(10 ** (_LEVEL_DBFS / 20) / rms)


def _lstm(inputs: F32, weights_in: F32, weights_state: F32, bias: F32) -> F32:
    """One layer: inputs (time, batch, n) -> states (time, batch, 256). Gate order: input, forget, cell, output."""
    steps, batch, _ = inputs.shape
    size = weights_state.shape[0]
    # One product for all steps; only the recurrent part needs the loop. The sigmoid is 0.5 + 0.5 tanh(x / 2), so
    # that one tanh serves all four gates: halve the other three beforehand.
    scale = np.full(4 * size, 0.5, np.float32)
    scale[2 * size : 3 * size] = 1.0
    gates_in = (inputs.reshape(steps * batch, -1) @ (weights_in * scale) + bias * scale).reshape(
        steps, batch, -1
    )
    recurrent = weights_state * scale
    hidden = np.zeros((batch, size), np.float32)
    cell = np.zeros((batch, size), np.float32)
    states = np.empty((steps, batch, size), np.float32)
    for step in range(steps):
        gates = np.tanh(gates_in[step] + hidden @ recurrent)
        opened = gates * np.float32(0.5) + np.float32(0.5)
        cell = opened[:, size : 2 * size] * cell + opened[:, :size] * gates[:, 2 * size : 3 * size]
        hidden = opened[:, 3 * size :] * np.tanh(cell)
        states[step] = hidden
    return states


def _mel_bank() -> F32:
    """Slaney's triangles (40, 201) over 0 to 8 kHz: linear below 1 kHz, logarithmic above, equal area."""
    break_hz, linear_step, log_step = 1000.0, 200.0 / 3.0, np.log(6.4) / 27.0
    top = break_hz / linear_step + np.log(SAMPLE_RATE / 2 / break_hz) / log_step
    mels = np.linspace(0.0, top, _MEL_BANDS + 2)
    linear = mels * linear_step
    edges = np.where(linear < break_hz, linear, break_hz * np.exp(log_step * (mels - break_hz / linear_step)))
    bins = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.clip(np.minimum(rising, falling), 0.0, None) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(bank, np.float32)
