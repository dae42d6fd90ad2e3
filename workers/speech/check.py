"""The `script_check` task: what will be said, sentence by sentence, without saying it. Runs in the speech worker.

Flow: script -> the same lines that speaking would make -> spoken form, pinyin, seconds, and the places where the
reading is a guess -> `check.json`. Places (`start`, `end`) are those of the script as it was sent, marks included.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from workers.handler import Task, TaskContext
from workers.speech.estimate import estimated_s
from workers.speech.kokoro import SAMPLE_RATE
from workers.speech.narration import EDGE_SAMPLES, Line, Narration, lines_of, nothing_to_say, read_narration
from workers.speech.text import pinyin
from workers.speech.text.aligned import Span
from workers.speech.text.en import English
from workers.speech.text.front import PLACEHOLDER, Part, Reader, parts, spoken_form
from workers.speech.text.language import is_han
from workers.speech.text.numbers_zh import cardinal, digits
from workers.speech.text.zh import Chinese, is_rhotic, phrase_end
from workers.speech.text.zh_tones import Syllable

CHECK_VERSION = 1
# What a person would look through, and what the page can show.
MAX_DOUBTS = 500
# 11/22 is a day or a fraction; five digits and more are an amount or a name.
_SLASHED = re.compile(r"(?<![\d/.])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\d/.%])")
_LONG = re.compile(r"(?<![\d.,A-Za-z+-])\d{5,9}(?![\d.,%A-Za-z]|\s?[元万亿千个人次名位米克斤吨美欧日年月])")

# Cyrillic, Hebrew, Arabic, the letters of India and of Thai, and Korean.
_FOREIGN = re.compile(
    "[\u0400-\u052f\u0590-\u06ff\u0750-\u077f\u0900-\u0eff\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]+"
)


@dataclass(frozen=True)
class Doubt:
    """`span` of the line's text. `reason`: polyphone, unknown_word or mixed."""

    span: Span
    reading: str
    alternatives: tuple[str, ...]
    reason: str


def run_check(task: Task, context: TaskContext, reader: Reader) -> dict[str, Any]:
    """Do the task. Raises TaskError(validation_failed); no model is needed."""
    narration = read_narration(task, "en")
    lines = lines_of(narration)
    sentences: list[dict[str, Any]] = []
    total_s = 2 * EDGE_SAMPLES / SAMPLE_RATE
    left = MAX_DOUBTS
    for done, line in enumerate(lines):
        context.raise_if_cancelled()
        context.progress(done / len(lines), "Reading", step=done, steps=len(lines))
        units = reader.read(line.text, line.language, given=line.given)
        if not units:
            continue
        seconds = estimated_s(units) / narration.speed_of(line)
        total_s += (
            seconds
            + line.lead_s
            + (narration.pause_after(line) / SAMPLE_RATE if line is not lines[-1] else 0.0)
        )
        doubts = _doubts(line, reader)[:left]
        left -= len(doubts)
        sentences.append(_entry(len(sentences), line, narration, reader, seconds, doubts))
    if not sentences:
        raise nothing_to_say()
    check = {
        "version": CHECK_VERSION,
        "language": narration.language,
        "characters": len(narration.text),
        "estimated_s": round(total_s, 2),
        "sentences": sentences,
        "problems": [
            {"code": one.code, "message": one.message, "start": one.start, "end": one.end}
            for one in narration.marked.problems
        ],
    }
    path = task.output_dir / "check.json"
    path.write_text(json.dumps(check, ensure_ascii=False), encoding="utf-8")
    context.progress(1.0, "Read")
    context.artifact("check", path, media_type="application/json")
    return {"sentences": len(sentences), "doubts": MAX_DOUBTS - left}


def _entry(
    index: int, line: Line, narration: Narration, reader: Reader, seconds: float, doubts: list[Doubt]
) -> dict[str, Any]:
    def place(span: Span) -> dict[str, int]:
        start, end = narration.marked.written(line.start + span[0], line.start + span[1])
        return {"start": start, "end": end}

    return {
        "index": index,
        "text": line.text,
        **place((0, len(line.text))),
        "language": line.language,
        "spoken": spoken_text(line),
        "pinyin": pinyin_of(line, reader.chinese),
        "estimated_s": round(seconds, 2),
        "doubts": [
            {
                "text": line.text[slice(*doubt.span)],
                **place(doubt.span),
                "reading": doubt.reading,
                "alternatives": list(doubt.alternatives),
                "reason": doubt.reason,
            }
            for doubt in doubts
        ],
    }


