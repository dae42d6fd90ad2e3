"""In which of the three languages a text is written, and how long it takes to speak. Pure; service process.

By script, not by dictionary: kana make Japanese, Han without kana Chinese, Latin words with English function words
English. Enough to see that a model answered in another language than it was asked to.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Language = Literal["zh", "en", "ja"]

# Characters of a text that take one second to speak, at speed 1 and with pauses of 0.3 s between sentences: the
# mean of the built-in voices of each language over one paragraph (docs/scripts.md, "Length"). White space counts in
# English only, where it stands between all words.
CHARS_PER_S: dict[Language, float] = {"zh": 5.0, "en": 17.1, "ja": 5.7}
# What a person who writes is told instead, because nobody counts letters in English.
WORDS_PER_S_EN = 3.36

_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc\uff66-\uff9d]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3005\U00020000-\U0003ffff]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’][A-Za-z]+)?")
# Words that no English paragraph does without, and that French, Spanish or German do not have.
_ENGLISH = frozenset(
    {
        *("the", "and", "of", "to", "is", "in", "that", "it", "you", "for", "with", "are", "this"),
        *("we", "your", "can", "or", "be", "not", "have", "from", "they", "will", "our", "as", "but"),
    }
)
# Below this a text is too short for its function words to be counted.
_WORDS_TO_JUDGE = 20
_LEAST_ENGLISH = 0.08
# A name or a formula of another script belongs to a text now and then.
_MOSTLY = 0.6
_LEAST_KANA = 0.12
_SOME_KANA = 0.03

# "In English, please" inside of a topic wins over the language that the topic itself is written in.
_ASKED_FOR: tuple[tuple[Language, re.Pattern[str]], ...] = (
    ("en", re.compile(r"\bin english\b|用英[语文]|英語で", re.IGNORECASE)),
    ("zh", re.compile(r"\bin (?:mandarin|chinese)\b|用(?:中文|汉语|普通话)|中国語で", re.IGNORECASE)),
    ("ja", re.compile(r"\bin japanese\b|用日[语文]|日本語で", re.IGNORECASE)),
)


@dataclass(frozen=True)
class Scripts:
    """How much of a text is in which script: Han and kana in characters, Latin in words, others in letters."""

    han: int
    kana: int
    latin: int
    other: int

    @property
    def total(self) -> int:
        return self.han + self.kana + self.latin + self.other


def scripts_of(text: str) -> Scripts:
    han, kana = len(_HAN.findall(text)), len(_KANA.findall(text))
    latin = len(_LATIN_WORD.findall(text))
    letters = sum(1 for char in _LATIN_WORD.sub("", text) if unicodedata.category(char) in {"Ll", "Lu", "Lo"})
    return Scripts(han, kana, latin, max(0, letters - han - kana))


def is_written_in(text: str, language: Language) -> bool:
    """Whether the text is mostly in this language. A text without any letter is in none."""
    found = scripts_of(text)
    if not found.total:
        return False
    if language == "en":
        return found.latin / found.total >= _MOSTLY and _sounds_english(text)
    east = found.han + found.kana
    if east / found.total < _MOSTLY:
        return False
    share = found.kana / east
    return share >= _LEAST_KANA if language == "ja" else share <= _SOME_KANA


def _sounds_english(text: str) -> bool:
    words = [word.lower() for word in _LATIN_WORD.findall(text)]
    if len(words) < _WORDS_TO_JUDGE:
        return True
    return sum(word in _ENGLISH for word in words) / len(words) >= _LEAST_ENGLISH


def language_for(topic: str) -> Language:
    """The language to write in when none was asked for: the one named in the topic, or the topic's own."""
    for language, pattern in _ASKED_FOR:
        if pattern.search(topic):
            return language
    found = scripts_of(topic)
    if found.kana:
        return "ja"
    return "zh" if found.han > found.latin else "en"


def spoken_length(text: str, language: Language) -> int:
    """The characters that count for time: all in English, those that are no white space elsewhere."""
    return len(text) if language == "en" else sum(1 for char in text if not char.isspace())


def estimated_s(text: str, language: Language, speed: float = 1.0) -> float:
    """Seconds that the text takes at this speed."""
    return round(spoken_length(text, language) / CHARS_PER_S[language] / speed, 1)


def length_for(seconds: float, language: Language, speed: float, max_chars: int) -> int:
    """Characters that fill this time, never more than a script may have."""
    wanted = math.ceil(seconds * CHARS_PER_S[language] * speed)
    # Room for the sentence that goes a little beyond.
    return max(1, min(wanted, round(max_chars * 0.9)))
