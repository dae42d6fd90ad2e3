"""The `speech` task of engines that learn a voice from a sample. Runs in their workers.

Flow: script -> sentences -> numbers and signs written out -> kept clip, or the engine's take of the sentence in the
sample's voice -> checked (finite, not empty, neither swallowed nor endless; else another seed) -> 24 kHz, ends
trimmed, levelled, speed and pitch -> WAV and timings, sentence by sentence. An engine brings a `CloneModel`; all the
rest is here, once.

Sentence times are exact. Word times are estimated from how long their sounds usually are.
"""

from __future__ import annotations

import hashlib
import json
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from workers.handler import Task, TaskContext, TaskError
from workers.speech.cache import ClipCache
from workers.speech.estimate import estimated_s, spread
from workers.speech.kokoro import SAMPLE_RATE, Clip, Samples
from workers.speech.limiter import apply_gain
from workers.speech.loudness import SILENCE_LUFS, integrated_loudness
from workers.speech.narration import (
    EDGE_SAMPLES,
    Narration,
    lines_of,
    nothing_to_say,
    number,
    read_narration,
)
from workers.speech.resample import resample
from workers.speech.tempo import at_pitch, at_speed
from workers.speech.text.aligned import Unit
from workers.speech.text.front import Reader, spoken_form
from workers.speech.text.language import Language
from workers.speech.timings import TimedSymbol, TimingsWriter
from workers.speech.utterances import NO_OWNER
from workers.speech.wav import WavWriter

# Raised when the same take would come out differently: trimming, levels.
CLONE_VERSION = 1
# A sample of this length is what enrolment makes at most; a longer one is cut by nobody and only costs memory.
MAX_REFERENCE_S = 60.0
MIN_REFERENCE_S = 1.0
MAX_REFERENCE_TEXT = 2_000
# What the built-in voices are levelled to.
LOUDNESS_LUFS = -20.0
MAX_GAIN_DB = 24.0
# Engines that sample sometimes miss; another seed mostly does not.
TAKES = 3
# A take longer than this many times the estimate babbles, a shorter one than that swallowed words. People differ by
# about two in their speed, and the estimate is one for all.
_LONGEST, _LONGEST_EXTRA_S = 3.0, 3.0
_SHORTEST = 0.25
# Added to the seed of a sentence that is to be said in another way, always the same other way.
AGAIN = 1_000_003
MAX_RATE = 192_000
# Trimming: frames of 10 ms are speech above a thirtieth (-30 dB) of the loudest frame.
_FRAME = SAMPLE_RATE // 100
_SPEECH_SHARE = 1 / 30
_QUIET = 1e-4
KEEP_LEAD_SAMPLES = round(0.040 * SAMPLE_RATE)
KEEP_TAIL_SAMPLES = round(0.080 * SAMPLE_RATE)
_FADE_SAMPLES = round(0.005 * SAMPLE_RATE)
_PAD_SYMBOL = " "

Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class Reference:
    """The sample of a voice: mono float32 at 24 kHz, its file, what is said in it when known, and its hash."""

    path: Path
    samples: Samples
    text: str | None
    sha256: str


@dataclass(frozen=True)
class Take:
    """What an engine made of a sentence: mono float32 at `rate` Hz. Not `complete`: it was cut at `limit_s`."""

    samples: Samples
    rate: int
    complete: bool = True


class CloneModel(Protocol):
    """One loaded engine. Not thread-safe: one sentence at a time."""

    @property
    def name(self) -> str:
        """As it stands in timings.json."""

    @property
    def fingerprint(self) -> str:
        """Names weights and settings: with another one a kept clip is not used."""

    def prepare(self, reference: Reference, cancelled: Cancelled) -> None:
        """Learn the voice that the following sentences are spoken in."""

    def speak(
        self, text: str, language: Language, *, seed: int, limit_s: float, cancelled: Cancelled
    ) -> Take | None:
        """Say one sentence, at most `limit_s` of it; None when `cancelled` said so."""


@dataclass(frozen=True)
class _Sentence:
    """All that decides how a kept take sounds."""

    fingerprint: str
    reference: Reference
    text: str
    language: Language
    seed: int

    def key(self) -> str:
        parts = [
            CLONE_VERSION,
            self.fingerprint,
            self.reference.sha256,
            self.reference.text,
            self.text,
            self.language,
            self.seed,
        ]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class _Order:
    narration: Narration
    pitch: float
    seed: int


