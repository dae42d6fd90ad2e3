"""Timed mouth segments from the synthesiser's own phoneme times. Runs in the draft worker.

Flow: timings.json (sentences with phonemes, absolute seconds) -> time that no phoneme covers becomes silence ->
visemes with start and end -> merged so that marks and short word gaps do not shut the mouth.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.draft import visemes as vis

# A silence shorter than this is a word boundary inside a phrase: the mouth goes on to the next sound.
MIN_PAUSE_S = 0.14
# Times are written with a few decimals: less than this between two symbols is rounding, no gap.
_ROUNDING_S = 0.002
# Files beyond this are no timings of ours.
_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Segment:
    """One viseme from `start_s` to `end_s`."""

    viseme: str
    start_s: float
    end_s: float


def read_segments(path: Path, speaker: int | None = None) -> list[Segment]:
    """Segments of a timings file, or of one speaker in it; empty when it holds no phonemes or cannot be used.

    Timings are an improvement, not a condition: without them the viseme net listens instead.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            return []
        document = json.loads(path.read_text(encoding="utf-8"))
        symbols = sorted(_symbols(document, speaker), key=lambda item: item[1])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return segments_of(symbols)


def segments_of(symbols: list[tuple[str, float, float]]) -> list[Segment]:
    """Segments from (symbol, start_s, end_s) in time order; the time before and between them is silence."""
    sounds: list[Segment] = []
    stressed_from: float | None = None
    for symbol, start, end in _without_holes(symbols):
        if end < start:
            continue
        if symbol in vis.STRESS:
            stressed_from = start if stressed_from is None else stressed_from
            continue
        names = vis.visemes_of(symbol)
        if names is None:
            # A mark, or a symbol nobody knows: whatever mouth was there stays.
            if sounds:
                sounds[-1] = Segment(sounds[-1].viseme, sounds[-1].start_s, max(end, sounds[-1].end_s))
            continue
        if stressed_from is not None:
            start, stressed_from = min(start, stressed_from), None
        step = (end - start) / len(names)
        for position, name in enumerate(names):
            sounds.append(Segment(name, start + position * step, start + (position + 1) * step))
    return _without_short_gaps(sounds)


def _symbols(document: Any, speaker: int | None) -> Iterator[tuple[str, float, float]]:
    for sentence in document["sentences"]:
        if speaker is not None and sentence["speaker"] != speaker:
            continue
        for phoneme in sentence.get("phonemes") or ():
            # A symbol may carry its marks with it ("aː"): they share its time.
            text = str(phoneme["symbol"])
            start, end = float(phoneme["start_s"]), float(phoneme["end_s"])
            step = (end - start) / max(1, len(text))
            for position, symbol in enumerate(text):
                yield symbol, start + position * step, start + (position + 1) * step


def _without_holes(symbols: list[tuple[str, float, float]]) -> Iterator[tuple[str, float, float]]:
    """The symbols, with a space wherever none of them sounds: the pause between two sentences has no symbol.

    Otherwise that pause would lie inside the short gap that opens the next sentence, and the last sound before
    it would be stretched over it.
    """
    reached = 0.0
    for symbol, start, end in symbols:
        if start - reached > _ROUNDING_S:
            yield " ", reached, start
        yield symbol, start, end
        reached = max(reached, end)


def _without_short_gaps(sounds: list[Segment]) -> list[Segment]:
    """Join neighbouring silences, then give the short ones to the sounds around them, half each."""
    joined: list[Segment] = []
    for sound in sounds:
        if joined and sound.viseme == joined[-1].viseme == "sil":
            joined[-1] = Segment("sil", joined[-1].start_s, sound.end_s)
        else:
            joined.append(sound)
    result: list[Segment] = []
    pending_start: float | None = None
    for position, sound in enumerate(joined):
        inner = 0 < position < len(joined) - 1
        if sound.viseme == "sil" and inner and sound.end_s - sound.start_s < MIN_PAUSE_S:
            middle = (sound.start_s + sound.end_s) / 2
            if result:
                result[-1] = Segment(result[-1].viseme, result[-1].start_s, middle)
            pending_start = middle
            continue
        start = sound.start_s if pending_start is None else pending_start
        pending_start = None
        result.append(Segment(sound.viseme, start, sound.end_s))
    return result
