"""The `speech` task of the wan2gp worker: scripts in a voice learned from a sample, by the models of Wan2GP.

Flow: task with params["model"] -> the table's `Voice` -> `workers.speech.cloning.Cloner` (sentences, kept takes,
checks, levels, timings) -> for each sentence that is not kept one generation of upstream, for a long one several ->
its WAV read and deleted. Upstream keeps the model between sentences and between tasks; it also changes from a voice
to a video model by itself, so that both kinds of task live in one process.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import wave
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from workers.handler import Task, TaskContext, TaskError, WorkerSetup
from workers.speech.cloning import MAX_RATE, Cloner, Reference, Take
from workers.speech.kokoro import SAMPLE_RATE, Samples
from workers.speech.text.front import Reader
from workers.speech.text.language import Language
from workers.wan2gp.generation import generate
from workers.wan2gp.progress import Step
from workers.wan2gp.prompts import as_prompt, pieces
from workers.wan2gp.segmenter import keep_from_fetching, set_apart
from workers.wan2gp.sentence_progress import SentenceProgress
from workers.wan2gp.voices import Voice, load_voices

# Raised when the same settings would sound different: how prompts are written, how pieces are joined.
FORMAT = 1
# Upstream cuts at its maximum and says nothing. Past the limit of the cloner a take counts as endless, so the maximum
# must lie beyond it, or a cut one would pass for whole.
_BEYOND_S = 2
# What upstream takes at most.
_LONGEST_S = 600
# Between the pieces of one sentence, like the breath at a comma.
_JOIN_S = 0.12
_OUTPUT = "speech"
# Upstream refused what this module wrote, or could not read a sample that was read here before: not the user's doing.
_OURS = frozenset({"validation_failed", "audio_unreadable", "image_unreadable"})

Cancelled = Callable[[], bool]


class Generate(Protocol):
    """One generation of upstream: `workers.wan2gp.generation.generate`."""

    def __call__(
        self,
        engine: Any,
        settings: dict[str, Any],
        *,
        folder: Path,
        name: str,
        context: TaskContext,
        on_step: Callable[[Step], None],
    ) -> Path: ...


class Voices:
    """Does speech tasks. Made once for a process: it keeps the tables of the text front end."""

    def __init__(self, setup: WorkerSetup, generate: Generate = generate) -> None:
        self._setup = setup
        self._generate = generate
        assets = Path(str(setup.options["assets_dir"]))
        self._voices = load_voices(assets)
        self._reader = Reader(assets / "g2p")

    def run(self, engine: Any, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do the task with upstream's session `engine`. Raises TaskError and TaskCancelled."""
        voice = self._voices.get(str(task.params.get("model")))
        if voice is None:
            known = ", ".join(self._voices)
            raise TaskError("validation_failed", f"model must be one of: {known}.")
        folder = task.output_dir / "voice"
        folder.mkdir()
        told = SentenceProgress(context, loading=f"Loading {voice.model}")

        def one(settings: dict[str, Any], on_step: Callable[[Step], None]) -> Path:
            keep_from_fetching(voice.model_type)
            return self._generate(
                engine, settings, folder=folder / "upstream", name=_OUTPUT, context=told, on_step=on_step
            )

        words = self._reader.chinese.words
        model = UpstreamVoice(voice, one, folder=folder, root=self._setup.engine_root, told=told, words=words)
        try:
            return Cloner(model, self._reader, self._setup.cache_dir).run(task, told)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # the copy of somebody's voice among it


