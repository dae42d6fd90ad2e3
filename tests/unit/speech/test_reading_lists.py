"""Lists of cases that were written from dictionaries and rules: at least 97 in 100 are read right.

What is compared is what the front ends make of the text as written: the words that are said, the pinyin of the asked
characters, the sounds of the asked word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.speech.check import chinese_syllables
from workers.speech.text import en_sounds
from workers.speech.text.front import Reader, parts, spoken_form
from workers.speech.text.language import Language
from workers.speech.text.zh import is_rhotic

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "reading"
RIGHT_SHARE = 0.97
# How many the lists must hold, and how many of them may be wrong is decided by RIGHT_SHARE.
LEAST = {
    "zh": 150,
    "en": 100,
    "zh_more": 100,
    "zh_third": 250,
    "zh_fourth": 300,
    "zh_found": 70,
    "en_more": 60,
}
WHOLE = "="


@dataclass(frozen=True)
class Case:
    text: str
    asked: str
    expected: tuple[str, ...]


def cases(name: str) -> list[Case]:
    lines = (FOLDER / f"{name}.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [Case(text, asked, tuple(expected.split("||"))) for text, asked, expected, _ in rows]


def plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def pinyin_of(reader: Reader, case: Case) -> str:
    """The syllables of the asked characters, with sandhi; r for a 儿 that only colours."""
    at = case.text.index(case.asked)
    wanted = set(range(at, at + len(case.asked)))
    heard = []
    for part in parts(case.text, "zh"):
        for start, syllables in chinese_syllables(part, reader.chinese) if part.language == "zh" else ():
            for index, syllable in enumerate(syllables):
                if part.aligned.spans[start + index][0] in wanted:
                    heard.append("r" if is_rhotic(syllables, index) else syllable.pinyin)
    return " ".join(heard)


def agrees(heard: str, expected: str) -> bool:
    """Third-tone sandhi makes a written 3 a 2; a written 2 is a 2."""
    one, other = heard.split(), expected.split()
    return len(one) == len(other) and all(
        a == b or (a[:-1] == b[:-1] and a[-1] == "2" and b[-1] == "3")
        for a, b in zip(one, other, strict=True)
    )


def sounds_of(reader: Reader, case: Case) -> str:
    at = case.text.index(case.asked)
    units = reader.read(case.text, "en")
    return "".join(unit.phonemes for unit in units if unit.is_word and unit.start <= at < unit.end)


def unstressed(phonemes: str) -> str:
    """Without stress and with the weak vowels, which two dictionaries write in two ways, made one."""
    return (
        re.sub("[ɪᵻɜʌᵊ]", "ə", re.sub("[ˈˌ ]", "", phonemes))
        .replace("T", "t")
        .replace("ɾ", "t")
        .replace("əə", "ə")
    )


def judge(reader: Reader, language: Language, case: Case) -> tuple[bool, str]:
    if case.asked == WHOLE:
        heard = spoken_form(case.text, language).text
        return plain(heard) in {plain(one) for one in case.expected}, heard
    if language == "zh":
        heard = pinyin_of(reader, case)
        return any(agrees(heard, one) for one in case.expected), heard
    heard = sounds_of(reader, case)
    wanted = {unstressed(en_sounds.from_arpabet(one.split(), british=False)) for one in case.expected}
    return unstressed(heard) in wanted, heard


@pytest.mark.parametrize("name", [name for name in LEAST if (FOLDER / f"{name}.tsv").exists()])
def test_the_list_is_read_right(reader: Reader, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    language: Language = "zh" if name.startswith("zh") else "en"
    listed = cases(name)
    wrong = []
    for case in listed:
        right, heard = judge(reader, language, case)
        if not right:
            wrong.append(f"{case.text} | {case.asked} | {' or '.join(case.expected)} | heard {heard}")
    with capsys.disabled():
        share = 100 * (1 - len(wrong) / len(listed))
        print(
            f"\n{name}: {len(listed) - len(wrong)} of {len(listed)} right ({share:.1f} %)", *wrong, sep="\n  "
        )
    assert len(listed) >= LEAST[name]
    assert len(wrong) <= (1 - RIGHT_SHARE) * len(listed), wrong
