"""Kana to Kokoro symbols. Pure functions; runs in the speech worker.

Source: the symbol set that Kokoro v1.0 was trained with for Japanese (misaki 0.7): ɯ after most consonants, ɨ
after sibilants and glides, ʲ for palatalised and ᵝ for lip-rounded consonants, ʔ for a doubled consonant, ː for
length, and ん written as what it sounds like before the next consonant.
"""

from __future__ import annotations

# One row per consonant, in the order a i u e o; "" where the kana does not exist.
_ROWS: dict[str, tuple[str, str, str, str, str]] = {
    "アイウエオ": ("a", "i", "ɯ", "e", "o"),
    "カキクケコ": ("ka", "kʲi", "kɯ", "ke", "ko"),
    "ガギグゲゴ": ("ɡa", "ɡʲi", "ɡɯ", "ɡe", "ɡo"),
    "サシスセソ": ("sa", "ɕi", "sɨ", "se", "so"),
    "ザジズゼゾ": ("ʣa", "ʥi", "zɨ", "ʣe", "ʣo"),
    "タチツテト": ("ta", "ʨi", "ʦɨ", "te", "to"),
    "ダヂヅデド": ("da", "ʥi", "zɨ", "de", "do"),
    "ナニヌネノ": ("na", "ɲi", "nɯ", "ne", "no"),
    "ハヒフヘホ": ("ha", "çi", "ɸɯ", "he", "ho"),
    "バビブベボ": ("ba", "bʲi", "bɯ", "be", "bo"),
    "パピプペポ": ("pa", "pʲi", "pɯ", "pe", "po"),
    "マミムメモ": ("ma", "mʲi", "mɯ", "me", "mo"),
    "ラリルレロ": ("ɾa", "ɾʲi", "ɾɯ", "ɾe", "ɾo"),
}
_SINGLE = {
    **{kana: sound for row, sounds in _ROWS.items() for kana, sound in zip(row, sounds, strict=True)},
    "ヤ": "ja", "ユ": "jɯ", "ヨ": "jo", "ワ": "βa", "ヰ": "i", "ヱ": "e", "ヲ": "o", "ヴ": "vɯ", "ヵ": "ka", "ヶ": "ke",
    "ヮ": "βa", "ァ": "a", "ィ": "i", "ゥ": "ɯ", "ェ": "e", "ォ": "o", "ャ": "ja", "ュ": "jɯ", "ョ": "jo",
}  # fmt: skip
# Consonant before a small kana, and the vowel each small kana gives.
_PALATAL = {
    "キ": "kʲ", "ギ": "ɡʲ", "シ": "ɕ", "ジ": "ʥ", "チ": "ʨ", "ヂ": "ʥ", "ニ": "ɲ", "ヒ": "ç", "ビ": "bʲ", "ピ": "pʲ", "ミ": "mʲ",
    "リ": "ɾʲ", "テ": "tʲ", "デ": "dʲ", "フ": "ɸʲ", "ヴ": "bʲ",
}  # fmt: skip
_GLIDES = {"ャ": "a", "ュ": "ɨ", "ョ": "o"}
_SMALL = {"ァ": "a", "ィ": "i", "ゥ": "ɯ", "ェ": "e", "ォ": "o"}
_BEFORE_SMALL = {
    "ウ": "β", "ク": "kᵝ", "グ": "ɡᵝ", "シ": "ɕ", "ジ": "ʥ", "チ": "ʨ", "ツ": "ʦ", "フ": "ɸ", "ヴ": "v", "キ": "kʲ", "ニ": "ɲ",
    "ヒ": "ç", "イ": "j", "テ": "t", "デ": "d", "ト": "t", "ド": "d", "ス": "s", "ズ": "z",
}  # fmt: skip
# These consonants take the palatal mark before a small ィ (ティ, フィ, ヴィ).
_SOFTENED = frozenset("tdɸvʦ")


def to_katakana(text: str) -> str:
    """Hiragana made katakana; everything else stays."""
    return "".join(chr(ord(c) + 0x60) if "\u3041" <= c <= "\u3096" else c for c in text)


def to_symbols(kana: str) -> str:
    """Symbols for a word in katakana (pronunciation spelling: ー for long vowels, ワ for the particle は)."""
    moras: list[str] = []
    index = 0
    while index < len(kana):
        pair = _pair(kana[index : index + 2])
        if pair is not None:
            moras.append(pair)
            index += 2
            continue
        moras.append(_mora(kana[index]))
        index += 1
    return "".join(_assimilate(moras))


def _pair(two: str) -> str | None:
    """The sound of a kana with a small one behind it, None when the two do not belong together."""
    if len(two) != 2:
        return None
    head, small = two[0], two[1]
    if small in _GLIDES and head in _PALATAL:
        return _PALATAL[head] + _GLIDES[small]
    if small in _SMALL and head in _BEFORE_SMALL:
        consonant = _BEFORE_SMALL[head]
        if small == "ィ" and consonant in _SOFTENED:
            consonant += "ʲ"
        return consonant + _SMALL[small]
    return None


def _mora(kana: str) -> str:
    if kana == "ー":
        return "ː"
    if kana == "ッ":
        return "ʔ"
    if kana == "ン":
        return "ン"  # decided by what follows
    return _SINGLE.get(kana, "")


def _assimilate(moras: list[str]) -> list[str]:
    """Give ン its sound before the next mora, and drop doubled-consonant marks at the end."""
    out = []
    for index, mora in enumerate(moras):
        following = next((other for other in moras[index + 1 :] if other), "")
        if mora == "ン":
            out.append(_nasal(following))
        elif mora == "ʔ" and (not following or following == "ン"):
            continue
        else:
            out.append(mora)
    return out


def _nasal(following: str) -> str:
    first = following[:1]
    if first and first in "mpb":
        return "m"
    if first and first in "kɡ":
        return "ŋ"
    if first and first in "ɲʨʥ":
        return "ɲ"
    if first and first in "ntdɾz":
        return "n"
    return "ɴ"
