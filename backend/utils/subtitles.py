"""From the timings of the speech to subtitle cues: which words stand together, on which line, when.

Runs in the service process; pure functions but for `load_timings`. In: `timings.json` of the speech
worker (sentences as written, words with times). Out: `Cue`s that follow each other without overlap.

Rules, after the Netflix timed-text style guides: at most two lines; 18 full-width characters a line
when the sentence has Chinese or Japanese, 42 characters otherwise; a cue ends at a clause where it
can; a word, a number or a number with its unit is never split; no line starts with closing
punctuation; a cue stays long enough to be read.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.subtitle_text import (
    CJK_LIMIT,
    MAX_LINES,
    Layout,
    clean_text,
    line_limit,
    speaking_weight,
    tokenize,
)

# Shorter cues are a flicker; 5/6 s is the style guides' figure.
MIN_CUE_MS = 833
# Longer ones make a reader read twice.
MAX_CUE_MS = 7000
# Gaps below this look like a blink and are closed.
MIN_GAP_MS = 120
# Sentences that are further apart are separate thoughts; the pause gives the first one its time.
MAX_MERGE_GAP_MS = 400
# An hour of speech has about 10 MB of timings.
MAX_TIMINGS_BYTES = 64 * 1024 * 1024
# A day: whoever says more means something else, such as milliseconds or infinity.
MAX_SECONDS = 86_400.0
# A word is looked for this many characters ahead of the last one found: numbers and dates are read
# as other words than they are written, and one that is missing must not drag the next ones along.
WORD_SEARCH_CHARS = 48

# Costs of the search for cue boundaries, in units of "one more cue".
_COST_CUE = 1.0
_COST_NO_CLAUSE_END = 3.0
_COST_SHORT = 2.0
_COST_LONG = 2.0
_COST_RAGGED = 0.5


@dataclass(frozen=True)
class Word:
    """A spoken word; times in seconds of the whole speech."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Sentence:
    """A sentence as written, with the words as spoken (none when the engine does not know them)."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()
    speaker: int | None = None


@dataclass(frozen=True)
class Timings:
    """The part of timings.json that subtitles need."""

    sentences: tuple[Sentence, ...]
    language: str = "zh"
    speakers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cue:
    """One subtitle: times in ms, one or two lines of plain text."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def load_timings(path: Path) -> Timings:
    """Read timings.json. Raises EngineFailure(no_output) when it is not what the contract says."""
    try:
        with path.open("rb") as stream:
            # A longer document is cut here and then is no JSON any more.
            document = json.loads(stream.read(MAX_TIMINGS_BYTES))
        return parse_timings(document)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise EngineFailure(
            ErrorCode.NO_OUTPUT,
            "The speech stage left no usable timings for the subtitles.",
            hint="Try again, or ask for the video without subtitles.",
            log_tail=repr(error),
        ) from error


def parse_timings(document: dict[str, Any]) -> Timings:
    """The sentences of a decoded timings.json; raises KeyError, TypeError or ValueError."""
    sentences = []
    for entry in document["sentences"]:
        words = tuple(
            Word(str(word["text"]), _seconds(word["start_s"]), _seconds(word["end_s"]))
            for word in entry.get("words") or ()
        )
        times = _seconds(entry["start_s"]), _seconds(entry["end_s"])
        speaker = entry.get("speaker")
        speaker = speaker if type(speaker) is int else None
        sentences.append(Sentence(str(entry["text"]), *times, words, speaker))
    speakers = tuple(str(speaker["name"]) for speaker in document.get("speakers") or ())
    return Timings(tuple(sentences), str(document.get("language") or "zh"), speakers)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SECONDS:
        raise ValueError(f"not a time in seconds: {value!r}")
    return float(value)


def build_cues(timings: Timings, *, total_s: float) -> list[Cue]:
    """Cues for the whole speech, in order, within 0 and `total_s` seconds, none overlapping."""
    cues: list[Cue] = []
    before: int | None = None
    for sentence in timings.sentences:
        cues += _cues_of(sentence, _lead(timings, sentence) if sentence.speaker != before else "")
        before = sentence.speaker
    return _settle(_merge_short(cues), round(total_s * 1000))


def _lead(timings: Timings, sentence: Sentence) -> str:
    """What stands before the first sentence of a turn: who speaks, with the colon of the sentence's own script."""
    if sentence.speaker is None or not 0 <= sentence.speaker < len(timings.speakers):
        return ""
    name = clean_text(timings.speakers[sentence.speaker])
    return f"{name}：" if line_limit(sentence.text) == CJK_LIMIT else f"{name}: "


def _cues_of(sentence: Sentence, lead: str = "") -> list[Cue]:
    spoken = clean_text(sentence.text)
    if not spoken:
        return []
    text = lead + spoken
    spans = _find_words(text, sentence.words, len(lead))
    clock = _clock(text, sentence, spans)
    limit = line_limit(text)
    layout = Layout(tokenize(text, limit, [(start, end) for start, end, _ in spans]), limit)
    cues = []
    for first, last in _boundaries(layout, clock):
        start, end = clock[layout.tokens[first].start], clock[layout.tokens[last - 1].end]
        cues.append(Cue(round(start * 1000), round(end * 1000), layout.lines(first, last)))
    return cues


