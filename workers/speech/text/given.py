"""Readings that a person gave: inline pinyin and the project's dictionary. Pure; runs in the speech worker.

Flow: the dictionary of a script -> `Lexicon`; a sentence -> the places where a term stands -> `Given`, beside those
that inline marks gave. Inline marks win over the dictionary, longer terms over shorter ones.

Which terms match: Chinese and Japanese ones wherever they stand; Latin ones as whole words, in the case as written,
and in any case when the term is written in small letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workers.speech.text import pinyin
from workers.speech.text.language import is_han

# As the service bounds them (backend/services/dictionary_service.py); more in a script file are an error of ours.
MAX_ENTRIES = 1000
MAX_TERM = 60
MAX_READING = 200


@dataclass(frozen=True)
class Given:
    """Characters `start:end` are read as `syllables` (pinyin with tone digits) or, where there are none, as `words`."""

    start: int
    end: int
    syllables: tuple[str, ...] = ()
    words: str = ""

    def moved(self, by: int) -> Given:
        """The same reading at another place."""
        return Given(self.start + by, self.end + by, self.syllables, self.words)


class Lexicon:
    """The dictionary of one script."""

    def __init__(self, entries: Iterable[tuple[str, str]] = ()) -> None:
        """`entries`: (term, reading). A reading that is pinyin with tones is pinyin, any other is words to say."""
        self._exact: dict[str, Given] = {}
        self._small: dict[str, Given] = {}
        for term, reading in entries:
            syllables = pinyin.parse(reading)
            given = Given(0, 0, tuple(syllables or ()), "" if syllables else reading)
            self._exact[term] = given
            if term == term.lower():
                self._small[term] = given
        # Longest first, so that an alternation finds the longest.
        terms = sorted(self._exact, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_pattern, terms)), re.IGNORECASE) if terms else None

    def find(self, text: str, taken: Sequence[Given] = ()) -> list[Given]:
        """`taken` and the terms in `text` that do not touch them, in order."""
        found = list(taken)
        for match in self._pattern.finditer(text) if self._pattern else ():
            given = self._exact.get(match[0]) or self._small.get(match[0].lower())
            start, end = match.span()
            if given is not None and all(end <= other.start or start >= other.end for other in taken):
                found.append(Given(start, end, given.syllables, given.words))
        return sorted(found, key=lambda given: given.start)


def _pattern(term: str) -> str:
    before = r"(?<![A-Za-z0-9])" if term[0].isascii() and term[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if term[-1].isascii() and term[-1].isalnum() else ""
    return f"{before}{re.escape(term)}{after}"


def read_lexicon(script: dict[str, Any]) -> Lexicon:
    """The dictionary in a script file. Raises ValueError with a sentence when it is not of the agreed shape."""
    raw = script.get("dictionary", [])
    if not isinstance(raw, list) or len(raw) > MAX_ENTRIES:
        raise ValueError(f"The dictionary must be a list of at most {MAX_ENTRIES} entries.")
    entries = []
    for entry in raw:
        term, reading = (entry.get("term"), entry.get("reading")) if isinstance(entry, dict) else (None, None)
        if (
            not isinstance(term, str)
            or not isinstance(reading, str)
            or not term.strip()
            or not reading.strip()
        ):
            raise ValueError("An entry of the dictionary needs a term and a reading.")
        if len(term) > MAX_TERM or len(reading) > MAX_READING:
            raise ValueError(f"A term has at most {MAX_TERM} characters, a reading {MAX_READING}.")
        entries.append((term.strip(), reading.strip()))
    return Lexicon(entries)


def keeps_characters(text: str, given: Given) -> bool:
    """Whether the written characters stay and only get their syllables: as many Han characters as syllables."""
    written = text[given.start : given.end]
    return len(written) == len(given.syllables) and all(map(is_han, written))
