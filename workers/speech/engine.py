"""The `speech` task: a whole script spoken into one file. Runs in the speech worker.

Flow: script -> sentences -> for each: front end, cache or model, WAV and timings appended, progress reported. One
sentence is in memory at a time.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskContext, TaskError
from workers.speech.cache import ClipCache
from workers.speech.install import FIX, model_path, verified_manifest
from workers.speech.kokoro import SAMPLE_RATE, Kokoro, Voice
from workers.speech.match.profile import MATCHED_NAME
from workers.speech.match.profile import load as load_profile
from workers.speech.match.task import Matcher
from workers.speech.narration import (
    EDGE_SAMPLES,
    Line,
    Narration,
    lines_of,
    nothing_to_say,
    number,
    read_narration,
)
from workers.speech.stopping import SynthesisStopped
from workers.speech.synthesis import SpokenSentence, Synthesiser
from workers.speech.text.aligned import Unit
from workers.speech.text.front import Reader
from workers.speech.text.language import LANGUAGES, Language
from workers.speech.timings import TimedSymbol, TimingsWriter
from workers.speech.voices import VoiceLibrary
from workers.speech.wav import WavWriter

ENGINE = "kokoro-82m-int8"
# The second take of a sentence that was not understood: slower by an amount nobody notices, but with other durations
# and so other sounds throughout.
AGAIN_SPEED = 0.93
# An octave: further away no voice is left.
MAX_PITCH = 12.0
_WARM_SYMBOLS = "həlˈO."


@dataclass(frozen=True)
class SpeechRequest:
    """A checked speech task. `voice_for`: who speaks sentences in a language; `british`: how English is read."""

    narration: Narration
    voice_name: str
    voice_for: Callable[[Language], Voice]
    british: bool


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
        self._assets = assets
        self._matcher: Matcher | None = None

    def warm(self) -> None:
        """Say one short word, so that the first sentence does not pay for first allocations."""
        self._model.speak(_WARM_SYMBOLS, self._voices.get(self._voices.presets[0].name))

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do the task. Raises TaskError; cancelling raises what `context.raise_if_cancelled` raises."""
        request = self._check(task)
        sentences = lines_of(request.narration)
        warn = _warner(context)
        synthesiser = Synthesiser(self._model, self._model_sha256, ClipCache(self._cache_dir, warn=warn))
        wav_path = task.output_dir / "speech.wav"
        timings_path = task.output_dir / "timings.json"
        head = {"engine": ENGINE, "voice": request.voice_name, "language": request.narration.language}
        spoken_count = cached_count = pause = 0
        with (
            WavWriter(wav_path) as wav,
            TimingsWriter(timings_path, sample_rate=SAMPLE_RATE, head=head) as timings,
        ):
            for done, line in enumerate(sentences):
                context.raise_if_cancelled()
                context.progress(done / len(sentences), "Speaking", step=done, steps=len(sentences))
                units = self._reader.read(line.text, line.language, british=request.british, given=line.given)
                again = spoken_count in request.narration.again
                spoken = self._speak(synthesiser, units, line, request, context, again=again)
                if spoken is None:
                    continue
                wav.silence(pause if spoken_count else EDGE_SAMPLES + round(line.lead_s * SAMPLE_RATE))
                pause = request.narration.pause_after(line)
                timings.add(line.text, units, _shift(spoken.symbols, wav.samples))
                wav.write(spoken.samples)
                spoken_count += 1
                cached_count += spoken.from_cache
            if not spoken_count:
                raise nothing_to_say()
            # A pause that a mark asks for behind the last word is the script's; the usual one is not.
            wav.silence(EDGE_SAMPLES + (pause if sentences[-1].pause_s is not None else 0))
            total = wav.samples
            timings.finish(total)
        context.progress(1.0, "Spoken", step=len(sentences), steps=len(sentences))
        duration_s = total / SAMPLE_RATE
        context.artifact("speech", wav_path, media_type="audio/wav", duration_s=duration_s)
        context.artifact("timings", timings_path, media_type="application/json")
        return {
            "duration_s": round(duration_s, 4),
            "language": request.narration.language,
            "sentences": spoken_count,
            "cached_sentences": cached_count,
        }

    def _speak(
        self,
        synthesiser: Synthesiser,
        units: list[Unit],
        line: Line,
        request: SpeechRequest,
        context: TaskContext,
        *,
        again: bool,
    ) -> SpokenSentence | None:
        speed = request.narration.speed_of(line) * (AGAIN_SPEED if again else 1.0)
        voice = request.voice_for(line.language)
        if line.pitch:
            voice = replace(voice, f0_gain=voice.f0_gain * 2.0 ** (line.pitch / 12.0))
        try:
            return synthesiser.speak(units, voice, speed=speed, cancelled=lambda: context.cancelled)
        except SynthesisStopped:
            context.raise_if_cancelled()
            raise TaskError("internal_error", "Speaking was interrupted.", retryable=True) from None

    @property
    def matcher(self) -> Matcher:
        """What matches voices with this model; loaded when first asked for."""
        if self._matcher is None:
            self._matcher = Matcher(self._assets, self._model, self._voices)
        return self._matcher

    def _check(self, task: Task) -> SpeechRequest:
        name = str(task.params.get("voice", ""))
        pitch = 2.0 ** (number(task.params, "pitch", 0.0, -MAX_PITCH, MAX_PITCH) / 12.0)
        offered = {preset.name: preset.language for preset in self._voices.presets}
        if "profile" not in task.inputs:
            preset = self._voices.get(name)
            voice = replace(preset, f0_gain=preset.f0_gain * pitch)
            narration = read_narration(task, _language(voice.language))
            return SpeechRequest(narration, name, lambda _: voice, british=name.startswith("b"))
        matched = load_profile(task.inputs["profile"])
        hint = name if name in offered else ""

        @functools.cache
        def voice_for(language: Language) -> Voice:
            own = matched.voice(language, self._voices, self.matcher.space, hint)
            return replace(own, f0_gain=own.f0_gain * pitch)

        narration = read_narration(task, _language(offered.get(hint, "")))
        return SpeechRequest(narration, MATCHED_NAME, voice_for, british=hint.startswith("b"))


def _language(code: str) -> Language:
    return next((language for language in LANGUAGES if language == code), LANGUAGES[0])


def _warner(context: TaskContext) -> Callable[[str], None]:
    def warn(message: str) -> None:
        context.log("warning", message)

    return warn


def _shift(symbols: list[TimedSymbol], offset: int) -> list[TimedSymbol]:
    return [TimedSymbol(s.symbol, s.start + offset, s.end + offset, s.owner) for s in symbols]