def _find_words(text: str, words: tuple[Word, ...], start: int = 0) -> list[tuple[int, int, Word]]:
    """Where in the written text, from `start` on, each spoken word stands; words not found are left out."""
    lowered = text.lower()
    folded = lowered if len(lowered) == len(text) else text
    found, cursor = [], start
    for word in words:
        wanted = clean_text(word.text).lower()
        if not wanted:
            continue
        at = folded.find(wanted, cursor, cursor + WORD_SEARCH_CHARS + len(wanted))
        if at >= 0:
            cursor = at + len(wanted)
            found.append((at, cursor, word))
    return found


def _clock(text: str, sentence: Sentence, spans: list[tuple[int, int, Word]]) -> list[float]:
    """The time in s at each character boundary: exact at found words, by weight between them."""
    anchors: list[tuple[int, float]] = [(0, sentence.start_s)]
    for start, end, word in spans:
        for at, time in ((start, word.start_s), (end, word.end_s)):
            time = min(max(time, anchors[-1][1]), sentence.end_s)
            if at == anchors[-1][0]:
                anchors[-1] = (at, time)
            else:
                anchors.append((at, time))
    if anchors[-1][0] < len(text):
        anchors.append((len(text), max(sentence.end_s, anchors[-1][1])))
    weights = [0.0]
    for char in text:
        weights.append(weights[-1] + speaking_weight(char))
    places = [at for at, _ in anchors]
    clock = []
    for at in range(len(text) + 1):
        right = min(max(bisect_right(places, at), 1), len(anchors) - 1)
        (left_at, left_time), (right_at, right_time) = anchors[right - 1], anchors[right]
        span = weights[right_at] - weights[left_at]
        share = (weights[at] - weights[left_at]) / span if span > 0 else float(at >= right_at)
        clock.append(left_time + share * (right_time - left_time))
    return clock


def _boundaries(layout: Layout, clock: list[float]) -> list[tuple[int, int]]:
    """The cheapest way to cut the tokens into cues that fit; dynamic programming over the cuts."""
    best: list[tuple[float, int]] = [(0.0, 0)]
    for last in range(1, len(layout.tokens) + 1):
        # One token always fits: tokenize() has cut those that are wider than a line.
        options = []
        for first in range(last - 1, -1, -1):
            if not layout.fits(first, last):
                break
            options.append((best[first][0] + _cost(layout, clock, first, last), first))
        best.append(min(options))
    cuts, last = [], len(layout.tokens)
    while last > 0:
        first = best[last][1]
        cuts.append((first, last))
        last = first
    return cuts[::-1]


def _cost(layout: Layout, clock: list[float], first: int, last: int) -> float:
    tokens = layout.tokens
    duration_ms = (clock[tokens[last - 1].end] - clock[tokens[first].start]) * 1000
    emptiness = max(0.0, 1.0 - layout.columns(first, last) / (layout.limit * MAX_LINES))
    cost = _COST_CUE + _COST_RAGGED * emptiness**2
    if last < len(tokens) and not tokens[last - 1].ends_clause:
        cost += _COST_NO_CLAUSE_END
    if duration_ms < MIN_CUE_MS:
        cost += _COST_SHORT
    if duration_ms > MAX_CUE_MS and last - first > 1:
        cost += _COST_LONG
    return cost


def _merge_short(cues: list[Cue]) -> list[Cue]:
    """Put a cue that is too short to read on the second line of its neighbour, where that is free."""
    merged: list[Cue] = []
    for cue in cues:
        before = merged[-1] if merged else None
        if (
            before is not None
            and len(before.lines) + len(cue.lines) <= MAX_LINES
            and min(cue.end_ms - cue.start_ms, before.end_ms - before.start_ms) < MIN_CUE_MS
            and cue.end_ms - before.start_ms <= MAX_CUE_MS
            and cue.start_ms - before.end_ms <= MAX_MERGE_GAP_MS
        ):
            merged[-1] = Cue(before.start_ms, max(before.end_ms, cue.end_ms), before.lines + cue.lines)
        else:
            merged.append(cue)
    return merged


def _settle(cues: list[Cue], total_ms: int) -> list[Cue]:
    """Give every cue its minimum time and no overlap, moving neighbours as little as that needs."""
    if not cues or total_ms < len(cues):
        return []
    shortest = min(MIN_CUE_MS, total_ms // len(cues))
    starts, ends, floor = [], [], 0
    for cue in cues:  # forward: nobody starts before the last one ended
        start = max(cue.start_ms, floor)
        floor = max(cue.end_ms, start + shortest)
        starts.append(start)
        ends.append(floor)
    ceiling = total_ms
    for index in range(len(cues) - 1, -1, -1):  # backward: nobody ends after the next one starts
        ends[index] = min(ends[index], ceiling)
        starts[index] = min(starts[index], ends[index] - shortest)
        ceiling = starts[index]
    for index, following in enumerate(starts[1:]):
        if following - ends[index] < MIN_GAP_MS:
            ends[index] = following
    return [
        replace(cue, start_ms=start, end_ms=end) for cue, start, end in zip(cues, starts, ends, strict=True)
    ]
