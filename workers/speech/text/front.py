"""The front door of the text package: a sentence as written to units. Runs in the speech worker.

Flow: sentence -> cleaned (same length) -> numbers and signs read out in the language of the sentence -> runs by
script -> the front end of each run -> units in written order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.speech.text import normalise_en, normalise_ja, normalise_zh
from workers.speech.text.aligned import Aligned, Unit
from workers.speech.text.en import English
from workers.speech.text.given import Given, keeps_characters
from workers.speech.text.ja import Japanese
from workers.speech.text.language import Language, is_han, is_kana, is_latin
from workers.speech.text.rules import clean
from workers.speech.text.zh import Chinese

# Stands for a syllable of given pinyin that has no character of its own; in no word of any dictionary.
PLACEHOLDER = "\u3400"
_NORMALISERS = {"zh": normalise_zh.normalise, "en": normalise_en.normalise, "ja": normalise_ja.normalise}


class Reader:
    """All front ends. Each loads its tables when it first has something to read."""

    def __init__(self, folder: Path) -> None:
        """`folder`: assets/g2p."""
        self._american = English(folder)
        self._british = English(folder, british=True)
        self._chinese = Chinese(folder)
        self._japanese = Japanese()

    def read(
        self, sentence: str, language: Language, *, british: bool = False, given: Sequence[Given] = ()
    ) -> list[Unit]:
        """Units of one sentence; empty when nothing in it can be spoken. `given`: readings that a person gave."""
        units: list[Unit] = []
        for part in parts(sentence, language, given):
            if part.language == "en":
                units.extend(self.english(british=british).read(part.aligned))
            elif part.language == "zh":
                units.extend(self.chinese.read(part.aligned, part.syllables))
            else:
                units.extend(self._japanese.read(part.aligned))
        return units if any(unit.is_word for unit in units) else []

    def english(self, *, british: bool = False) -> English:
        """The English front end of one accent."""
        return self._british if british else self._american

    @property
    def chinese(self) -> Chinese:
        """The Mandarin front end."""
        return self._chinese


@dataclass(frozen=True)
class Part:
    """A stretch of a sentence for one front end. `syllables`: given pinyin by place in `aligned.text`."""

    language: Language
    aligned: Aligned
    syllables: Mapping[int, str]


def parts(sentence: str, language: Language, given: Sequence[Given] = ()) -> list[Part]:
    """The sentence as it is said, cut where the script changes."""
    aligned = spoken_form(sentence, language, given)
    return [
        Part(
            run_language,
            part := Aligned(aligned.text[start:end], aligned.spans[start:end]),
            _given_syllables(part, given),
        )
        for start, end, run_language in runs(aligned.text, language)
    ]


def spoken_form(sentence: str, language: Language, given: Sequence[Given] = ()) -> Aligned:
    """The sentence with its numbers and signs written as they are said, in characters of the language.

    A given reading that is no more than pinyin of its characters leaves them; other pinyin shows as PLACEHOLDER.
    """
    normalise = _NORMALISERS[language]
    fixed: dict[int, tuple[int, str]] = {}
    for one in given:
        if one.syllables:
            if not keeps_characters(sentence, one):
                fixed[one.start] = one.end, PLACEHOLDER * len(one.syllables)
        else:
            fixed[one.start] = one.end, f" {normalise(clean(one.words)).text.strip()} "
    return normalise(clean(sentence), fixed)


def _given_syllables(part: Aligned, given: Sequence[Given]) -> dict[int, str]:
    """Pinyin by place in the part, for each character that stands for a given reading."""
    syllables: dict[int, str] = {}
    for one in given:
        places = [
            place
            for place, (start, end) in enumerate(part.spans)
            if one.syllables and one.start <= start and end <= one.end
        ]
        syllables.update(zip(places, one.syllables, strict=False))
    return syllables


def runs(text: str, language: Language) -> list[tuple[int, int, Language]]:
    """Cut spoken text into stretches for one front end each.

    Latin letters are English; Han characters are the language of the sentence, Chinese in an English one; kana
    are Japanese. Marks, digits and spaces stay with the run before them.
    """
    cut: list[tuple[int, int, Language]] = []
    for position, character in enumerate(text):
        if is_latin(character):
            own: Language | None = "en"
        elif character == PLACEHOLDER:
            own = "zh"
        elif is_kana(character):
            own = "ja"
        elif is_han(character):
            own = "ja" if language == "ja" else "zh"
        else:
            own = None
        if not cut:
            cut.append((0, position + 1, own or language))
            continue
        start, _, current = cut[-1]
        if own is None or own == current:
            cut[-1] = (start, position + 1, current)
        elif all(not (is_latin(c) or is_kana(c) or is_han(c)) for c in text[start:position]):
            cut[-1] = (start, position + 1, own)  # only marks so far: they belong to what follows
        else:
            cut.append((position, position + 1, own))
    return cut
