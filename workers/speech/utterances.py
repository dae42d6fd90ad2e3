"""From units to what the model takes in one go. Runs in the speech worker.

Flow: units of a sentence -> one string of symbols with the owner of each symbol -> cut into utterances where it
would be too long for the model. Nothing is dropped: an over-long word is cut too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workers.speech.text.aligned import Unit
from workers.speech.text.punctuation import OPENING, STOPS

# The model takes 508; sentences are cut by estimate before (sentences.py), so this is the second fence. Kept low
# because memory grows with the length.
MAX_SYMBOLS = 300
# A cut looks for a pause in this last share of an over-long utterance, else for a space.
_SEARCH_SHARE = 0.5
NO_OWNER = -1


@dataclass(frozen=True)
class Phrase:
    """`symbols` for the model; `owners[i]` is the index of the unit that symbol i belongs to, NO_OWNER for
    spaces."""

    symbols: str
    owners: tuple[int, ...]


def join(units: list[Unit], known: Callable[[str], bool]) -> Phrase:
    """One string for all units, with spaces where the model expects them; unknown symbols are left out."""
    symbols: list[str] = []
    owners: list[int] = []
    tight = True  # nothing yet, or an opening mark: no space may follow
    for index, unit in enumerate(units):
        sounds = [symbol for symbol in unit.phonemes if known(symbol)]
        if not sounds:
            continue
        opening = not unit.is_word and unit.phonemes in OPENING
        wants_space = (unit.is_word and not unit.glued) or opening or unit.phonemes == "—"
        if wants_space and not tight and symbols[-1] != " ":
            symbols.append(" ")
            owners.append(NO_OWNER)
        symbols.extend(sounds)
        owners.extend([index] * len(sounds))
        tight = opening
    return Phrase("".join(symbols), tuple(owners))


def cut(phrase: Phrase, limit: int = MAX_SYMBOLS) -> list[Phrase]:
    """Pieces of at most `limit` symbols that put together are `phrase`, cut after pauses where possible."""
    pieces = []
    start = 0
    size = len(phrase.symbols)
    while size - start > limit:
        end = _cut_at(phrase.symbols, start, start + limit)
        pieces.append(Phrase(phrase.symbols[start:end], phrase.owners[start:end]))
        start = end
    if start < size:
        pieces.append(Phrase(phrase.symbols[start:], phrase.owners[start:]))
    return pieces


def _cut_at(symbols: str, start: int, end: int) -> int:
    """The best place for a cut in (start, end]."""
    earliest = start + int((end - start) * _SEARCH_SHARE)
    for wanted in (STOPS, frozenset(" ")):
        for position in range(end, earliest, -1):
            if symbols[position - 1] in wanted:
                return position
    return end
