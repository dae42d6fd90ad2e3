"""What stands around a Chinese word. Types only; runs in the speech worker."""

from __future__ import annotations

from dataclasses import dataclass

from workers.speech.text.zh_words import Word


@dataclass(frozen=True)
class Around:
    """What a rule sees: the words beside a word, None at the ends, and the phrase with the place of the word."""

    before: Word | None
    after: Word | None
    phrase: str

    def left(self, word: Word) -> str:
        """The phrase before the word."""
        return self.phrase[: word.start]

    def right(self, word: Word) -> str:
        """The phrase behind it."""
        return self.phrase[word.start + len(word.text) :]
