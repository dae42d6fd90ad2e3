"""Whose rhythm and tones a matched voice speaks a language with. Pure functions; run in the speech worker.

Flow: language and pitch -> the built-in voice of that language whose own pitch is nearest, so that the model's pitch
is moved as little as possible.
"""

from __future__ import annotations

import math

from workers.speech.voices import VoiceLibrary

# Median pitch in Hz of the built-in voices in their own language, by YIN (signals.py) on one sentence each.
_PITCH_HZ = {
    "zf_xiaobei": 246.2,
    "zf_xiaoyi": 307.7,
    "zf_xiaoxiao": 238.8,
    "zm_yunxi": 147.5,
    "zm_yunjian": 127.0,
    "zm_yunxia": 301.9,
    "zm_yunyang": 129.0,
    "af_heart": 173.9,
    "af_bella": 172.0,
    "am_michael": 108.8,
    "am_fenrir": 131.1,
    "bf_emma": 175.8,
    "bm_george": 146.8,
    "jf_alpha": 275.9,
    "jm_kumo": 108.1,
}
_TYPICAL_HZ = 160.0
# Unless asked for, English is spoken as in America: the front end reads it so.
_BRITISH = "b"


def pitch_hz(name: str) -> float:
    """The median pitch of a built-in voice; of one that is not in the table, a typical one."""
    return _PITCH_HZ.get(name, _TYPICAL_HZ)


def choose(library: VoiceLibrary, language: str, wanted_hz: float, hint: str = "") -> str:
    """The name of the native voice for `language`. `hint` wins when it is one of that language."""
    names = [preset.name for preset in library.presets if preset.language == language]
    if hint in names:
        return hint
    names = [name for name in names if not name.startswith(_BRITISH)] or names
    if not names:
        return library.presets[0].name
    return min(names, key=lambda name: abs(math.log(wanted_hz / pitch_hz(name))))
