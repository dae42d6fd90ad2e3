"""What every engine does with a speech task before it speaks. Runs in the workers that speak.

Flow: task -> its script file and parameters, checked -> `Narration` -> one `Line` per sentence, each with its
language. The engines differ only in how a line becomes sound.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskError
from workers.speech.kokoro import SAMPLE_RATE
from workers.speech.text.language import LANGUAGES, Language, detect, of_sentence
from workers.speech.text.sentences import split_sentences

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
    """One sentence to speak. `complete`: see `Sentence`."""

    text: str
    language: Language
    complete: bool


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

    def pause_after(self, line: Line) -> int:
        """Samples of silence between this line and the next."""
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
    return Narration(
        text=text,
        language=detect(text, fallback) if asked == "auto" else asked,
        fixed_language=asked != "auto",
        speed=number(task.params, "speed", 1.0, MIN_SPEED, MAX_SPEED),
        pause_samples=round(pause_ms / 1000 * SAMPLE_RATE),
        script=script,
        again=_again(task.params),
    )


def lines_of(narration: Narration) -> list[Line]:
    """The sentences in order. Raises TaskError(validation_failed) when there is none."""
    lines = []
    for sentence in split_sentences(narration.text):
        text = narration.text[sentence.start : sentence.end]
        language = of_sentence(text, narration.language, fixed=narration.fixed_language)
        lines.append(Line(text, language, sentence.complete))
    if not lines:
        raise TaskError("validation_failed", "The script is empty. Write at least one word.")
    return lines


def nothing_to_say() -> TaskError:
    """The failure of a script of marks alone."""
    return TaskError(
        "validation_failed", "The script holds nothing that can be spoken. Write at least one word."
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
