"""One sentence from text to level samples with durations. Runs in the speech worker.

Flow: units -> utterances -> each from the cache or from the model -> levelled -> put together with a short breath
where a sentence had to be cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workers.speech.cache import ClipCache, Utterance
from workers.speech.kokoro import SAMPLE_RATE, Clip, Kokoro, Samples, Voice
from workers.speech.limiter import apply_gain
from workers.speech.text.aligned import Unit
from workers.speech.timings import TimedSymbol
from workers.speech.utterances import NO_OWNER, Phrase, cut, join

# A breath between the pieces of one over-long sentence.
PIECE_GAP_SAMPLES = round(0.12 * SAMPLE_RATE)
# The padding before and after an utterance is heard as silence.
_PAD_SYMBOL = " "


@dataclass(frozen=True)
class SpokenSentence:
    """`symbols` are timed from the start of the sentence; `from_cache`: nothing had to be computed."""

    samples: Samples
    symbols: list[TimedSymbol]
    from_cache: bool


class Synthesiser:
    """The model with its cache."""

    def __init__(self, model: Kokoro, model_sha256: str, cache: ClipCache) -> None:
        self._model = model
        self._model_sha256 = model_sha256
        self._cache = cache

    def speak(
        self, units: list[Unit], voice: Voice, *, speed: float, cancelled: Callable[[], bool] | None = None
    ) -> SpokenSentence | None:
        """Say the units of one sentence; None when no symbol of it is known to the model.

        Raises SynthesisStopped when `cancelled` said so.
        """
        pieces = cut(join(units, self._model.knows))
        if not any(owner != NO_OWNER and units[owner].is_word for piece in pieces for owner in piece.owners):
            return None
        parts: list[Samples] = []
        symbols: list[TimedSymbol] = []
        position = 0
        all_cached = True
        for number, piece in enumerate(pieces):
            clip, cached = self._clip(piece, voice, speed, cancelled)
            all_cached = all_cached and cached
            if number:
                gap = np.zeros(PIECE_GAP_SAMPLES, np.float32)
                parts.append(gap)
                symbols.append(TimedSymbol(_PAD_SYMBOL, position, position + len(gap), NO_OWNER))
                position += len(gap)
            symbols.extend(_timed(piece, clip, position))
            parts.append(clip.samples)
            position += len(clip.samples)
        return SpokenSentence(np.concatenate(parts), symbols, all_cached)

    def _clip(
        self, piece: Phrase, voice: Voice, speed: float, cancelled: Callable[[], bool] | None
    ) -> tuple[Clip, bool]:
        utterance = Utterance(piece.symbols, voice, speed, self._model_sha256)
        kept = self._cache.get(utterance)
        if kept is not None and len(kept.token_samples) == len(piece.symbols) + 2:
            return kept, True
        raw = self._model.speak(piece.symbols, voice, speed=speed, cancelled=cancelled)
        clip = Clip(apply_gain(raw.samples, voice.gain_db), raw.token_samples)
        self._cache.put(utterance, clip)
        return clip, False


def _timed(piece: Phrase, clip: Clip, position: int) -> list[TimedSymbol]:
    """Symbols with their samples, padding included. A symbol that was trimmed away has no length."""
    named = [(_PAD_SYMBOL, NO_OWNER), *zip(piece.symbols, piece.owners, strict=True), (_PAD_SYMBOL, NO_OWNER)]
    timed = []
    for (symbol, owner), length in zip(named, clip.token_samples, strict=True):
        timed.append(TimedSymbol(symbol, position, position + length, owner))
        position += length
    return timed
