"""Chinese text to Kokoro phonemes. Runs in the speech worker.

Flow: normalised text -> phrases of Han characters -> words -> pinyin (given readings first, then the dictionary of
words, rules of grammar, and for characters that still have several readings the network) -> tone sandhi over the
phrase -> symbols, one unit per word.

Source of the readings: pypinyin 0.55 with phrase-pinyin-data (MIT), vendored as assets/g2p/zh_readings.tsv.xz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workers.speech.text import numbers_zh, punctuation, zh_sounds
from workers.speech.text.aligned import Aligned, Unit
from workers.speech.text.language import is_han
from workers.speech.text.lines import SortedLines
from workers.speech.text.zh_around import Around
from workers.speech.text.zh_context import in_context, last_of_count
from workers.speech.text.zh_lexicon import COMMON_WORDS
from workers.speech.text.zh_net import ReadingNet
from workers.speech.text.zh_own import FULL_ER, OWN_CHARACTERS, SETTLED, THIRD_OF_THREE
from workers.speech.text.zh_own import OWN_WORDS as NAMED_WORDS
from workers.speech.text.zh_several import DOUBTFUL_ALONE, DOUBTFUL_WORDS, SEVERAL, UNTAUGHT
from workers.speech.text.zh_tones import Syllable, apply_sandhi
from workers.speech.text.zh_traditional import READINGS, simplified
from workers.speech.text.zh_words import Word, WordTable

# How much likelier than the sentence alone says: a reading of the large phrase list, and a character's own one.
_HINT_ODDS = 20.0
_OWN_ODDS = 3.0
# Below this share the network's choice is shown as doubtful. Right in 98 of 100 above it, in 2 of 3 below.
_SURE = 0.8
# A word of the large phrase list that the network did not confirm; see assets/g2p/make.py.
_UNSURE_MARK = " ?"
OWN_WORDS = {**NAMED_WORDS, **COMMON_WORDS}


@dataclass(frozen=True)
class _Choice:
    """The reading of one character. `doubts`: other readings it may have, empty when it is sure."""

    pinyin: str
    doubts: tuple[str, ...] = ()
    fixed: bool = False


class Chinese:
    """The Mandarin front end. Tables are read when the first sentence comes."""

    def __init__(self, folder: Path) -> None:
        """`folder`: assets/g2p."""
        self._folder = folder
        self._tables: tuple[WordTable, SortedLines] | None = None
        self._network: ReadingNet | None = None

    def read(self, aligned: Aligned, given: Mapping[int, str] | None = None) -> list[Unit]:
        """Units of one run of Chinese text (Han characters, digits and marks), in order.

        `given`: pinyin by place in `aligned.text`; said exactly so.
        """
        units: list[Unit] = []
        text = aligned.text
        position = 0
        while position < len(text):
            end = phrase_end(text, position)
            if end > position:
                units.extend(self._phrase(aligned, position, end, given or {}))
                position = end
                continue
            mark = punctuation.mark_of(text[position])
            if mark:
                start, stop = aligned.written(position, position + 1)
                units.append(Unit(mark, start, stop, is_word=False))
            position += 1
        return units

    def pinyin(self, phrase: str) -> list[str]:
        """The syllables of a phrase of Han characters after tone sandhi, for tests and for checking a script."""
        return [syllable.pinyin for syllable in self.syllables(phrase)]

    def words(self, phrase: str) -> list[str]:
        """The words of a phrase of Han characters, in order and without gaps."""
        cut = self._load()[0].segment(simplified(phrase))
        return [phrase[word.start : word.start + len(word.text)] for word in cut]

    def _phrase(self, aligned: Aligned, start: int, end: int, given: Mapping[int, str]) -> list[Unit]:
        units: list[Unit] = []
        syllables = self.syllables(aligned.text, start, end, given)
        index = 0
        while index < len(syllables):
            last = index
            while last + 1 < len(syllables) and syllables[last + 1].word == syllables[index].word:
                last += 1
            sounds = _word_symbols(syllables[index : last + 1])
            if sounds:
                written = aligned.written(start + index, start + last + 1)
                units.append(Unit(sounds, *written))
            index = last + 1
        return units

    def syllables(
        self, text: str, start: int = 0, end: int | None = None, given: Mapping[int, str] | None = None
    ) -> list[Syllable]:
        """The syllables of the phrase `text[start:end]`, one for each character, after tone sandhi.

        What stands around the phrase helps to choose; `given`: pinyin by place in `text`.
        """
        words, _ = self._load()
        written, text = text, simplified(text)
        phrase = "".join(
            numbers_zh.digits(character) if character.isdecimal() else character
            for character in text[start:end]
        )
        whole = text[:start] + phrase + (text[end:] if end is not None else "")
        segmented = _with_er(words.segment(phrase))
        seen = _Seen(self, whole, start)
        syllables: list[Syllable] = []
        for number, word in enumerate(segmented):
            around = Around(
                segmented[number - 1] if number else None,
                segmented[number + 1] if number + 1 < len(segmented) else None,
                phrase,
            )
            for place, choice in enumerate(self._choose(word, around, seen)):
                at = start + word.start + place
                own = (given or {}).get(at)
                if own is not None:
                    choice = _Choice(own, fixed=True)
                elif written[at] in READINGS and written[at] != text[at]:
                    choice = _Choice(READINGS[written[at]])
                syllables.append(
                    Syllable(
                        word.text[place],
                        choice.pinyin,
                        number,
                        place,
                        word.text,
                        word.tag,
                        choice.doubts,
                        choice.fixed,
                    )
                )
        if syllables and syllables[-1].character == "传" and text[start + len(phrase) :][:1] == "》":
            _name_a_life(syllables[-1])
        apply_sandhi(syllables)
        return syllables

    def _choose(self, word: Word, around: Around, seen: _Seen) -> list[_Choice]:
        ruled = in_context(word, around)
        if ruled:
            choices = [_Choice(pinyin) for pinyin in ruled]
        else:
            choices = self._parts(word, 0, len(word.text), seen)
            if len(word.text) == 3:
                choices[-1] = _Choice(
                    THIRD_OF_THREE.get(word.text[1:], choices[-1].pinyin), choices[-1].doubts
                )
            if len(word.text) > 2 and word.text.endswith("率"):
                choices[-1] = _Choice("lv4")  # 合格率
            measure = last_of_count(word, around)
            if measure:
                return [*choices[:-1], _Choice(measure)]
        if word.text in DOUBTFUL_WORDS:
            other = DOUBTFUL_WORDS[word.text].split()
            return [
                _Choice(choice.pinyin, (other[place],)) if other[place] != choice.pinyin else choice
                for place, choice in enumerate(choices)
            ]
        return choices

    def _parts(self, word: Word, start: int, end: int, seen: _Seen) -> list[_Choice]:
        """Readings of `word.text[start:end]`: the whole when it is listed, else its longest listed part first."""
        text = word.text[start:end]
        if not text:
            return []
        if len(text) == 1:
            return [self._character(word, start, seen)]
        if len(text) == 3 and text[0] == text[1] and text[2] == "地" and text not in OWN_WORDS:
            return [*self._parts(word, start, start + 2, seen), _Choice("de5")]  # 轻轻地 as one word
        listed = self._listed(text)
        if listed is not None:
            syllables, sure = listed
            return [
                _Choice(syllable) if sure else self._character(word, start + place, seen, hint=syllable)
                for place, syllable in enumerate(syllables)
            ]
        for size in range(len(text) - 1, 1, -1):
            for at in range(start, end - size + 1):
                if self._listed(word.text[at : at + size]) is not None:
                    return [
                        *self._parts(word, start, at, seen),
                        *self._parts(word, at, at + size, seen),
                        *self._parts(word, at + size, end, seen),
                    ]
        return [self._character(word, at, seen) for at in range(start, end)]

    def _listed(self, text: str) -> tuple[list[str], bool] | None:
        """The dictionary's syllables of exactly this word, and whether they are sure."""
        _, table = self._load()
        entry = OWN_WORDS.get(text) or table.get(text)
        if entry is None:
            return None
        sure = not entry.endswith(_UNSURE_MARK)
        syllables = entry.removesuffix(_UNSURE_MARK).split()
        return (syllables, sure) if len(syllables) == len(text) else None

    def _character(self, word: Word, place: int, seen: _Seen, hint: str = "") -> _Choice:
        """One character by the sentence around it. A character that no dictionary has gets an empty reading."""
        character = word.text[place]
        alone = len(word.text) == 1
        own = OWN_CHARACTERS.get(character) if alone else None
        options = SEVERAL.get(character)
        if options is None or (alone and character in SETTLED):
            default = (
                own
                or hint
                or (options or ("",))[0]
                or UNTAUGHT.get(character, ("",))[0]
                or OWN_CHARACTERS.get(character, "")
            )
            pinyin = default or self._load()[1].get(character) or ""
            doubtful = alone and character in DOUBTFUL_ALONE
            return _Choice(
                pinyin, tuple(r for r in UNTAUGHT.get(character, ()) if r != pinyin) if doubtful else ()
            )
        weights = seen.weigh(word.start + place, options)
        odds = [
            weight * (_HINT_ODDS if option == hint else _OWN_ODDS if option == own else 1.0)
            for weight, option in zip(weights, options, strict=True)
        ]
        best = max(range(len(options)), key=odds.__getitem__)
        sure = odds[best] >= _SURE * sum(odds)
        return _Choice(
            options[best], () if sure else tuple(option for option in options if option != options[best])
        )

    def _load(self) -> tuple[WordTable, SortedLines]:
        if self._tables is None:
            words = WordTable(SortedLines.from_file(self._folder / "zh_words.tsv.xz"), OWN_WORDS)
            self._tables = words, SortedLines.from_file(self._folder / "zh_readings.tsv.xz")
        return self._tables

    def net(self) -> ReadingNet:
        """The network, loaded when a character asks for it."""
        if self._network is None:
            self._network = ReadingNet(self._folder / "zh_net.npz")
        return self._network


