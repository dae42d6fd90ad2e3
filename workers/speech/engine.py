"""The `speech` task: a whole script spoken into one file. Runs in the speech worker.

Flow: script -> sentences -> for each: front end, cache or model, WAV and timings appended, progress reported. One
sentence is in memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskContext, TaskError
from workers.speech.cache import ClipCache
from workers.speech.install import FIX, model_path, verified_manifest
from workers.speech.kokoro import SAMPLE_RATE, Kokoro, SynthesisStopped, Voice
from workers.speech.synthesis import SpokenSentence, Synthesiser
from workers.speech.text.aligned import Unit
from workers.speech.text.front import Reader
from workers.speech.text.language import LANGUAGES, Language, detect, of_sentence
from workers.speech.text.sentences import split_sentences
from workers.speech.timings import TimedSymbol, TimingsWriter
from workers.speech.voices import VoiceLibrary
from workers.speech.wav import WavWriter

ENGINE = "kokoro-82m-int8"
# Beyond these the duration predictor slurs (fast) or drones (slow).
MIN_SPEED, MAX_SPEED = 0.5, 2.0
MAX_PAUSE_MS = 5_000
# About an hour and a half of speech; the API has its own, lower limit.
MAX_SCRIPT_CHARACTERS = 100_000
# Silence before the first and after the last word: players swallow the first milliseconds.
EDGE_SAMPLES = round(0.10 * SAMPLE_RATE)
# Where a long sentence was cut at a comma, a comma's pause and not a full stop's.
PIECE_PAUSE_SAMPLES = round(0.12 * SAMPLE_RATE)
_WARM_SYMBOLS = "həlˈO."


@dataclass(frozen=True)
class _Line:
    """One sentence to speak. `complete`: see `Sentence`."""

    text: str
    language: Language
    complete: bool


@dataclass(frozen=True)
class SpeechRequest:
    """A checked speech task."""

    text: str
    language: Language
    fixed_language: bool
    voice: Voice
    speed: float
    pause_samples: int


class SpeechEngine:
    """Model, voices, front ends and cache of one worker."""

    def __init__(self, *, assets: Path, models_dir: Path, cache_dir: Path, threads: int) -> None:
        """Load everything that every sentence needs. Raises TaskError(model_missing)."""
        manifest = verified_manifest(models_dir)
        if manifest is None:
            raise TaskError("model_missing", f"The built-in speech model is not installed. {FIX}")
        g2p = assets / "g2p"
        vocabulary = {
            str(symbol): int(token)
            for symbol, token in json.loads((g2p / "kokoro_vocab.json").read_text("utf-8")).items()
        }
        self._voices = VoiceLibrary(assets / "voices")
        self._reader = Reader(g2p)
        self._model = Kokoro(model_path(models_dir), vocabulary, threads=threads)
        self._model_sha256 = manifest.model_sha256
        self._cache_dir = cache_dir

    def warm(self) -> None:
        """Say one short word, so that the first sentence does not pay for first allocations."""
        self._model.speak(_WARM_SYMBOLS, self._voices.get(self._voices.presets[0].name))

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do the task. Raises TaskError; cancelling raises what `context.raise_if_cancelled` raises."""
        request = self._check(task)
        sentences = self._sentences(request)
        warn = _warner(context)
        synthesiser = Synthesiser(self._model, self._model_sha256, ClipCache(self._cache_dir, warn=warn))
        wav_path = task.output_dir / "speech.wav"
        timings_path = task.output_dir / "timings.json"
        head = {"engine": ENGINE, "voice": request.voice.name, "language": request.language}
        spoken_count = cached_count = pause = 0
        with (
            WavWriter(wav_path) as wav,
            TimingsWriter(timings_path, sample_rate=SAMPLE_RATE, head=head) as timings,
        ):
            for done, line in enumerate(sentences):
                context.raise_if_cancelled()
                context.progress(done / len(sentences), "Speaking", step=done, steps=len(sentences))
                units = self._reader.read(
                    line.text, line.language, british=request.voice.name.startswith("b")
                )
                spoken = self._speak(synthesiser, units, request, context)
                if spoken is None:
                    continue
                wav.silence(pause if spoken_count else EDGE_SAMPLES)
                pause = request.pause_samples
                if not line.complete:
                    pause = min(pause, PIECE_PAUSE_SAMPLES)
                timings.add(line.text, units, _shift(spoken.symbols, wav.samples))
                wav.write(spoken.samples)
                spoken_count += 1
                cached_count += spoken.from_cache
            if not spoken_count:
                raise TaskError(
                    "validation_failed",
                    "The script holds nothing that can be spoken. Write at least one word.",
                )
            wav.silence(EDGE_SAMPLES)
            total = wav.samples
            timings.finish(total)
        context.progress(1.0, "Spoken", step=len(sentences), steps=len(sentences))
        duration_s = total / SAMPLE_RATE
        context.artifact("speech", wav_path, media_type="audio/wav", duration_s=duration_s)
        context.artifact("timings", timings_path, media_type="application/json")
        return {
            "duration_s": round(duration_s, 4),
            "language": request.language,
            "sentences": spoken_count,
            "cached_sentences": cached_count,
        }

    def _speak(
        self, synthesiser: Synthesiser, units: list[Unit], request: SpeechRequest, context: TaskContext
    ) -> SpokenSentence | None:
        try:
            return synthesiser.speak(
                units, request.voice, speed=request.speed, cancelled=lambda: context.cancelled
            )
        except SynthesisStopped:
            context.raise_if_cancelled()
            raise TaskError("internal_error", "Speaking was interrupted.", retryable=True) from None

    def _check(self, task: Task) -> SpeechRequest:
        if "script" not in task.inputs:
            raise TaskError("validation_failed", "The task has no script.")
        script = _read_script(task.inputs["script"])
        text = script["text"]
        if len(text) > MAX_SCRIPT_CHARACTERS:
            raise TaskError(
                "validation_failed",
                f"The script has {len(text):,} characters; {MAX_SCRIPT_CHARACTERS:,} is the most. Split it.",
            )
        asked = script.get("language", "auto")
        if asked not in {"auto", *LANGUAGES}:
            raise TaskError("validation_failed", "The language must be auto, zh, en or ja.")
        voice = self._voices.get(str(task.params.get("voice", "")))
        speed = _number(task.params, "speed", 1.0, MIN_SPEED, MAX_SPEED)
        pause_ms = _number(task.params, "pause_ms", 300.0, 0.0, MAX_PAUSE_MS)
        fallback: Language = next(language for language in LANGUAGES if language == voice.language)
        return SpeechRequest(
            text=text,
            language=detect(text, fallback) if asked == "auto" else asked,
            fixed_language=asked != "auto",
            voice=voice,
            speed=speed,
            pause_samples=round(pause_ms / 1000 * SAMPLE_RATE),
        )

    def _sentences(self, request: SpeechRequest) -> list[_Line]:
        lines = []
        for sentence in split_sentences(request.text):
            text = request.text[sentence.start : sentence.end]
            language = of_sentence(text, request.language, fixed=request.fixed_language)
            lines.append(_Line(text, language, sentence.complete))
        if not lines:
            raise TaskError("validation_failed", "The script is empty. Write at least one word.")
        return lines


def _read_script(path: Path) -> dict[str, Any]:
    """The script file of a speech task. Raises TaskError(validation_failed)."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TaskError("validation_failed", "The script could not be read.", detail=repr(error)) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("text"), str):
        raise TaskError("validation_failed", "The script has no text.")
    return raw


def _warner(context: TaskContext) -> Callable[[str], None]:
    def warn(message: str) -> None:
        context.log("warning", message)

    return warn


def _shift(symbols: list[TimedSymbol], offset: int) -> list[TimedSymbol]:
    return [TimedSymbol(s.symbol, s.start + offset, s.end + offset, s.owner) for s in symbols]


def _number(params: Any, name: str, default: float, low: float, high: float) -> float:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise TaskError("validation_failed", f"{name} must be a number from {low:g} to {high:g}.")
    return float(value)
