"""Japanese text to Kokoro phonemes. Runs in the speech worker.

Flow: normalised text (numbers already in katakana) -> Janome's words with their pronunciation -> bunsetsu-like
groups (a content word with the particles and endings behind it) -> symbols, one unit per group.

Janome (Apache-2.0) carries the IPADIC dictionary in its wheel.
"""

from __future__ import annotations

from typing import Any

from workers.handler import TaskError
from workers.speech.text import ja_sounds, punctuation
from workers.speech.text.aligned import Aligned, Unit
from workers.speech.text.language import is_han, is_kana

# Words of these classes lean on the word before them.
_LEANING = (
    "助詞",
    "助動詞",
    "動詞,接尾",
    "動詞,非自立",
    "名詞,接尾",
    "名詞,非自立",
    "形容詞,非自立",
    "形容詞,接尾",
)
# IPADIC's first choice where another reading is the usual one in speech.
_OWN_READINGS = {
    "日本": "ニホン",
    "私": "ワタシ",
    "明日": "アシタ",
    "昨日": "キノー",
    "一人": "ヒトリ",
    "二人": "フタリ",
    "何": "ナニ",
}
# 何 is ナン before these sounds.
_NAN_BEFORE = ("ト", "ド", "ダ", "デ", "ノ", "ニ", "ナ", "ジ", "ニン", "カイ", "ネン", "バン", "ボン", "ガ")

# No word begins with these: the analyser cut inside one, as in ハ|ッパイ for 8杯.
_NEVER_FIRST = tuple("ッャュョァィゥェォー")


class Japanese:
    """The Japanese front end. The analyser is loaded when the first sentence comes (0.2 s, 80 MB)."""

    def __init__(self) -> None:
        self._tokenizer: Any = None

    def read(self, aligned: Aligned) -> list[Unit]:
        """Units of one run of Japanese text. Raises TaskError(model_missing) without the analyser."""
        units: list[Unit] = []
        text = aligned.text
        position = 0
        while position < len(text):
            end = position
            while end < len(text) and (is_han(text[end]) or is_kana(text[end])):
                end += 1
            if end > position:
                units.extend(self._phrase(aligned, position, end))
                position = end
                continue
            mark = punctuation.mark_of(text[position])
            if mark:
                start, stop = aligned.written(position, position + 1)
                units.append(Unit(mark, start, stop, is_word=False))
            position += 1
        return units

    def kana(self, phrase: str) -> list[str]:
        """Pronunciation of each word of a phrase in katakana, for tests."""
        return [pronunciation for _, pronunciation, _ in self._words(phrase)]

    def _phrase(self, aligned: Aligned, start: int, end: int) -> list[Unit]:
        groups: list[tuple[int, int, str]] = []
        position = start
        for surface, pronunciation, leans in self._words(aligned.text[start:end]):
            stop = position + len(surface)
            if groups and (leans or pronunciation.startswith(_NEVER_FIRST) or groups[-1][2].endswith("ッ")):
                first, _, before = groups[-1]
                groups[-1] = (first, stop, before + pronunciation)
            else:
                groups.append((position, stop, pronunciation))
            position = stop
        units = []
        for first, stop, pronunciation in groups:
            sounds = ja_sounds.to_symbols(pronunciation)
            if sounds:
                units.append(Unit(sounds, *aligned.written(first, stop)))
        return units

    def _words(self, phrase: str) -> list[tuple[str, str, bool]]:
        """(surface, pronunciation in katakana, leans on the word before) of each word."""
        tokens = list(self._load().tokenize(phrase))
        words = []
        for index, token in enumerate(tokens):
            following = tokens[index + 1].phonetic if index + 1 < len(tokens) else ""
            pronunciation = _OWN_READINGS.get(token.surface) or token.phonetic
            if token.surface == "何" and following.startswith(_NAN_BEFORE):
                pronunciation = "ナン"
            if pronunciation == "*":
                pronunciation = token.surface
            leans = token.part_of_speech.startswith(_LEANING) and not token.surface.startswith("ー")
            words.append((token.surface, ja_sounds.to_katakana(pronunciation), leans))
        return words

    def _load(self) -> Any:
        if self._tokenizer is None:
            try:
                from janome.tokenizer import Tokenizer  # type: ignore[import-untyped]
            except ImportError as error:
                raise TaskError(
                    "model_missing",
                    "Japanese needs the package janome. Run: pip install janome==0.5.0",
                    detail=repr(error),
                ) from error
            self._tokenizer = Tokenizer()
        return self._tokenizer
