"""The chosen seconds as one clean recording. Runs in the speech worker.

Flow: spans of the recording -> joined with short cross-fades -> one factor brings them to -20 LUFS, or as near as
their peak allows -> `reference.wav` at 24 kHz and `reference_16k.wav` with the same samples in time.
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.speech.enrol.scratch import Scratch
from workers.speech.enrol.vad import Stretch
from workers.speech.loudness import SILENCE_LUFS, integrated_loudness

# What built-in voices are brought to as well, so that all engines start from one level.
TARGET_LUFS = -20.0
MAX_PEAK = 0.97
# Long enough not to click, short enough to stay inside the pads of silence around a phrase.
_FADE_S = 0.03

F32 = npt.NDArray[np.float32]


def join(scratch: Scratch, spans: Sequence[Stretch]) -> F32:
    """The spans one after the other, each faded into the next."""
    fade = round(_FADE_S * scratch.rate)
    joined = np.zeros(0, np.float32)
    for span in spans:
        piece = scratch.read(span.start_s, span.end_s)
        overlap = min(fade, len(joined), len(piece))
        if overlap:
            # Both sides are noise, not the same sound: equal power.
            rise = np.sin(np.linspace(0.0, np.pi / 2, overlap, dtype=np.float32))
            mixed = joined[-overlap:] * rise[::-1] + piece[:overlap] * rise
            joined = np.concatenate([joined[:-overlap], mixed, piece[overlap:]])
        else:
            joined = np.concatenate([joined, piece])
    return joined


def gain_to_target(samples: F32, rate: int) -> tuple[float, float]:
    """The loudness of the samples in LUFS and the factor that brings them to the target without clipping."""
    loudness = integrated_loudness(samples, rate)
    peak = float(np.abs(samples).max(initial=0.0))
    if loudness == SILENCE_LUFS or not peak:
        return loudness, 1.0
    return loudness, min(10.0 ** ((TARGET_LUFS - loudness) / 20.0), MAX_PEAK / peak)


def write_wav(path: Path, samples: F32, rate: int) -> None:
    """Mono, 16 bit."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((np.clip(samples, -MAX_PEAK, MAX_PEAK) * 32767.0).astype("<i2").tobytes())
