"""Which language a script, a sentence and each run inside it is in. Runs in the speech worker.

Flow: characters -> script class (Han, kana, Latin) -> the language of the whole -> runs that one front end reads.
"""

from __future__ import annotations

import re
from typing import Literal

from workers.speech.text import addresses

Language = Literal["zh", "en", "ja"]
LANGUAGES: tuple[Language, ...] = ("zh", "en", "ja")

# A script is Japanese when at least this share of its Han and kana characters is kana: a stray の in a Chinese
# shop sign stays Chinese, and Japanese prose has far more kana than this.
_KANA_SHARE = 0.12
# One Han character says about as much as this many Latin letters, so "我爱 Python 编程" counts as Chinese.
_HAN_WEIGHT = 4
_NUMBER = re.compile(r"\d[\d.,:]*")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")


def is_han(character: str) -> bool:
    """CJK ideographs, the iteration mark and the ideographic zero."""
    return (
        "\u4e00" <= character <= "\u9fff"
        or "\u3400" <= character <= "\u4dbf"
        or character in "々〇"
        or "\U00020000" <= character <= "\U000323af"
    )


def is_kana(character: str) -> bool:
    """Hiragana and katakana, the long-vowel mark included."""
    return "\u3041" <= character <= "\u3096" or "\u30a1" <= character <= "\u30fa" or character == "ー"


def is_latin(character: str) -> bool:
    """Letters of the Latin alphabet, accented ones included."""
    return (character.isascii() and character.isalpha()) or "\u00c0" <= character <= "\u024f"


def _counts(text: str) -> tuple[int, int, int]:
    han = sum(map(is_han, text))
    kana = sum(map(is_kana, text))
    if kana and kana == text.count("の") and han > 2:
        kana = 0  # 鲜の每日: Chinese shop signs like this one kana
    latin = sum(map(is_latin, text))
    if latin and (han or kana):
        # An address is no language: 邮箱test@qq.com is Chinese however long the address.
        latin -= sum(sum(map(is_latin, text[start:end])) for start, end in addresses.spans(text).items())
    return han, kana, latin


def detect(text: str, default: Language = "en") -> Language:
    """The language of a whole script; `default` when it has no letters at all."""
    han, kana, latin = _counts(text)
    if not han and not kana:
        return "en" if latin else default
    if kana and kana >= _KANA_SHARE * (han + kana):
        return "ja" if _HAN_WEIGHT * (han + kana) >= latin else "en"
    return "zh" if _HAN_WEIGHT * han >= latin else "en"


def _is_figures(sentence: str) -> bool:
    """Whether numbers stand in a sentence at least as often as Latin words: 3.14，25℃，iPhone15."""
    return len(_NUMBER.findall(sentence)) >= max(len(_LATIN_WORD.findall(sentence)), 1)


def of_sentence(sentence: str, script: Language, *, fixed: bool) -> Language:
    """The language that reads a sentence's numbers and sets its melody.

    `fixed`: the user named the language of the script. Then a sentence of Latin letters alone is still English,
    but Han characters never turn a Japanese script into Chinese or the other way round.
    """
    han, kana, latin = _counts(sentence)
    if not han and not kana:
        return "en" if latin and script != "en" and not fixed and not _is_figures(sentence) else script
    if script == "en":
        own = detect(sentence, script)
        return own if not fixed else script
    if kana and not fixed:
        return detect(sentence, script)
    return script
