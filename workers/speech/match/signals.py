"""Sampling rates, pitch and silence: the small measures that a voice match starts from. Pure functions.

Flow: a recording in 24 kHz -> 16 kHz speech without pauses, its median pitch.
Source of the pitch measure: YIN (de Cheveigne and Kawahara 2002): the normalised difference function and the first
dip below a threshold.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.handler import TaskError
from workers.speech.resample import resample

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

ENCODER_RATE = 16_000
MODEL_RATE = 24_000
# Human speech: a deep man's voice to a small child's.
MIN_PITCH_HZ, MAX_PITCH_HZ = 60.0, 450.0
# The median of fewer voiced frames (20 ms each) than this says nothing.
MIN_VOICED_FRAMES = 10

_YIN_WINDOW = 1024
_YIN_HOP = 320
_YIN_THRESHOLD = 0.15
# Frames weaker than half the mean level are seldom clean vowels.
_YIN_LEVEL = 0.5
_YIN_BLOCK = 256
_PAUSE_FRAME_S = 0.03
# Speech is what comes within 35 dB of the loud frames; a neighbour of two frames (60 ms) belongs to it.
_PAUSE_BELOW_TOP_DB = 35.0
_PAUSE_REACH = 2
_MIN_SPEECH_S = 0.8


def read_wav(path: Path) -> F32:
    """Mono samples at 24 kHz in -1..1. Raises TaskError(audio_unreadable) for anything but such a WAV file."""
    try:
        with wave.open(str(path), "rb") as stream:
            shape = (stream.getnchannels(), stream.getsampwidth(), stream.getframerate())
            if shape != (1, 2, MODEL_RATE):
                raise ValueError(f"{shape} instead of mono, 16 bit, {MODEL_RATE} Hz")
            raw = stream.readframes(stream.getnframes())
    except (OSError, EOFError, ValueError, wave.Error) as error:
        raise TaskError(
            "audio_unreadable",
            "The voice sample is damaged. Record or upload it again.",
            detail=repr(error),
        ) from error
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    return np.asarray(samples, np.float32)


def to_encoder_rate(samples: F32) -> F32:
    """24 kHz -> 16 kHz."""
    return resample(samples, MODEL_RATE, ENCODER_RATE)


def without_pauses(samples: F32, rate: int = ENCODER_RATE) -> F32:
    """The frames of `samples` that hold speech, put together; everything when there is hardly any."""
    frame = round(_PAUSE_FRAME_S * rate)
    count = len(samples) // frame
    if not count:
        return samples
    frames = samples[: count * frame].reshape(count, frame)
    level = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)
    loud = level > np.percentile(level, 95) - _PAUSE_BELOW_TOP_DB
    wide = np.convolve(loud, np.ones(2 * _PAUSE_REACH + 1), "same") > 0
    if wide.sum() * _PAUSE_FRAME_S < _MIN_SPEECH_S:
        return samples
    return np.asarray(frames[wide].reshape(-1), np.float32)


def log_pitches(samples: F32, rate: int = ENCODER_RATE) -> F64:
    """Natural logarithm of the pitch (Hz) of every clearly voiced frame, one per 20 ms."""
    shortest, longest = int(rate / MAX_PITCH_HZ), int(rate / MIN_PITCH_HZ)
    span = _YIN_WINDOW + longest
    if len(samples) < span:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), span)[::_YIN_HOP]
    level = np.sqrt(np.mean(frames[:, :_YIN_WINDOW] ** 2, axis=1))
    frames = frames[level > _YIN_LEVEL * max(float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))), 1e-6)]
    blocks = [
        _block_pitches(frames[start : start + _YIN_BLOCK], rate, shortest, longest)
        for start in range(0, len(frames), _YIN_BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0)


def median_pitch_hz(samples: F32, rate: int = ENCODER_RATE) -> float | None:
    """Median pitch in Hz, None when too little is voiced."""
    found = log_pitches(samples, rate)
    return float(np.exp(np.median(found))) if len(found) >= MIN_VOICED_FRAMES else None


def _block_pitches(frames: F64, rate: int, shortest: int, longest: int) -> F64:
    size = 1 << (2 * _YIN_WINDOW + longest - 1).bit_length()
    head = np.fft.rfft(frames[:, :_YIN_WINDOW], size)
    correlation = np.fft.irfft(np.fft.rfft(frames, size) * np.conj(head), size)[:, : longest + 1]
    energy = np.concatenate([np.zeros((len(frames), 1)), np.cumsum(frames**2, axis=1)], axis=1)
    power = energy[:, _YIN_WINDOW : _YIN_WINDOW + longest + 1] - energy[:, : longest + 1]
    difference = (power[:, :1] + power - 2 * correlation)[:, 1:]
    lags = np.arange(1, longest + 1)
    normalised = difference * lags / np.maximum(np.cumsum(difference, axis=1), 1e-9)
    pitches = []
    for row in normalised[:, shortest - 1 :]:
        below = np.flatnonzero(row < _YIN_THRESHOLD)
        if not len(below):
            continue
        dip = int(below[0])
        while dip + 1 < len(row) and row[dip + 1] < row[dip]:
            dip += 1
        pitches.append(np.log(rate / (shortest + _vertex(row, dip))))
    return np.asarray(pitches, np.float64)


def _vertex(row: F64, dip: int) -> float:
    """Where the parabola through the dip and its neighbours is lowest."""
    if not 0 < dip < len(row) - 1:
        return float(dip)
    before, here, after = row[dip - 1 : dip + 2]
    bend = before - 2 * here + after
    return dip + (0.5 * float((before - after) / bend) if bend > 0 else 0.0)