def read_reference(task: Task) -> Reference:
    """The sample that a task brings. Raises TaskError(validation_failed, audio_unreadable, voice_too_short)."""
    path = task.inputs.get("reference")
    if path is None:
        raise TaskError("validation_failed", "The task has no sample of the voice.")
    try:
        raw = path.read_bytes()
        with wave.open(str(path), "rb") as stream:
            shape = (stream.getframerate(), stream.getnchannels(), stream.getsampwidth())
            count = stream.getnframes()
            data = b"" if count > MAX_REFERENCE_S * SAMPLE_RATE else stream.readframes(count)
    except (OSError, EOFError, wave.Error) as error:
        raise TaskError(
            "audio_unreadable", "The sample of the voice could not be read.", detail=repr(error)
        ) from error
    if shape != (SAMPLE_RATE, 1, 2) or not data:
        raise TaskError(
            "audio_unreadable", "The sample must be a WAV of one channel, 16 bit, 24 kHz, at most 60 s."
        )
    samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768.0)
    if len(samples) < MIN_REFERENCE_S * SAMPLE_RATE:
        raise TaskError("voice_too_short", "The sample of the voice holds too little speech.")
    return Reference(path, samples, _reference_text(task), hashlib.sha256(raw).hexdigest())


def _reference_text(task: Task) -> str | None:
    path = task.inputs.get("reference_text")
    if path is None:
        return None
    try:
        text = " ".join(path.read_text("utf-8").split())
    except (OSError, ValueError) as error:
        raise TaskError(
            "validation_failed", "What is said in the sample could not be read.", detail=repr(error)
        ) from error
    return text[:MAX_REFERENCE_TEXT] or None


class Cloner:
    """Speaks scripts with one model. `reader` measures words, `cache_dir` keeps takes."""

    def __init__(self, model: CloneModel, reader: Reader, cache_dir: Path) -> None:
        self._model = model
        self._reader = reader
        self._cache_dir = cache_dir

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do the task. Raises TaskError; cancelling raises what `context.raise_if_cancelled` raises."""
        order = _Order(
            read_narration(task, "en"), number(task.params, "pitch", 0.0, -12.0, 12.0), _seed_of(task)
        )
        narration = order.narration
        lines = lines_of(narration)
        reference = read_reference(task)
        cache = ClipCache(self._cache_dir, warn=lambda message: context.log("warning", message))
        wav_path, timings_path = task.output_dir / "speech.wav", task.output_dir / "timings.json"
        head = {
            "engine": self._model.name,
            "voice": "reference",
            "language": narration.language,
            "estimated": True,
        }
        prepared = False
        spoken = cached = pause = 0
        with (
            WavWriter(wav_path) as wav,
            TimingsWriter(timings_path, sample_rate=SAMPLE_RATE, head=head, has_phonemes=False) as timings,
        ):
            for done, line in enumerate(lines):
                context.raise_if_cancelled()
                context.progress(done / len(lines), "Speaking", step=done, steps=len(lines))
                units = self._reader.read(line.text, line.language, given=line.given)
                if not units:
                    continue
                # These engines read characters, not pinyin: of the given readings they get those that are words.
                words = [one for one in line.given if one.words]
                text = spoken_form(line.text, line.language, words).text
                seed = order.seed + AGAIN if spoken in narration.again else order.seed
                sentence = _Sentence(self._model.fingerprint, reference, text, line.language, seed)
                kept = cache.get(sentence)
                if kept is None:
                    if not prepared:
                        self._model.prepare(reference, lambda: context.cancelled)
                        context.raise_if_cancelled()
                        prepared = True
                    kept = Clip(self._take(sentence, units, done, context), ())
                    cache.put(sentence, kept)
                else:
                    cached += 1
                speed = narration.speed_of(line)
                pitch = min(max(order.pitch + line.pitch, -12.0), 12.0)
                samples = at_speed(at_pitch(kept.samples, pitch), speed)
                wav.silence(pause if spoken else EDGE_SAMPLES + round(line.lead_s * SAMPLE_RATE))
                pause = narration.pause_after(line)
                timings.add(line.text, units, _timed(units, len(samples), speed, wav.samples))
                wav.write(samples)
                spoken += 1
            if not spoken:
                raise nothing_to_say()
            wav.silence(EDGE_SAMPLES + (pause if lines[-1].pause_s is not None else 0))
            total = wav.samples
            timings.finish(total)
        context.progress(1.0, "Spoken", step=len(lines), steps=len(lines))
        duration_s = total / SAMPLE_RATE
        context.artifact("speech", wav_path, media_type="audio/wav", duration_s=duration_s)
        context.artifact("timings", timings_path, media_type="application/json")
        return {
            "duration_s": round(duration_s, 4),
            "language": narration.language,
            "sentences": spoken,
            "cached_sentences": cached,
        }

    def _take(self, sentence: _Sentence, units: list[Unit], index: int, context: TaskContext) -> Samples:
        """The first good take of a sentence. Raises TaskError(no_output) when none of TAKES is."""
        expected_s = estimated_s(units)
        limit_s = _LONGEST * expected_s + _LONGEST_EXTRA_S
        # From the words and not from the place: an edit further up must not change this sentence.
        seed = sentence_seed(sentence.seed, sentence.text)
        trouble = ""
        for attempt in range(TAKES):
            take = self._model.speak(
                sentence.text,
                sentence.language,
                seed=(seed + attempt) & 0x7FFFFFFF,
                limit_s=limit_s,
                cancelled=lambda: context.cancelled,
            )
            context.raise_if_cancelled()
            if take is None:
                raise TaskError("internal_error", "Speaking was interrupted.", retryable=True)
            samples, trouble = _checked(take, expected_s, limit_s)
            if not trouble:
                return level(samples)
            context.log("warning", f"sentence {index + 1}, take {attempt + 1}: {trouble}")
        raise TaskError(
            "no_output",
            f"Sentence {index + 1} could not be spoken in this voice.",
            detail=f"{TAKES} takes of sentence {index + 1}: {trouble}",
        )


def _seed_of(task: Task) -> int:
    """The task's own seed, unless a parameter names one."""
    value = task.params.get("seed", task.seed)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TaskError("validation_failed", "seed must be a whole number.")
    return value


