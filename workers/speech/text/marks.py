"""Marks in a script: pinyin, pauses, speed and pitch in square brackets. Pure; runs in the workers that speak.

Flow: the script as written -> `Marked`: the same text without its marks, what they ask for by place, and for every
character of the text its place in the script. What only looks like a mark stays in the text.

    长[zhang3]大  重庆[chóng qìng]           the reading of the characters before
    [pause 0.5s] [pause 500ms] [停顿0.5秒]   silence
    [speed 0.8] … [/speed]  [语速0.8] … [/语速]
    [pitch +2] … [/pitch]   [音调+2] … [/音调]   semitones
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from workers.speech.text import pinyin
from workers.speech.text.given import Given
from workers.speech.text.language import is_han, is_latin

# A longer silence is a defect of the script; and the silence of a whole script is bounded too.
MAX_PAUSE_S = 10.0
MAX_ALL_PAUSES_S = 600.0
DEFAULT_PAUSE_S = 0.5
MIN_SPEED, MAX_SPEED = 0.5, 2.0
MAX_PITCH = 12.0
# Marks are short: what is longer in brackets is prose.
_BRACKET = re.compile(r"\[([^\[\]\n]{1,60})\]")
_PAUSE = re.compile(
    r"(?:pause|break|停顿|暂停)\s?[:：]?\s?(?:(\d{1,6}(?:\.\d{1,6})?)\s?(ms|毫秒|s|sec|seconds?|秒钟?)?)?",
    re.I,
)
_SPEED = re.compile(r"(?:speed|语速)\s?[:：]?\s?(\d{1,4}(?:\.\d{1,4})?)\s?(?:x|倍)?", re.I)
_PITCH = re.compile(r"(?:pitch|音调)\s?[:：]?\s?([+\-−]?\d{1,3}(?:\.\d{1,3})?)", re.I)
_CLOSING = re.compile(r"/\s?(speed|语速|pitch|音调)", re.I)
_KEYWORD = re.compile(r"/?\s?(?:pause|break|停顿|暂停|speed|语速|pitch|音调)(?![a-z])", re.I)


@dataclass(frozen=True)
class Problem:
    """Something about a mark that a person may want to mend; `start:end` in the script as written."""

    code: str
    message: str
    start: int
    end: int


@dataclass
class Marked:
    """`text` without marks. `origin[i]`: where `text[i]` stands in the script; one more for the end.

    `pauses`: (place in `text`, seconds). `speeds` and `pitches`: (place from which it holds, value).
    """

    text: str = ""
    origin: list[int] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    pauses: list[tuple[int, float]] = field(default_factory=list)
    speeds: list[tuple[int, float]] = field(default_factory=list)
    pitches: list[tuple[int, float]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def written(self, start: int, end: int) -> tuple[int, int]:
        """The span of the script behind `text[start:end]`."""
        if end <= start:
            return self.origin[start], self.origin[start]
        return self.origin[start], self.origin[end - 1] + 1

    def cuts(self) -> list[int]:
        """Places where speech has to be cut for a mark, in order."""
        return sorted({place for marks in (self.pauses, self.speeds, self.pitches) for place, _ in marks})


def parse(script: str) -> Marked:
    """Take the marks out of a script. Never fails: what is no mark stays."""
    marked = Marked()
    parts: list[str] = []
    size = position = 0
    for match in _BRACKET.finditer(script):
        before = script[position : match.start()]
        if not _take(marked, match, "".join(parts[-2:]) + before, size + len(before)):
            continue
        parts.append(before)
        marked.origin.extend(range(position, match.start()))
        size += len(before)
        position = match.end()
    parts.append(script[position:])
    marked.origin.extend(range(position, len(script) + 1))
    marked.text = "".join(parts)
    return marked


def _take(marked: Marked, match: re.Match[str], before: str, place: int) -> bool:
    """Note what the bracket asks for at `place` of the text; False when it is no mark."""
    body = match[1].strip()
    problem = _Noted(marked, match)
    if found := _PAUSE.fullmatch(body):
        seconds = DEFAULT_PAUSE_S if found[1] is None else float(found[1])
        if found[2] and found[2].lower() in {"ms", "毫秒"}:
            seconds /= 1000
        left = MAX_ALL_PAUSES_S - sum(length for _, length in marked.pauses)
        allowed = min(seconds, MAX_PAUSE_S, max(left, 0.0))
        if allowed < seconds:
            problem.limited(
                f"The pause is cut to {allowed:g} s: one pause is {MAX_PAUSE_S:g} s at most, all together {MAX_ALL_PAUSES_S:g} s."
            )
        marked.pauses.append((place, allowed))
        return True
    if found := _SPEED.fullmatch(body):
        wanted = float(found[1])
        speed = min(max(wanted, MIN_SPEED), MAX_SPEED)
        if speed != wanted:
            problem.limited(
                f"The speed {wanted:g} is not between {MIN_SPEED:g} and {MAX_SPEED:g}; {speed:g} is used."
            )
        marked.speeds.append((place, speed))
        return True
    if found := _PITCH.fullmatch(body):
        wanted = float(found[1].replace("−", "-"))
        pitch = min(max(wanted, -MAX_PITCH), MAX_PITCH)
        if pitch != wanted:
            problem.limited(
                f"The pitch {wanted:g} is not between -{MAX_PITCH:g} and {MAX_PITCH:g}; {pitch:g} is used."
            )
        marked.pitches.append((place, pitch))
        return True
    if found := _CLOSING.fullmatch(body):
        is_speed = found[1].lower() in {"speed", "语速"}
        marks, usual = (marked.speeds, 1.0) if is_speed else (marked.pitches, 0.0)
        if not marks or marks[-1][1] == usual:
            problem.note("mark_unopened", f"There is nothing that [{body}] could end.")
        marks.append((place, usual))
        return True
    syllables = pinyin.parse(body)
    start = _before(before, len(syllables)) if syllables else None
    if syllables and start is not None and not _is_list(body, before):
        marked.given.append(Given(place - len(before) + start, place, tuple(syllables)))
        return True
    if _KEYWORD.match(body):
        problem.note("mark_unknown", f"[{body}] is not understood and is read as it stands.")
    return False


def _before(before: str, count: int) -> int | None:
    """Where the characters that `count` syllables belong to begin: as many Han characters, or one Latin word."""
    if before[-1:] and is_han(before[-1]):
        start = len(before) - count
        return start if start >= 0 and all(map(is_han, before[start:])) else None
    start = len(before)
    while start and (is_latin(before[start - 1]) or before[start - 1].isdigit()):
        start -= 1
    return start if start < len(before) else None


def _is_list(body: str, before: str) -> bool:
    """Whether a bracket behind a Latin word is no pinyin: `a[de]`. There each syllable must show its tone."""
    latin = bool(before[-1:]) and not is_han(before[-1])
    return latin and pinyin.is_toneless(body)


class _Noted:
    def __init__(self, marked: Marked, match: re.Match[str]) -> None:
        self._marked, self._match = marked, match

    def note(self, code: str, message: str) -> None:
        self._marked.problems.append(Problem(code, message, *self._match.span()))

    def limited(self, message: str) -> None:
        self.note("mark_limited", message)


def value_at(marks: list[tuple[int, float]], place: int, usual: float) -> float:
    """What holds at `place`: the last mark at or before it."""
    value = usual
    for start, wanted in marks:
        if start > place:
            break
        value = wanted
    return value
