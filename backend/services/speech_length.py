"""About how long a text takes to speak, without asking the speech engine. Pure; runs in the service process.

Counts what `script_language` measured for each language, and on top of that what a text can say about itself: marks
(pauses, speed, readings), words of the other script, names of speakers. Good for minutes, not for subtitles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from backend.models.speakers import COLONS
from backend.services.script_language import CHARS_PER_S

# What the rates of `CHARS_PER_S` hold between two sentences already.
_USUAL_PAUSE_S = 0.3
# docs/speech.md, "Marks": what they do, and their limits.
_PAUSE = re.compile(
    r"\[(?:pause|停顿)\s{0,4}(?:(\d{1,6}(?:\.\d{1,6})?)\s{0,4}(ms|s|秒)?)?\s{0,4}\]", re.IGNORECASE
)
_PAUSE_DEFAULT_S, _PAUSE_MOST_S, _PAUSES_MOST_S = 0.5, 10.0, 600.0
_SPEED = re.compile(
    r"\[(?:(?:speed|语速)\s{0,4}(\d{1,6}(?:\.\d{1,6})?)|/(?:speed|语速))\s{0,4}\]", re.IGNORECASE
)
_SLOWEST, _FASTEST = 0.5, 2.0
_OTHER_MARK = re.compile(r"\[[^\[\]\n]{1,60}\]")
_LATIN_RUN = re.compile(r"[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f'’ -]*")
_EASTERN = re.compile(r"[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d]")
_SENTENCE_END = re.compile(r"[。！？!?…]+|\.(?=\s|$)|\n+")


def speech_seconds(
    text: str, language: str, *, speed: float = 1.0, pause_ms: int = 300, speakers: Iterable[str] = ()
) -> float:
    """Seconds. `language` is zh, en or ja; `speakers` are the names that begin turns and are not spoken."""
    for name in speakers:
        text = re.sub(rf"(?m)^[ \t]*{re.escape(name)}[ \t]*[{COLONS}]", "", text)
    pauses = sum(_pause_s(match) for match in _PAUSE.finditer(text))
    text = _PAUSE.sub(" ", text)
    sentences = sum(1 for part in _SENTENCE_END.split(text) if any(char.isalnum() for char in part))
    between = max(0, sentences - 1) * (pause_ms / 1000 - _USUAL_PAUSE_S)
    total = _spoken_s(text, language, speed) + min(pauses, _PAUSES_MOST_S) + between
    return round(max(0.0, total), 1)


def _pause_s(match: re.Match[str]) -> float:
    if match[1] is None:
        return _PAUSE_DEFAULT_S
    seconds = float(match[1]) / (1000 if (match[2] or "").lower() == "ms" else 1)
    return min(seconds, _PAUSE_MOST_S)


def _spoken_s(text: str, language: str, speed: float) -> float:
    seconds, here, factor = 0.0, 0, 1.0
    for match in _SPEED.finditer(text):
        seconds += _plain_s(text[here : match.start()], language) / _bounded(speed * factor)
        here, factor = match.end(), float(match[1] or 1.0)
    return seconds + _plain_s(text[here:], language) / _bounded(speed * factor)


def _bounded(speed: float) -> float:
    return min(max(speed, _SLOWEST), _FASTEST)


def _plain_s(text: str, language: str) -> float:
    """At speed 1, without marks. Each script at its own pace: an English word in a Chinese text, and the reverse."""
    text = _OTHER_MARK.sub("", text)
    if language == "en":
        eastern = len(_EASTERN.findall(text))
        return (len(text.strip()) - eastern) / CHARS_PER_S["en"] + eastern / CHARS_PER_S["zh"]
    latin = sum(len(run.strip()) + 1 for run in _LATIN_RUN.findall(text))
    others = sum(1 for char in _LATIN_RUN.sub("", text) if not char.isspace())
    return others / CHARS_PER_S["ja" if language == "ja" else "zh"] + latin / CHARS_PER_S["en"]
