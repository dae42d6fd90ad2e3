"""What every engine does with a speech task before it speaks. Runs in the workers that speak.

Flow: task -> its script file and parameters, checked -> the script without its marks -> `Narration` -> one `Line` per
sentence (more where a mark cuts it), each with its language, the readings that a person gave, its speed and pitch and
the pause behind it. The engines differ only in how a line becomes sound.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskError
from workers.speech.kokoro import SAMPLE_RATE
from workers.speech.text.given import Given, Lexicon, read_lexicon
from workers.speech.text.language import LANGUAGES, Language, detect, of_sentence
from workers.speech.text.marks import Marked, parse, value_at
from workers.speech.text.sentences import Sentence, split_sentences

# Beyond these the duration predictor slurs (fast) or drones (slow).
MIN_SPEED, MAX_SPEED = 0.5, 2.0
MAX_PAUSE_MS = 5_000
# About an hour and a half of speech; the API has its own, lower limit.
MAX_SCRIPT_CHARACTERS = 100_000
# Silence before the first and after the last word: players swallow the first milliseconds.
EDGE_SAMPLES = round(0.10 * SAMPLE_RATE)
# Where a long sentence was cut at a comma, a comma's pause and not a full stop's.
PIECE_PAUSE_SAMPLES = round(0.12 * SAMPLE_RATE)


@dataclass(frozen=True)
class Line:
    """One sentence to speak, `start:end` of the script without marks. `complete`: see `Sentence`.

    `given`: readings by place in `text`. `speed` (factor) and `pitch` (semitones) are what marks ask for, on top of
    the task's own. `pause_s`: silence behind it that a mark asks for in place of the usual one; `lead_s`: before it.
    """

    text: str
    language: Language
    complete: bool
    start: int = 0
    end: int = 0
    given: tuple[Given, ...] = ()
    speed: float = 1.0
    pitch: float = 0.0
    pause_s: float | None = None
    lead_s: float = 0.0


@dataclass(frozen=True)
class Narration:
    """A checked speech task. `script`: the whole script file; `pause_samples`: silence between sentences.

    `again`: sentences, by their index in timings.json, whose first take was not understood: they are spoken in
    another way, always the same other way, so that both takes can be kept and asked for.
    """

    text: str
    language: Language
    fixed_language: bool
    speed: float
    pause_samples: int
    script: dict[str, Any]
    again: frozenset[int] = frozenset()
    marked: Marked = field(default_factory=Marked)
    lexicon: Lexicon = field(default_factory=Lexicon)

    def speed_of(self, line: Line) -> float:
        """The task's speed and the line's own, within what the engines can do."""
        return min(max(self.speed * line.speed, MIN_SPEED), MAX_SPEED)

    def pause_after(self, line: Line) -> int:
        """Samples of silence between this line and the next."""
        if line.pause_s is not None:
            return round(line.pause_s * SAMPLE_RATE)
        return self.pause_samples if line.complete else min(self.pause_samples, PIECE_PAUSE_SAMPLES)


def read_narration(task: Task, fallback: Language) -> Narration:
    """Read and check a speech task; `fallback` is the language of a script without letters.

    Raises TaskError(validation_failed).
    """
    if "script" not in task.inputs:
        raise TaskError("validation_failed", "The task has no script.")
    script = read_script(task.inputs["script"])
    text = script["text"]
    if len(text) > MAX_SCRIPT_CHARACTERS:
        raise TaskError(
            "validation_failed",
            f"The script has {len(text):,} characters; {MAX_SCRIPT_CHARACTERS:,} is the most. Split it.",
        )
    asked = script.get("language", "auto")
    if asked not in {"auto", *LANGUAGES}:
        raise TaskError("validation_failed", "The language must be auto, zh, en or ja.")
    pause_ms = number(task.params, "pause_ms", 300.0, 0.0, MAX_PAUSE_MS)
    try:
        lexicon = read_lexicon(script)
    except ValueError as error:
        raise TaskError("validation_failed", str(error)) from error
    marked = parse(text)
    text = marked.text
    return Narration(
        text=text,
        language=detect(text, fallback) if asked == "auto" else asked,
        fixed_language=asked != "auto",
        speed=number(task.params, "speed", 1.0, MIN_SPEED, MAX_SPEED),
        pause_samples=round(pause_ms / 1000 * SAMPLE_RATE),
        script=script,
        again=_again(task.params),
        marked=marked,
        lexicon=lexicon,
    )


def lines_of(narration: Narration) -> list[Line]:
    """The sentences in order. Raises TaskError(validation_failed) when there is none."""
    marked, text = narration.marked, narration.text
    cuts = marked.cuts()
    lines: list[Line] = []
    for sentence in split_sentences(text):
        for start, end, complete in _cut_at_marks(text, sentence, cuts):
            spoken = text[start:end]
            inside = [one.moved(-start) for one in marked.given if start <= one.start and one.end <= end]
            lines.append(
                Line(
                    spoken,
                    of_sentence(spoken, narration.language, fixed=narration.fixed_language),
                    complete,
                    start,
                    end,
                    tuple(narration.lexicon.find(spoken, inside)),
                    value_at(marked.speeds, start, 1.0),
                    value_at(marked.pitches, start, 0.0),
                )
            )
    if not lines:
        raise TaskError("validation_failed", "The script is empty. Write at least one word.")
    for place, seconds in marked.pauses:
        _add_pause(lines, place, seconds)
    return lines


def _cut_at_marks(text: str, sentence: Sentence, cuts: list[int]) -> list[tuple[int, int, bool]]:
    """Start, end and completeness of what a sentence is spoken in. No piece is without a letter or digit."""
    pieces: list[tuple[int, int, bool]] = []
    start = sentence.start
    for cut in cuts:
        if start < cut < sentence.end and _has_word(text[start:cut]) and _has_word(text[cut : sentence.end]):
            end = start + len(text[start:cut].rstrip())
            pieces.append((start, end, False))
            start = cut + len(text[cut : sentence.end]) - len(text[cut : sentence.end].lstrip())
    return [*pieces, (start, sentence.end, sentence.complete)]


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _add_pause(lines: list[Line], place: int, seconds: float) -> None:
    """Give the pause at `place` of the text to the line before it; before the first line it leads."""
    number_of_line = len(lines)
    for index, line in enumerate(lines):
        behind = _has_word(line.text[: max(0, place - line.start)])
        if line.end > place and not behind:
            number_of_line = index
            break
    if number_of_line == 0:
        lines[0] = replace(lines[0], lead_s=lines[0].lead_s + seconds)
        return
    before = lines[number_of_line - 1]
    lines[number_of_line - 1] = replace(before, pause_s=(before.pause_s or 0.0) + seconds)


def nothing_to_say() -> TaskError:
    """The failure of a script of marks alone."""
    return TaskError(
        "validation_failed",
        "The script holds nothing that can be spoken. Write at least one word in Chinese, English or Japanese.",
    )


def read_script(path: Path) -> dict[str, Any]:
    """The script file of a task that has one. Raises TaskError(validation_failed)."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TaskError("validation_failed", "The script could not be read.", detail=repr(error)) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("text"), str):
        raise TaskError("validation_failed", "The script has no text.")
    return raw


def _again(params: Any) -> frozenset[int]:
    given = params.get("again", [])
    if not isinstance(given, (list, tuple)) or not all(type(index) is int and index >= 0 for index in given):
        raise TaskError("validation_failed", "again must be a list of sentence numbers.")
    return frozenset(given)


def number(params: Any, name: str, default: float, low: float, high: float) -> float:
    """A number among the parameters of a task. Raises TaskError(validation_failed)."""
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise TaskError("validation_failed", f"{name} must be a number from {low:g} to {high:g}.")
    return float(value)