def sentence_seed(seed: int, text: str) -> int:
    """A seed of 31 bits for a sentence of a script that has `seed`."""
    digest = hashlib.sha256(f"{seed}\n{text}".encode()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF


def _checked(take: Take, expected_s: float, limit_s: float) -> tuple[Samples, str]:
    """The take at 24 kHz without its silent ends, and what is wrong with it."""
    nothing = np.zeros(0, np.float32)
    if not 1 <= take.rate <= MAX_RATE:
        return nothing, f"a sample rate of {take.rate} Hz"
    samples = np.asarray(take.samples, np.float32).ravel()
    if not np.isfinite(samples).all():
        return nothing, "numbers that are none"
    if not take.complete or len(samples) > limit_s * take.rate:
        return nothing, f"no end after {limit_s:.1f} s"
    speech = trim(resample(samples, take.rate, SAMPLE_RATE))
    if not len(speech):
        return nothing, "silence"
    if len(speech) < _SHORTEST * expected_s * SAMPLE_RATE:
        return nothing, f"only {len(speech) / SAMPLE_RATE:.2f} s where about {expected_s:.1f} s were expected"
    return speech, ""


def trim(samples: Samples) -> Samples:
    """Without the silence at both ends, ramped; empty when all of it is silence."""
    count = len(samples) // _FRAME
    if not count:
        return samples[:0]
    frames = samples[: count * _FRAME].reshape(count, _FRAME).astype(np.float64)
    power = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(power > max(_QUIET, float(power.max()) * _SPEECH_SHARE))
    if not len(loud):
        return samples[:0]
    start = max(0, int(loud[0]) * _FRAME - KEEP_LEAD_SAMPLES)
    end = min(len(samples), (int(loud[-1]) + 1) * _FRAME + KEEP_TAIL_SAMPLES)
    kept: Samples = samples[start:end].copy()
    length = min(_FADE_SAMPLES, len(kept) // 2)
    ramp = (0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, length))).astype(np.float32)
    kept[:length] *= ramp
    kept[len(kept) - length :] *= ramp[::-1]
    return kept


def level(samples: Samples) -> Samples:
    """`samples` at the loudness of the built-in voices, peaks limited. Each sentence by itself: engines that
    sample start every one of them anew, at another distance from the microphone."""
    # One word may be shorter than the window of the measurement; said over and over it is not.
    shortest = SAMPLE_RATE // 2
    measured = np.tile(samples, -(-shortest // len(samples))) if len(samples) < shortest else samples
    loudness = integrated_loudness(measured, SAMPLE_RATE)
    if loudness == SILENCE_LUFS:
        return samples
    return apply_gain(samples, float(np.clip(LOUDNESS_LUFS - loudness, -MAX_GAIN_DB, MAX_GAIN_DB)))


def _timed(units: list[Unit], length: int, speed: float, offset: int) -> list[TimedSymbol]:
    """The units spread over a clip of `length` samples that begins at sample `offset` of the whole speech."""
    lead = min(round(KEEP_LEAD_SAMPLES / speed), length // 4)
    tail = min(round(KEEP_TAIL_SAMPLES / speed), length // 4)
    edges = spread(units, length - lead - tail)
    timed = [TimedSymbol(_PAD_SYMBOL, offset, offset + lead, NO_OWNER)]
    for index, unit in enumerate(units):
        start, end = offset + lead + edges[index], offset + lead + edges[index + 1]
        timed.append(TimedSymbol(unit.phonemes, start, end, index if unit.is_word else NO_OWNER))
    timed.append(TimedSymbol(_PAD_SYMBOL, offset + length - tail, offset + length, NO_OWNER))
    return timed
