"""The front door of the text package: a sentence as written to units. Runs in the speech worker.

Flow: sentence -> cleaned (same length) -> numbers and signs read out in the language of the sentence -> runs by
script -> the front end of each run -> units in written order.
"""

from __future__ import annotations

from pathlib import Path

from workers.speech.text import normalise_en, normalise_ja, normalise_zh
from workers.speech.text.aligned import Aligned, Unit
from workers.speech.text.en import English
from workers.speech.text.ja import Japanese
from workers.speech.text.language import Language, is_han, is_kana, is_latin
from workers.speech.text.rules import clean
from workers.speech.text.zh import Chinese

_NORMALISERS = {"zh": normalise_zh.normalise, "en": normalise_en.normalise, "ja": normalise_ja.normalise}


class Reader:
    """All front ends. Each loads its tables when it first has something to read."""

    def __init__(self, folder: Path) -> None:
        """`folder`: assets/g2p."""
        self._american = English(folder)
        self._british = English(folder, british=True)
        self._chinese = Chinese(folder)
        self._japanese = Japanese()

    def read(self, sentence: str, language: Language, *, british: bool = False) -> list[Unit]:
        """Units of one sentence; empty when nothing in it can be spoken."""
        aligned = spoken_form(sentence, language)
        units: list[Unit] = []
        for start, end, run_language in runs(aligned.text, language):
            part = Aligned(aligned.text[start:end], aligned.spans[start:end])
            if run_language == "en":
                units.extend((self._british if british else self._american).read(part))
            elif run_language == "zh":
                units.extend(self._chinese.read(part))
            else:
                units.extend(self._japanese.read(part))
        return units if any(unit.is_word for unit in units) else []


def spoken_form(sentence: str, language: Language) -> Aligned:
    """The sentence with its numbers and signs written as they are said, in characters of the language."""
    return _NORMALISERS[language](clean(sentence))


def runs(text: str, language: Language) -> list[tuple[int, int, Language]]:
    """Cut spoken text into stretches for one front end each.

    Latin letters are English; Han characters are the language of the sentence, Chinese in an English one; kana
    are Japanese. Marks, digits and spaces stay with the run before them.
    """
    cut: list[tuple[int, int, Language]] = []
    for position, character in enumerate(text):
        if is_latin(character):
            own: Language | None = "en"
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