class UpstreamVoice:
    """Implements `workers.speech.cloning.CloneModel` for one task."""

    def __init__(
        self,
        voice: Voice,
        generate: Callable[[dict[str, Any], Callable[[Step], None]], Path],
        *,
        folder: Path,
        root: Path | None,
        told: SentenceProgress,
        words: Callable[[str], list[str]],
    ) -> None:
        """`folder` exists; `root`: where upstream lies; `told`: hears how far each generation is; `words` cuts a run
        of Han characters."""
        self._voice = voice
        self._generate = generate
        self._folder = folder
        self._root = root
        self._told = told
        self._words = words
        self._sample: Path | None = None
        self._transcript = ""

    @property
    def name(self) -> str:
        return self._voice.name

    @property
    def fingerprint(self) -> str:
        """The model and all that is asked of it; other weights come under another model type or release."""
        facts = json.dumps([FORMAT, asdict(self._voice)], sort_keys=True, ensure_ascii=False, default=dict)
        return hashlib.sha256(facts.encode()).hexdigest()

    def prepare(self, reference: Reference, cancelled: Cancelled) -> None:
        """Lay the sample where its name tells its content: upstream remembers speakers by the path alone."""
        self._sample = (self._folder / f"{reference.sha256[:32]}.wav").resolve()
        shutil.copyfile(reference.path, self._sample)
        longest = self._voice.transcript_max_s
        seconds = len(reference.samples) / SAMPLE_RATE
        told = reference.text if longest is not None and seconds <= longest else None
        self._transcript = as_prompt(told or "", self._root)

    def speak(
        self, text: str, language: Language, *, seed: int, limit_s: float, cancelled: Cancelled
    ) -> Take | None:
        """One sentence in the voice of the sample; a take that upstream did not make is an empty one."""
        apart = set_apart(text, self._words) if self._voice.words_apart and language == "zh" else text
        prompts = pieces(as_prompt(apart, self._root), self._voice.max_characters)
        parts: list[Samples] = []
        rate = SAMPLE_RATE
        for index, prompt in enumerate(prompts):
            if cancelled():
                return None
            self._told.begin(index, len(prompts))
            settings = self._settings(prompt, self._voice.mode(prompt, language), seed, limit_s)
            part = self._one(settings)
            if part is None:
                return Take(np.zeros(0, np.float32), rate)
            samples, rate = part
            parts.extend([np.zeros(round(_JOIN_S * rate), np.float32), samples] if parts else [samples])
        return Take(np.concatenate(parts) if parts else np.zeros(0, np.float32), rate)

    def _settings(self, prompt: str, mode: str, seed: int, limit_s: float) -> dict[str, Any]:
        if self._sample is None:
            raise RuntimeError("speak before prepare")
        return {
            **self._voice.settings,
            "model_type": self._voice.model_type,
            "model_mode": mode,
            "prompt": prompt,
            "alt_prompt": self._transcript,
            "audio_guide": str(self._sample),
            "duration_seconds": min(math.ceil(limit_s) + _BEYOND_S, _LONGEST_S),
            "seed": seed,
        }

    def _one(self, settings: dict[str, Any]) -> tuple[Samples, int] | None:
        """One generation read back; None when nothing came of it, which another seed may mend."""
        try:
            path = self._generate(settings, self._told.step)
            try:
                return _read(path)
            finally:
                path.unlink(missing_ok=True)
        except TaskError as error:
            if error.code == "no_output":
                self._told.log("warning", f"{self._voice.name}: {error.message} {error.detail}".strip())
                return None
            raise self._in_words(error) from error

    def _in_words(self, error: TaskError) -> TaskError:
        """The error as one of a voice; the generations of videos tell the same errors in their own words."""
        model = self._voice.model
        sentence = {
            "gpu_oom": f"The GPU's memory was not enough for {model}.",
            "internal_error": f"Wan2GP failed while {model} was speaking. See the log for its reason.",
        }
        code, detail = error.code, error.detail
        if code in _OURS:
            code, detail = "internal_error", f"{code}: {error.message} {detail}".strip()
        return TaskError(
            code,
            sentence.get(code, error.message),
            detail=detail,
            retryable=error.retryable,
            poisons_worker=error.poisons_worker,
        )


def _read(path: Path) -> tuple[Samples, int]:
    """A WAV of upstream as mono float32 and its rate. Raises TaskError(no_output)."""
    try:
        with wave.open(str(path), "rb") as stream:
            rate, channels, width = stream.getframerate(), stream.getnchannels(), stream.getsampwidth()
            count = stream.getnframes()
            fits = (
                width == 2 and 1 <= channels <= 8 and 1 <= rate <= MAX_RATE and count <= rate * 2 * _LONGEST_S
            )
            data = stream.readframes(count) if fits else b""
    except (OSError, EOFError, wave.Error) as error:
        raise TaskError("no_output", "Wan2GP left a sound that is none.", detail=repr(error)) from error
    if not fits:
        raise TaskError(
            "no_output",
            "Wan2GP left a sound of an unknown kind.",
            detail=f"{rate} Hz, {channels} channels, {8 * width} bit, {count} samples",
        )
    frames = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2").reshape(-1, channels)
    return (frames.astype(np.float32) / np.float32(32768.0)).mean(axis=1, dtype=np.float32), rate
