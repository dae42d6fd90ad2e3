"""Kokoro-82M on onnxruntime: phoneme symbols and a style in, samples and durations out. Runs in the speech worker.

Flow: symbols -> token ids (padded at both ends) -> one session run -> samples at 24 kHz and one duration per
token -> for a matched voice, formants moved and spectrum corrected -> the long silent tails trimmed, and the
trimmed samples taken off the durations, so that what is left still adds up to the length of the audio, sample for
sample.

Source of the facts: hexgrad/Kokoro-82M (StyleTTS 2 + ISTFTNet); style packs hold one style per token count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.speech import graph
from workers.speech.match import spectrum
from workers.speech.resample import resample
from workers.speech.stopping import SynthesisStopped, watch

SAMPLE_RATE = 24_000
# One frame of the duration predictor is 25 ms: 600 samples.
FRAME_SAMPLES = 600
# The text encoder has 512 positions, two are the padding tokens; two stay free as in the reference code.
MAX_TOKENS = 508
PAD_TOKEN = 0
STYLE_SHAPE = (510, 256)
# A formant scale is rounded to a thousandth: rates with a large common divisor keep its conversion cheap.
_FORMANT_STEP = SAMPLE_RATE // 1000

# Below this (-52 dBFS before levelling) the generator only breathes noise: measured floor of the int8 export.
SILENCE_PEAK = 0.0025
# Silence kept at both ends of an utterance: plosives start softly and vowels ring out.
KEEP_LEAD_SAMPLES = round(0.030 * SAMPLE_RATE)
KEEP_TAIL_SAMPLES = round(0.060 * SAMPLE_RATE)
# Raised-cosine ramps at both ends, so that a join with silence makes no click.
FADE_SAMPLES = round(0.005 * SAMPLE_RATE)
# The generator sounds each symbol a little before the duration predictor says: measured over all offered voices,
# onsets after pauses come 20 to 70 ms early, the median is 32 ms. Times are moved by that.
ALIGNMENT_LEAD_SAMPLES = round(0.030 * SAMPLE_RATE)

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """A way of speaking. `style`: float32 (510, 256). `fingerprint` names it in cache keys.

    `gain_db` brings the voice to the common loudness. `f0_gain` (factor) and `f0_bias` (Hz) shift its pitch.
    `formant` moves its formants (1.05: 5 % higher, as of a smaller head), `correction_db` (513,) colours its spectrum
    (spectrum.py); both belong to matched voices, and the fingerprint covers them.
    """

    name: str
    language: str
    style: npt.NDArray[np.float32]
    fingerprint: str
    gain_db: float = 0.0
    f0_gain: float = 1.0
    f0_bias: float = 0.0
    formant: float = 1.0
    correction_db: Samples | None = None


@dataclass(frozen=True)
class Clip:
    """One utterance. `samples`: float32 in -1..1. `token_samples[i]`: length of symbol i in samples; the first
    and the last entry belong to the padding before and after. They sum to `len(samples)`.
    """

    samples: Samples
    token_samples: tuple[int, ...]


class Kokoro:
    """One loaded model. Not thread-safe: one utterance at a time."""

    def __init__(self, model: Path, vocabulary: dict[str, int], *, threads: int) -> None:
        """Load `model` (patched by graph.py) on `threads` CPU threads."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin between operators steal the cores from the renderer that may work beside us.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Every sentence has another length, so a memory plan made for one length only costs memory: measured
        # 405 instead of 577 MB for 10 s of speech. (Without the arena it would be 2 GB and half the speed.)
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        self._run_options = onnxruntime.RunOptions
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._vocabulary = vocabulary

    def knows(self, symbol: str) -> bool:
        """Whether the model has a token for `symbol`."""
        return symbol in self._vocabulary

    def speak(
        self, symbols: str, voice: Voice, *, speed: float = 1.0, cancelled: Callable[[], bool] | None = None
    ) -> Clip:
        """Say `symbols` (1 to MAX_TOKENS known symbols).

        Raises ValueError for symbols that do not fit (nothing is ever cut off silently) and SynthesisStopped
        when `cancelled` said so, which takes about 0.1 s whatever the length.
        """
        if not 1 <= len(symbols) <= MAX_TOKENS:
            raise ValueError(f"{len(symbols)} symbols do not fit into 1..{MAX_TOKENS}")
        unknown = {symbol for symbol in symbols if symbol not in self._vocabulary}
        if unknown:
            raise ValueError(f"symbols outside the vocabulary: {sorted(unknown)}")
        formant_rate = round(voice.formant * SAMPLE_RATE / _FORMANT_STEP) * _FORMANT_STEP
        formant = formant_rate / SAMPLE_RATE
        tokens = [PAD_TOKEN, *(self._vocabulary[symbol] for symbol in symbols), PAD_TOKEN]
        feeds = {
            "tokens": np.array([tokens], np.int64),
            "style": voice.style[len(symbols) - 1][np.newaxis].astype(np.float32),
            # Formants move by playing faster or slower what was spoken slower and lower, or faster and higher, by
            # the same factor: tempo and pitch come out as asked.
            "speed": np.array([speed / formant], np.float32),
            graph.INPUT_GAIN: np.array([voice.f0_gain / formant], np.float32),
            graph.INPUT_BIAS: np.array([voice.f0_bias / formant], np.float32),
        }
        audio, frames = self._run(feeds, cancelled)
        lengths = [round(float(count)) * FRAME_SAMPLES for count in frames]
        if formant != 1.0:
            audio = resample(audio, formant_rate, SAMPLE_RATE)
            lengths = np.diff(np.round(np.cumsum([0, *lengths]) / formant)).astype(int).tolist()
        if voice.correction_db is not None:
            audio = spectrum.apply(audio, voice.correction_db)
        return trim(audio, lengths)

    def _run(
        self, feeds: dict[str, Any], cancelled: Callable[[], bool] | None
    ) -> tuple[Samples, npt.NDArray[np.float32]]:
        options = self._run_options()
        outputs = [graph.OUTPUT_AUDIO, graph.OUTPUT_DURATIONS]
        with watch(options, cancelled) as stopped:
            try:
                audio, durations = self._session.run(outputs, feeds, options)
            except Exception as error:
                if stopped():
                    raise SynthesisStopped from error
                raise
        return np.asarray(audio, np.float32).ravel(), np.asarray(durations, np.float32).ravel()


def trim(audio: Samples, token_samples: list[int]) -> Clip:
    """Cut the silent tails, ramp the new ends, and take what was cut off the outermost tokens.

    Boundaries are moved earlier by ALIGNMENT_LEAD_SAMPLES. What is missing at the end goes to the last token, so
    the sum is exactly the length of the trimmed audio.
    """
    loud = np.flatnonzero(np.abs(audio) > SILENCE_PEAK)
    if len(loud):
        start = max(0, int(loud[0]) - KEEP_LEAD_SAMPLES)
        end = min(len(audio), int(loud[-1]) + 1 + KEEP_TAIL_SAMPLES)
    else:
        start, end = 0, len(audio)
    samples = audio[start:end].copy()
    ramp_length = min(FADE_SAMPLES, len(samples) // 2)
    if ramp_length:
        ramp = (0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, ramp_length))).astype(np.float32)
        samples[:ramp_length] *= ramp
        samples[-ramp_length:] *= ramp[::-1]
    edges = np.clip(
        np.concatenate([[0], np.cumsum(token_samples) - ALIGNMENT_LEAD_SAMPLES]) - start, 0, len(samples)
    )
    edges[-1] = len(samples)
    return Clip(samples, tuple(int(length) for length in np.diff(edges)))
