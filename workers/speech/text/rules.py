"""The machinery that rewrites written forms into spoken ones. Runs in the speech worker.

Flow: cleaned text + the rules of a language -> at each position the first rule that matches replaces what it
matched; everything else is kept. Written spans survive in the `Aligned` result.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from workers.speech.text.aligned import Aligned, AlignedBuilder


@dataclass(frozen=True)
class Rule:
    """`speak` gets the match and returns what is said, or None to decline."""

    pattern: re.Pattern[str]
    speak: Callable[[re.Match[str]], str | None]


def rule(pattern: str, flags: int = 0) -> Callable[[Callable[[re.Match[str]], str | None]], Rule]:
    """Decorator: the function below becomes the rule for `pattern` (verbose syntax is not used)."""

    def wrap(speak: Callable[[re.Match[str]], str | None]) -> Rule:
        return Rule(re.compile(pattern, flags), speak)

    return wrap


# By place: where it ends and what is said for it.
Fixed = Mapping[int, tuple[int, str]]


def apply_rules(text: str, rules: Sequence[Rule], fixed: Fixed | None = None) -> Aligned:
    """Rewrite `text`. Rules are tried in order at every position that does not continue a number or a word.

    What is `fixed` comes before all rules, and no rule reaches into it.
    """
    starts = sorted(fixed or ())
    builder = AlignedBuilder()
    position = 0
    while position < len(text):
        if fixed and position in fixed:
            end, said = fixed[position]
            builder.replace(said, position, end)
            position = end
            continue
        while starts and starts[0] < position:
            starts.pop(0)
        barrier = starts[0] if starts else len(text)
        for candidate in rules:
            match = candidate.pattern.match(text, position)
            if match is None or match.end() == position or match.end() > barrier:
                continue
            spoken = candidate.speak(match)
            if spoken is not None:
                builder.replace(spoken, position, match.end())
                position = match.end()
                break
        else:
            builder.keep(text[position], position)
            position += 1
    return builder.build()


# Characters that are written one way and mean another; every entry is one character for one, so that positions
# in the cleaned text are positions in the written one.
_SAME_LENGTH: dict[int, str] = {
    **{0xFF01 + offset: chr(0x21 + offset) for offset in range(94)},  # full-width ASCII
    0x3000: " ",
    0x00A0: " ",
    0x202F: " ",
    0x2009: " ",
    0x2018: "'",
    0x2019: "'",
    0x02BC: "'",
    0x2010: "-",
    0x2011: "-",
    0x2212: "-",
    0x02DC: "~",
    0x301C: "~",
    0x223C: "~",
    0xFFE5: "¥",
    0x2103: "℃",
    0x2236: ":",
    0x00D7: "×",
    0x2044: "/",
    0x2215: "/",
}
# Full-width punctuation is meaningful to the Chinese rules and must not become ASCII.
for _mark in "，。！？：；（）":
    _SAME_LENGTH.pop(ord(_mark), None)

# Marks of formatting and markup that have no sound.
_SILENT_MARKS = frozenset("*_`|\\{}\u200b\u200c\u200d\ufeff\u00ad\u2060•·●○■□▪▫◆◇★☆※►▶▸→←↑↓⇒✓✔✗✘")
# Powers: 10⁶ is not 106.
_EXPONENTS = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹")
# Symbols that some rule reads aloud; all other symbols of class So, Sk, Cf, Co, Cn are dropped.
_SPOKEN_SYMBOLS = frozenset("℃℉°€£¥$₩₹©®™№㎡㎥㎞㎝㎜㎏㎎㎖㏄^")


def clean(text: str) -> str:
    """The same text, the same length, with look-alikes unified and silent symbols made spaces."""
    unified = text.translate(_SAME_LENGTH)
    out = []
    for character in unified:
        if character.isdigit() and character not in _EXPONENTS:
            out.append(str(unicodedata.digit(character)))  # Arabic-Indic, circled and raised digits
        elif character in _SPOKEN_SYMBOLS:
            out.append(character)
        elif (
            character in _SILENT_MARKS
            or character.isspace()
            or unicodedata.category(character) in {"So", "Sk", "Cf", "Co", "Cn", "Cs", "Cc", "Me"}
        ):
            out.append(" ")
        else:
            out.append(character)
    return "".join(out)
