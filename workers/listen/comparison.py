"""Whether what was heard is what should have been said. Pure; runs in the listening worker.

Flow: the sentence as words with the sounds that were meant -> the text that was heard, read by the product's own
front ends into sounds -> both aligned sound by sound -> which words are missing or wrong, and how much is too much.

Sounds are compared instead of letters because a recogniser that understood every word still writes some of them in
another way: "2026" and "twenty twenty-six", "check out" and "checkout", 他 and 她, simplified and traditional
characters. Numbers are read out on both sides by the same rules, tones, stress and length are left out: a small
recogniser guesses them from the words, so they prove nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Tones, stress, length and the tie marks of Kokoro's symbols; spaces and punctuation are no sounds either.
_SILENT = frozenset(" \u0303ˈˌː→↗↓↘.,!?:;—…“”()\"'‿-") | {"ʰ", "ʲ"}
# Sounds that a recogniser of this size mixes up in clean human speech, each folded into one.
_FOLDED = str.maketrans({
    "ɾ": "t", "T": "t", "ʔ": "t", "ɜ": "ə", "ɐ": "ə", "ʌ": "ə", "ᵊ": "ə", "ᵻ": "ɪ", "i": "ɪ",
    "ɒ": "ɔ", "ɑ": "ɔ", "ŋ": "n", "ɡ": "g", "ʂ": "s", "ꭧ": "ʦ",
})  # fmt: skip

# A word counts as understood when at least this share of its sounds was heard in their order: "walked" heard as
# "walk" passes, "can" heard as "the" does not.
_UNDERSTOOD = 0.5
# A missing word of so many sounds makes a sentence doubtful whatever its share: measured over clean speech the
# recogniser loses none of that length, shorter ones (articles, particles) now and then.
_TELLING_SOUNDS = 3
# A sentence of fewer sounds has so few that one misheard word says little: only its error counts.
_SHORT_SOUNDS = 12
# The largest error that passes: sounds nobody wrote, or many short words missing.
LIMIT = 0.12
SHORT_LIMIT = 0.34
# Sounds heard beside the sentence are an error from here on; below, a breath was taken for "a" or 啊.
_EXTRA_SOUNDS = 4
# A text whose sounds are this many times those of the sentence repeats itself: the recogniser's known failure at the
# end of a clip, not the speaker's.
_RUNAWAY = 1.7


@dataclass(frozen=True)
class Word:
    """A word as written and the sounds that were meant by it."""

    text: str
    sounds: str


@dataclass(frozen=True)
class Verdict:
    """`error`: the share, 0..1, of the sentence's sounds that belong to words not understood, plus sounds too many.

    `missing`: the words not understood, as written. `ok`: nothing to be spoken again.
    """

    error: float
    missing: tuple[str, ...]
    ok: bool


def sounds_of(symbols: str) -> str:
    """Kokoro symbols without what is no evidence: tones, stress, length, marks; near sounds folded."""
    return "".join(symbol for symbol in symbols if symbol not in _SILENT).translate(_FOLDED)


def compare(words: Sequence[Word], heard: str) -> Verdict:
    """`heard`: the sounds of the text that was heard (`sounds_of`)."""
    meant = "".join(word.sounds for word in words)
    if not meant:
        return Verdict(0.0, (), True)
    heard = without_repeats(meant, heard)
    matched, extra = align(meant, heard)
    missing = []
    lost = position = longest = 0
    for word in words:
        size = len(word.sounds)
        found = sum(matched[position : position + size])
        position += size
        if size and found < size * _UNDERSTOOD:
            missing.append(word.text)
            lost += size
            longest = max(longest, size)
    if extra >= _EXTRA_SOUNDS:
        lost += extra
    error = min(1.0, lost / len(meant))
    if len(meant) < _SHORT_SOUNDS:
        return Verdict(round(error, 4), tuple(missing), error <= SHORT_LIMIT)
    return Verdict(round(error, 4), tuple(missing), error <= LIMIT and longest < _TELLING_SOUNDS)


def without_repeats(meant: str, heard: str) -> str:
    """`heard` cut to one round when it goes on far beyond the sentence with what it already said."""
    if len(heard) <= _RUNAWAY * len(meant):
        return heard
    for size in range(1, len(heard) // 2 + 1):
        tail = heard[-size:]
        if heard[-2 * size : -size] != tail:
            continue
        rest = heard
        while rest.endswith(tail + tail):
            rest = rest[:-size]
        if len(rest) <= _RUNAWAY * len(meant):
            return rest
    return heard


def align(meant: str, heard: str) -> tuple[list[bool], int]:
    """Which sounds of `meant` are found in `heard`, in order, and how many of `heard` stand for nothing.

    The cheapest alignment: leaving out, adding and replacing cost one each.
    """
    columns = len(heard) + 1
    table = [list(range(columns))]
    for row, left in enumerate(meant, 1):
        above = table[-1]
        line = [row]
        for column, right in enumerate(heard, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (left != right)))
        table.append(line)
    matched = [False] * len(meant)
    extra = 0
    row, column = len(meant), len(heard)
    while row or column:
        here = table[row][column]
        if row and column and here == table[row - 1][column - 1] + (meant[row - 1] != heard[column - 1]):
            matched[row - 1] = meant[row - 1] == heard[column - 1]
            row, column = row - 1, column - 1
        elif row and here == table[row - 1][column] + 1:
            row -= 1
        else:
            extra += 1
            column -= 1
    return matched, extra
