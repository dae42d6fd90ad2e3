"""Text that remembers where each of its characters was written. Runs in the speech worker.

Flow: the script as written -> `AlignedBuilder` (keep, replace, drop) -> `Aligned`: what will be spoken, with the
written span of every spoken character, so that subtitles can show "2026" while "twenty twenty-six" is heard.
"""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True)
class Aligned:
    """`text` is spoken; `spans[i]` is the half-open written span that `text[i]` stands for."""

    text: str
    spans: tuple[Span, ...]

    def written(self, start: int, end: int) -> Span:
        """The written span behind spoken characters `start:end` (not empty)."""
        covered = self.spans[start:end]
        return min(span[0] for span in covered), max(span[1] for span in covered)


class AlignedBuilder:
    """Collects an `Aligned` from left to right."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._spans: list[Span] = []

    def keep(self, character: str, start: int, end: int | None = None) -> None:
        """One spoken character for the written one at `start` (up to `end`)."""
        self._parts.append(character)
        self._spans.append((start, start + 1 if end is None else end))

    def replace(self, spoken: str, start: int, end: int) -> None:
        """Written `start:end` is read as `spoken`, as one piece."""
        self._parts.append(spoken)
        self._spans.extend([(start, end)] * len(spoken))

    def build(self) -> Aligned:
        """What was collected."""
        return Aligned("".join(self._parts), tuple(self._spans))


@dataclass(frozen=True)
class Unit:
    """A spoken word or a punctuation mark on its way to the model.

    `phonemes`: Kokoro symbols (for punctuation the mark itself). `start`, `end`: its span in the sentence as
    written; several units may share one span (the words of a number). `glued`: no space before it.
    """

    phonemes: str
    start: int
    end: int
    is_word: bool = True
    glued: bool = False
