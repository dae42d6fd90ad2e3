"""Cutting Chinese text into words. Runs in the speech worker.

Flow: a run of Han characters + a table of words with their frequencies -> the most probable sequence of words
(dynamic programming over all dictionary words, product of unigram probabilities).
Source: the word list and frequencies of jieba 0.42.1 (MIT), vendored as assets/g2p/zh_words.tsv.xz.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from workers.speech.text.lines import SortedLines

# Sum of all frequencies of the table; only ratios matter.
_TOTAL_FREQUENCY = 60_101_967
_UNSEEN_FREQUENCY = 1
# A word of our own is met now and then.
_OWN_FREQUENCY = 50
# The longest entries are sayings of 16 characters; a longer search finds nothing.
_MAX_WORD = 16


@dataclass(frozen=True)
class Word:
    """A word at `start` of its run. `tag`: jieba's part of speech ("v", "n", "m", …), "x" for unknown."""

    text: str
    start: int
    tag: str


class WordTable:
    """The dictionary and the search."""

    def __init__(self, table: SortedLines, more: Iterable[str] = ()) -> None:
        """`more`: words that count as known although the table lacks them."""
        self._table = table
        self._more = frozenset(more)
        self._beginnings = frozenset(word[:size] for word in self._more for size in range(1, len(word)))

    def segment(self, run: str) -> list[Word]:
        """The words of `run` (Han characters only), in order and without gaps."""
        size = len(run)
        log_total = math.log(_TOTAL_FREQUENCY)
        # best[i]: (log probability of run[i:], end of its first word, tag of its first word)
        best: list[tuple[float, int, str]] = [(0.0, size, "")] * (size + 1)
        for start in range(size - 1, -1, -1):
            options = [
                (math.log(frequency) - log_total + best[end][0], end, tag)
                for end, frequency, tag in self._words_at(run, start)
            ]
            best[start] = max(options)
        words = []
        position = 0
        while position < size:
            _, end, tag = best[position]
            words.append(Word(run[position:end], position, tag))
            position = end
        return words

    def _words_at(self, run: str, start: int) -> list[tuple[int, int, str]]:
        """(end, frequency, tag) of every dictionary word at `start`; always has the single character."""
        found = []
        for end in range(start + 1, min(len(run), start + _MAX_WORD) + 1):
            piece = run[start:end]
            entry = self._table.get(piece)
            if entry is not None:
                frequency, _, tag = entry.partition(" ")
                found.append((end, max(int(frequency), _UNSEEN_FREQUENCY), tag))
            elif piece in self._more:
                found.append((end, _OWN_FREQUENCY, "l"))
            elif end == start + 1:
                found.append((end, _UNSEEN_FREQUENCY, "x"))
            if piece not in self._beginnings and not self._table.has_prefix(piece):
                break
        return found