class _Seen:
    """A sentence as the network sees it, looked at once and only when it is asked."""

    def __init__(self, front: Chinese, text: str, start: int) -> None:
        self._front = front
        self._text = text
        self._start = start
        self._rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None

    def weigh(self, place: int, options: tuple[str, ...]) -> list[float]:
        """Probabilities of `options` for the character at `place` of the phrase."""
        net = self._front.net()
        if self._rows is None:
            self._rows = net.look(self._text)
        return net.weigh(self._rows[self._start + place], options)


def _name_a_life(last: Syllable) -> None:
    """《射雕英雄传》: the last word of a title is a life told, unless it belongs to a word such as 遗传."""
    if last.word_text == "传" and not last.fixed:
        last.pinyin, last.doubts = "zhuan4", ()


def phrase_end(text: str, start: int) -> int:
    """Where the Han characters and digits that begin at `start` end."""
    end = start
    while end < len(text) and (is_han(text[end]) or text[end].isdecimal()):
        end += 1
    return end


def _with_er(words: list[Word]) -> list[Word]:
    """Hang a 儿 that was cut off back onto the word before it."""
    merged: list[Word] = []
    for word in words:
        if word.text == "儿" and merged and merged[-1].text + "儿" not in FULL_ER:
            merged[-1] = Word(merged[-1].text + "儿", merged[-1].start, merged[-1].tag)
        else:
            merged.append(word)
    return merged


def is_rhotic(syllables: list[Syllable], index: int) -> bool:
    """Whether `syllables[index]` is a 儿 that only colours the syllable before it."""
    syllable = syllables[index]
    return (
        syllable.character == "儿"
        and syllable.place > 0
        and not syllable.fixed
        and not any(whole in syllable.word_text for whole in FULL_ER)
    )


def _word_symbols(syllables: list[Syllable]) -> str:
    """Symbols of one word; 儿 colours the syllable before it unless the word needs it whole."""
    out = ""
    index = 0
    while index < len(syllables):
        syllable = syllables[index]
        index += 1
        if not syllable.pinyin:
            continue
        rhotic = index < len(syllables) and is_rhotic(syllables, index)
        out += zh_sounds.to_symbols(syllable.pinyin, rhotic=rhotic)
        index += rhotic
    return out
