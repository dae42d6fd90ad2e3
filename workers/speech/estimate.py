"""How long words take when nobody tells: from their sounds. Pure functions; run in the workers that speak.

Flow: units of a sentence -> a weight for each sound (vowels are longer than consonants, tones and stress marks take
no time, a comma is a breath) -> seconds, or the places of all units in a clip of known length.
"""

from __future__ import annotations

from workers.speech.text.aligned import Unit
from workers.speech.text.punctuation import STOPS

# Seconds per sound at a usual speed. Rough: they decide where words lie inside a sentence whose length is known.
_CONSONANT_S = 0.055
_VOWEL_S = 0.110
_PAUSE_S = 0.22
_VOWELS = frozenset("aeiouyæɑɐɒəɚɛɜɝɪɨʊʉʌɔøœɯɤAIOQWYᵊᵻɥ")
# Marks of tone, stress and length stand between sounds.
_SILENT = frozenset('ˈˌ↗→↘↓ːʰʲˑ˞ˉˊˇˋ.,;:!?…—"“”()「」 ')


def _seconds(unit: Unit) -> float:
    if not unit.is_word:
        return _PAUSE_S if unit.phonemes and unit.phonemes[0] in STOPS else 0.0
    sounds = [symbol for symbol in unit.phonemes if symbol not in _SILENT]
    return sum(_VOWEL_S if symbol in _VOWELS else _CONSONANT_S for symbol in sounds)


def _weights(units: list[Unit]) -> list[float]:
    """Seconds of each unit; marks behind the last word are not heard."""
    last = max((index for index, unit in enumerate(units) if unit.is_word), default=-1)
    return [_seconds(unit) if index <= last else 0.0 for index, unit in enumerate(units)]


def estimated_s(units: list[Unit]) -> float:
    """About how long the sentence takes, in seconds."""
    return sum(_weights(units))


def spread(units: list[Unit], length: int) -> list[int]:
    """Edges of the units in a clip of `length` samples: `len(units) + 1` numbers from 0 to `length`."""
    weights = _weights(units)
    total = sum(weights) or 1.0
    edges = [0]
    position = 0.0
    for weight in weights:
        position += weight
        edges.append(round(position / total * length))
    edges[-1] = length
    return edges
