"""The built-in speech engine: Kokoro on the processor, in the `speech` worker. Service process side.

It speaks in its presets, and in somebody's own voice by a match of it, which is an approximation and called so.
"""

from __future__ import annotations

from pathlib import Path

from backend.engines.speech.base import SpeechOrder, VoiceFiles
from backend.engines.speech.worker_engine import Speaker, WorkerSpeechEngine

BUILTIN = "builtin"


class BuiltinSpeechEngine(WorkerSpeechEngine):
    """Drives the `speech` worker's task `speech`."""

    name = BUILTIN
    title_en = "Built-in voices"
    title_zh = "内置音色"
    is_clone = False
    languages = frozenset({"zh", "en", "ja"})
    licence = "Apache-2.0"

    def is_for_voice(self, voice: str | VoiceFiles) -> bool:
        return True

    def speaker(self, order: SpeechOrder, work_dir: Path) -> Speaker:
        """Preset, profile and what the result may be called."""
        voice = order.voice
        if isinstance(voice, str):
            return Speaker("preset", params={"voice": voice})
        if voice.profile is None:
            return Speaker("stand_in", params={"voice": voice.preset})
        return Speaker("match", inputs={"profile": voice.profile}, params={"voice": voice.preset})
