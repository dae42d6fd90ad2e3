"""The extension point for speech: how the service asks an engine to speak. Runs in the service process.

In: a `SpeechOrder`, what to say and in whose voice. Out: a `Speech`, a WAV and its timings below `work_dir`.
A new engine is a subclass of `BaseSpeechEngine`, given to `SpeechRegistry` where the services are wired.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend.engines.base import Readiness

Report = Callable[[float | None, str], None]

# How a voice came about, which every result says: `preset` is a built-in voice that was asked for,
# `stand_in` a built-in voice in the place of somebody's own, `match` an approximation of somebody's voice
# and `clone` a voice that an engine learned from the sample itself.
Manner = Literal["preset", "stand_in", "match", "clone"]

# The preset that speaks when nothing nearer to a voice is known.
STAND_IN = "af_heart"


@dataclass(frozen=True)
class VoiceFiles:
    """Somebody's own voice.

    `reference`: WAV, 24 kHz mono 16 bit, 8 to 30 s of speech. `profile`: the match of the built-in engine, once
    there is one. `reference_text`: what is said in the reference, when known. `preset`: the built-in voice
    nearest to it, which speaks while there is no profile and lends its prosody when there is one.
    """

    reference: Path
    profile: Path | None = None
    reference_text: str | None = None
    preset: str = STAND_IN


@dataclass(frozen=True)
class DictionaryEntry:
    """How a term of the project is read; written as in the script, for example `zhang3`."""

    term: str
    reading: str


@dataclass(frozen=True)
class SpeechOrder:
    """What to say and how.

    `language` is auto, zh, en or ja; `speed` 0.5 to 2, 1 as the voice speaks; `pitch` in semitones, -12 to 12;
    `again`: sentences, by their index in timings.json, to be spoken in another way than at first, always the same
    other way; `pause_ms` between paragraphs; `voice` the name of a preset of the built-in engine, or files of one's own.
    """

    text: str
    voice: str | VoiceFiles
    language: str = "auto"
    speed: float = 1.0
    pitch: float = 0.0
    pause_ms: int = 300
    dictionary: tuple[DictionaryEntry, ...] = ()
    seed: int = 0
    again: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Speech:
    """WAV (24 kHz, mono, 16 bit) and timings.json (docs/speech.md), both below the directory that was given."""

    wav: Path
    timings: Path
    duration_s: float
    language: str
    manner: Manner


class BaseSpeechEngine(ABC):
    """One speech engine as the service sees it. The class attributes are facts, not settings."""

    # On the wire: lower case, a valid `speech_engine`.
    name: str
    title_en: str
    title_zh: str
    # Whether it learns somebody's voice from a sample. One that does not may still approximate it.
    is_clone: bool
    # Of zh, en, ja: what the product's scripts are written in.
    languages: frozenset[str]
    # Whether it speaks on the GPU: no engine for the picture is then made ready beside it.
    uses_gpu: bool = False
    # SPDX names of code and weights.
    licence: str
    # What a user must be told before using it, if anything.
    disclosure: str | None = None

    @abstractmethod
    def readiness(self) -> Readiness:
        """Looks, quickly and without blocking, whether the engine could speak now."""

    @abstractmethod
    async def speak(
        self,
        order: SpeechOrder,
        *,
        job_id: str,
        attempt: int,
        work_dir: Path,
        deadline_s: float,
        report: Report,
        cancelled: Callable[[], bool],
    ) -> Speech:
        """Speak. `report(fraction, message)`: fraction 0..1, or None when unknown.

        `work_dir` exists and belongs to this call alone. Raises EngineFailure or JobCancelled; a failure
        with a code of an input ends the job, any other one lets the next engine try.
        """

    def is_for_voice(self, voice: str | VoiceFiles) -> bool:
        """Whether it could speak in this voice at all. An engine that clones has no presets."""
        return isinstance(voice, VoiceFiles)

    async def warm(self) -> None:  # noqa: B027 - optional by design
        """Get ready for a job that will come in a moment. An error here is logged and otherwise ignored."""
