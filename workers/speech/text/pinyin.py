"""Pinyin as people write it -> syllables with tone digits. Pure; runs in the speech worker.

Flow: "chóng qìng", "chong2qing4", "lü4", "de" -> ["chong2", "qing4"] and so on, or None for what is no pinyin.
"""

from __future__ import annotations

import re
import unicodedata

from workers.speech.text.zh_sounds import split_syllable

# The most syllables of one reading: longer terms are better split.
MAX_SYLLABLES = 24
_TONES = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
_DOTS = "\u0308"
_TOKEN = re.compile(r"([a-z]+)([0-5]?)")
# Syllables that may stand without any tone: particles and endings, which are neutral.
_TONELESS = frozenset(
    {"de", "le", "zhe", "guo", "ma", "ne", "ba", "a", "ya", "la", "wa", "men", "zi", "tou", "me", "bei", "er"}
)
_LONGEST = 6


def parse(text: str) -> list[str] | None:
    """The syllables, each with a digit 1 to 5; None when anything in `text` is no pinyin with its tone."""
    syllables: list[str] = []
    for word in re.split(r"[\s'’·-]+", unicodedata.normalize("NFKC", text).strip().lower()):
        if not word:
            continue
        found = _word(word.replace("u:", "ü"))
        if found is None:
            return None
        syllables.extend(found)
    return syllables if 0 < len(syllables) <= MAX_SYLLABLES else None


def is_toneless(text: str) -> bool:
    """Whether nothing in `text` shows a tone: no digit and no mark above a vowel."""
    return not any(
        character.isdigit() or character in _TONES for character in unicodedata.normalize("NFD", text)
    )


def _word(word: str) -> list[str] | None:
    """One written word of one or more syllables."""
    letters, tones = _without_marks(word)
    if letters is None:
        return None
    if any(character.isdigit() for character in letters):
        if tones or not re.fullmatch(r"(?:[a-z]+[0-5]?)+", letters):
            return None
        pieces = [(body, digit) for body, digit in _TOKEN.findall(letters)]
        syllables = [_syllable(body, digit) for body, digit in pieces]
        return None if None in syllables else [syllable for syllable in syllables if syllable]
    return _split(letters, tones, 0)


def _without_marks(word: str) -> tuple[str | None, dict[int, str]]:
    """Plain letters (ü as v) and the tone above each place that has one."""
    letters = ""
    tones: dict[int, str] = {}
    for character in unicodedata.normalize("NFD", word):
        if character in _TONES:
            if not letters or len(letters) - 1 in tones:
                return None, {}
            tones[len(letters) - 1] = _TONES[character]
        elif character == _DOTS:
            letters = letters[:-1] + "v"
        elif character.isascii() and character.isalnum():
            letters += character
        else:
            return None, {}
    return letters, tones


def _split(letters: str, tones: dict[int, str], start: int) -> list[str] | None:
    """Syllables of a word with marks above its vowels, longest first."""
    if start == len(letters):
        return []
    for end in range(min(len(letters), start + _LONGEST), start, -1):
        marks = [tones[place] for place in range(start, end) if place in tones]
        if len(marks) > 1:
            continue
        syllable = _syllable(letters[start:end], marks[0] if marks else "")
        rest = _split(letters, tones, end) if syllable else None
        if syllable and rest is not None:
            return [syllable, *rest]
    return None


def _syllable(body: str, digit: str) -> str | None:
    if not digit and body not in _TONELESS:
        return None
    syllable = body + ("5" if digit in {"", "0"} else digit)
    try:
        split_syllable(syllable)
    except ValueError:
        return None
    return syllable


_MARKED = {"a": "āáǎà", "e": "ēéěè", "i": "īíǐì", "o": "ōóǒò", "u": "ūúǔù", "v": "ǖǘǚǜ"}


def shown(syllable: str) -> str:
    """A syllable with its tone as a mark above a vowel: "zhang3" -> "zhǎng"; neutral ones have none.

    The mark stands above a or e, above the o of ou, else above the last vowel (GB/T 16159-2012).
    """
    body, tone = syllable[:-1], syllable[-1:]
    if tone not in "1234" or not body:
        return body.replace("v", "ü")
    place = next((body.index(vowel) for vowel in ("a", "e", "ou") if vowel in body), -1)
    if place < 0:
        place = max((body.rfind(vowel) for vowel in "iouv"), default=-1)
    if place < 0:
        return syllable
    marked = body[:place] + _MARKED[body[place]][int(tone) - 1] + body[place + 1 :]
    return marked.replace("v", "ü")
