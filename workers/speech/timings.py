"""When every word and phoneme is heard. Runs in the speech worker.

Flow: durations per symbol of a spoken sentence -> phonemes and words with absolute times -> one JSON object per
sentence, appended to `timings.json` as the speech grows, so that memory does not.

A word's text is what the script shows, its punctuation included: the words of a sentence joined, white space
aside, are the sentence. "2026" is one word whatever is said for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from workers.speech.text.aligned import Unit
from workers.speech.utterances import NO_OWNER

TIMINGS_VERSION = 1
# Times are written with this many decimals: 0.1 ms is 2.4 samples.
_DECIMALS = 4


@dataclass(frozen=True)
class TimedSymbol:
    """One symbol from sample `start` to sample `end` of the whole speech. `owner`: index of its unit."""

    symbol: str
    start: int
    end: int
    owner: int


@dataclass(frozen=True)
class TimedWord:
    """`text` as written from character `offset` of the sentence, heard from sample `start` to `end`."""

    text: str
    offset: int
    start: int
    end: int


def words_of(sentence: str, units: list[Unit], symbols: list[TimedSymbol]) -> list[TimedWord]:
    """The words of a sentence in order, without overlap; together they show the whole sentence."""
    heard: list[tuple[int, int, int, int]] = []  # written start and end, first and last sample
    for timed in symbols:
        if timed.owner == NO_OWNER or not units[timed.owner].is_word:
            continue
        unit = units[timed.owner]
        if heard and unit.start < heard[-1][1]:  # the same written thing: "2026" or a doubled span
            start, end, first, _ = heard[-1]
            heard[-1] = (start, max(end, unit.end), first, timed.end)
        else:
            heard.append((unit.start, unit.end, timed.start, timed.end))
    words = []
    for index, (_, _, first, last) in enumerate(heard):
        offset = 0 if index == 0 else _text_start(sentence, heard[index - 1][1], heard[index][0])
        following = len(sentence)
        if index + 1 < len(heard):
            following = _text_start(sentence, heard[index][1], heard[index + 1][0])
        shown = sentence[offset:following]
        lead = len(shown) - len(shown.lstrip())
        words.append(TimedWord(shown.strip(), offset + lead, first, last))
    return words


_LEADING = frozenset("\"'“‘(（[［【「『《〈<¥￥$€£#@+-")


def _text_start(sentence: str, earliest: int, start: int) -> int:
    """Where the shown text of a word begins: opening marks just before it belong to it, the rest to the last."""
    while start > earliest and sentence[start - 1] in _LEADING:
        start -= 1
    return start


class TimingsWriter:
    """Appends sentences to a timings file. A context manager: leaving it normally completes the file."""

    def __init__(
        self, path: Path, *, sample_rate: int, head: dict[str, Any], has_phonemes: bool = True
    ) -> None:
        """`head`: fields that stand before the sentences (engine, voice, language). Without `has_phonemes` the
        symbols are estimates, good enough for words and for nothing finer: the lists of phonemes stay empty.
        """
        self._path = path
        self._has_phonemes = has_phonemes
        self._rate = sample_rate
        self._head = {"version": TIMINGS_VERSION, **head}
        self._stream: IO[str] | None = None
        self._count = 0
        self._end = 0

    def __enter__(self) -> TimingsWriter:
        self._stream = self._path.open("w", encoding="utf-8", newline="\n")
        fields = "".join(f"{json.dumps(key)}:{_dump(value)}," for key, value in self._head.items())
        self._stream.write("{" + fields + '"sentences":[')
        return self

    def add(self, sentence: str, units: list[Unit], symbols: list[TimedSymbol]) -> None:
        """One spoken sentence. `symbols` in order of time."""
        entry = {
            "index": self._count,
            "text": sentence,
            "start_s": self._seconds(symbols[0].start),
            "end_s": self._seconds(symbols[-1].end),
            "words": [
                {
                    "text": word.text,
                    "offset": word.offset,
                    "start_s": self._seconds(word.start),
                    "end_s": self._seconds(word.end),
                }
                for word in words_of(sentence, units, symbols)
            ],
            "phonemes": [
                {
                    "symbol": timed.symbol,
                    "start_s": self._seconds(timed.start),
                    "end_s": self._seconds(timed.end),
                }
                for timed in symbols
                if self._has_phonemes and timed.end > timed.start
            ],
        }
        self._open().write(("," if self._count else "") + "\n" + _dump(entry))
        self._count += 1

    def finish(self, total_samples: int) -> None:
        """Write the end of the file; `total_samples` is the length of the whole speech."""
        stream = self._open()
        stream.write(f'\n],"duration_s":{_dump(self._seconds(total_samples))}}}\n')
        stream.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def _open(self) -> IO[str]:
        if self._stream is None:
            raise RuntimeError("the timings file is not open")
        return self._stream

    def _seconds(self, samples: int) -> float:
        return round(samples / self._rate, _DECIMALS)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
