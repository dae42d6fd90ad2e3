"""Roman numerals. Pure; runs in the speech worker."""

from __future__ import annotations

import re

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
# Written as one would: VIII, XIV, LVIII; nothing above a hundred is met outside of inscriptions.
_SHAPE = re.compile(r"(?=.)C?(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\Z")
# Words and shortenings that only look like numerals.
_WORDS = frozenset({"XL", "XXL", "CV", "CC", "LI", "XX", "XXX", "CI", "LV", "XC", "CL", "LC", "VI"})
SINGLE = {chr(0x2160 + n): n + 1 for n in range(12)} | {chr(0x2170 + n): n + 1 for n in range(12)}


def value(text: str) -> int | None:
    """The number of a numeral in capitals, None for what is none (or is a word: XL, CV)."""
    if text in _WORDS or not _SHAPE.match(text):
        return None
    return _sum(text)


def cued_value(text: str) -> int | None:
    """The same after a word that wants a number ("Part VI"): look-alikes count too."""
    return _sum(text) if _SHAPE.match(text) else None


def _sum(text: str) -> int:
    total = 0
    for index, letter in enumerate(text):
        following = _VALUES[text[index + 1]] if index + 1 < len(text) else 0
        total += -_VALUES[letter] if _VALUES[letter] < following else _VALUES[letter]
    return total
