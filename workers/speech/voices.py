"""The voices that are offered, and their style packs on disk. Runs in the speech worker.

Flow: `assets/voices/voices.json` (what is offered; the service reads the same file), `levels.json` (loudness
correction per voice, measured by benchmarks/speech_levels.py) and `<preset>.npy` (float16 style pack) -> `Voice`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workers.handler import TaskError
from workers.speech.kokoro import STYLE_SHAPE, Voice

VOICES_FILE = "voices.json"
LEVELS_FILE = "levels.json"
# A preset is part of a file name, so its shape is fixed: language and sex, underscore, name.
_PRESET = re.compile(r"[a-z]{2}_[a-z]{1,24}\Z")


@dataclass(frozen=True)
class Preset:
    """One offered voice."""

    name: str
    language: str
    gender: str


class VoiceLibrary:
    """The offered voices. Style packs are read when first used and kept: 0.5 MB each."""

    def __init__(self, folder: Path) -> None:
        """`folder`: assets/voices. Raises TaskError(model_missing) when its list cannot be read."""
        self._folder = folder
        try:
            rows = json.loads((folder / VOICES_FILE).read_text("utf-8"))
            levels = json.loads((folder / LEVELS_FILE).read_text("utf-8"))
            self._presets = {
                str(row["preset"]): Preset(str(row["preset"]), str(row["language"]), str(row["gender"]))
                for row in rows
            }
            self._levels = {str(name): float(gain) for name, gain in levels.items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TaskError(
                "model_missing",
                "The list of built-in voices is missing or damaged. Unpack the program again.",
                detail=repr(error),
            ) from error
        self._loaded: dict[str, Voice] = {}

    @property
    def presets(self) -> tuple[Preset, ...]:
        """All offered voices, in the order of the file."""
        return tuple(self._presets.values())

    def get(self, name: str) -> Voice:
        """The voice called `name`. Raises TaskError: voice_not_found, or model_missing for a damaged pack."""
        if not _PRESET.match(name) or name not in self._presets:
            offered = ", ".join(self._presets)
            raise TaskError(
                "voice_not_found", f"There is no built-in voice of that name. Offered: {offered}."
            )
        if name not in self._loaded:
            self._loaded[name] = self._load(self._presets[name])
        return self._loaded[name]

    def _load(self, preset: Preset) -> Voice:
        path = self._folder / f"{preset.name}.npy"
        try:
            style = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise TaskError(
                "model_missing",
                f"The style file of the voice {preset.name} is missing or damaged. Unpack the program again.",
                detail=repr(error),
            ) from error
        if style.shape != STYLE_SHAPE or style.dtype != np.float16:
            raise TaskError(
                "model_missing",
                f"The style file of the voice {preset.name} is damaged. Unpack the program again.",
                detail=f"{style.dtype} {style.shape}",
            )
        return Voice(
            name=preset.name,
            language=preset.language,
            style=style.astype(np.float32),
            fingerprint=hashlib.sha256(style.tobytes()).hexdigest(),
            gain_db=self._levels.get(preset.name, 0.0),
        )