def spoken_text(line: Line) -> str:
    """The sentence in words; pinyin that stands for no characters is written as pinyin."""
    text = spoken_form(line.text, line.language, line.given).text
    for given in line.given:
        written = PLACEHOLDER * len(given.syllables)
        if given.syllables and written in text:
            text = text.replace(written, " ".join(map(pinyin.shown, given.syllables)), 1)
    return " ".join(text.split())


def chinese_syllables(part: Part, chinese: Chinese) -> list[tuple[int, list[Syllable]]]:
    """The phrases of a Chinese part: where each begins in the part, and its syllables."""
    text = part.aligned.text
    phrases = []
    position = 0
    while position < len(text):
        end = phrase_end(text, position)
        if end > position:
            phrases.append((position, chinese.syllables(text, position, end, part.syllables)))
        position = max(end, position + 1)
    return phrases


def pinyin_of(line: Line, chinese: Chinese) -> str:
    """All Chinese syllables of the sentence as they are said, tone sandhi done; 儿 that only colours is r."""
    shown: list[str] = []
    for part in parts(line.text, line.language, line.given):
        if part.language != "zh":
            continue
        for _, syllables in chinese_syllables(part, chinese):
            for index, syllable in enumerate(syllables):
                if is_rhotic(syllables, index):
                    shown[-1:] = [shown[-1] + "r"] if shown else []
                elif syllable.pinyin:
                    shown.append(pinyin.shown(syllable.pinyin))
    return " ".join(shown)


def _doubts(line: Line, reader: Reader) -> list[Doubt]:
    found: list[Doubt] = []
    for part in parts(line.text, line.language, line.given):
        if part.language == "zh":
            found.extend(_polyphones(line.text, part, reader.chinese))
        elif part.language == "en":
            found.extend(_unknown_words(part, reader.english()))
    found.extend(_numbers(line))
    # Words in letters that no front end reads: they would be missing without a word.
    found.extend(Doubt(match.span(), "", (), "unknown_word") for match in _FOREIGN.finditer(line.text))
    given = [(one.start, one.end) for one in line.given]
    unique = {doubt.span: doubt for doubt in found if not any(s <= doubt.span[0] < e for s, e in given)}
    return [unique[span] for span in sorted(unique)]


def _polyphones(written: str, part: Part, chinese: Chinese) -> list[Doubt]:
    doubts = []
    for start, syllables in chinese_syllables(part, chinese):
        for place, syllable in enumerate(syllables, start):
            span = part.aligned.spans[place]
            if span[1] - span[0] != 1 or not is_han(written[span[0]]):
                continue  # a number that was written out
            if syllable.doubts:
                others = tuple(map(pinyin.shown, syllable.doubts))
                doubts.append(Doubt(span, pinyin.shown(syllable.pinyin), others, "polyphone"))
            elif not syllable.pinyin:
                doubts.append(Doubt(span, "", (), "unknown_word"))
    return doubts


def _unknown_words(part: Part, english: English) -> list[Doubt]:
    units = english.read(part.aligned)
    doubts = []
    for start, end in english.guesses(part.aligned):
        span = part.aligned.written(start, end)
        sounds = " ".join(unit.phonemes for unit in units if unit.is_word and (unit.start, unit.end) == span)
        doubts.append(Doubt(span, sounds, (), "unknown_word"))
    return doubts


def _numbers(line: Line) -> list[Doubt]:
    """Numbers that may be read in two ways."""
    said = spoken_form(line.text, line.language, line.given)

    def heard(span: Span) -> str:
        return "".join(
            c for c, (s, e) in zip(said.text, said.spans, strict=True) if span[0] <= s and e <= span[1]
        ).strip()

    doubts = [Doubt(m.span(), heard(m.span()), (), "mixed") for m in _SLASHED.finditer(line.text)]
    if line.language == "zh":
        for match in _LONG.finditer(line.text):
            reading = heard(match.span())
            others = {digits(match[0]), cardinal(match[0])} - {reading, reading.replace("幺", "一")}
            if reading and "幺" not in reading:
                doubts.append(Doubt(match.span(), reading, tuple(sorted(others)), "mixed"))
    return doubts
