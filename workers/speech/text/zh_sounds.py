"""Pinyin syllables to Kokoro symbols. Pure functions; runs in the speech worker.

Source: the table is the phonology of Standard Chinese (Duanmu 2007; Lin 2007) in the spelling that Kokoro v1.0
was trained with: ʦ ʨ ꭧ for the affricates, ʰ for aspiration, ɨ for the "buzzed" i of zhi and zi, and the four
tones as → ↗ ↓ ↘ behind the vowel; a neutral tone has no mark.
"""

from __future__ import annotations

_INITIALS = {
    "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n",
    "l": "l", "g": "k", "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
}  # fmt: skip
# final -> (before the tone mark, after the tone mark)
_FINALS = {
    "a": ("a", ""), "ai": ("ai", ""), "an": ("a", "n"), "ang": ("a", "ŋ"), "ao": ("au", ""), "e": ("ɤ", ""),
    "ei": ("ei", ""), "en": ("ə", "n"), "eng": ("ə", "ŋ"), "i": ("i", ""), "ia": ("ja", ""), "ian": ("jɛ", "n"),
    "iang": ("ja", "ŋ"), "iao": ("jau", ""), "ie": ("je", ""), "in": ("i", "n"), "ing": ("i", "ŋ"),
    "iong": ("jʊ", "ŋ"), "iou": ("jou", ""), "ong": ("ʊ", "ŋ"), "ou": ("ou", ""), "u": ("u", ""), "ua": ("wa", ""),
    "uai": ("wai", ""), "uan": ("wa", "n"), "uang": ("wa", "ŋ"), "uei": ("wei", ""), "uen": ("wə", "n"),
    "ueng": ("wə", "ŋ"), "uo": ("wo", ""), "ü": ("y", ""), "üan": ("ɥɛ", "n"), "üe": ("ɥe", ""), "ün": ("y", "n"),
}  # fmt: skip
_WHOLE = {"er": ("ɚ", ""), "o": ("ɔ", ""), "io": ("jɔ", ""), "m": ("m", ""), "n": ("n", ""), "ng": ("ŋ", ""),
          "hm": ("hm", ""), "hng": ("hŋ", ""), "ê": ("ɛ", "")}  # fmt: skip
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_RETROFLEX_OR_DENTAL = frozenset(("zh", "ch", "sh", "r", "z", "c", "s"))


def split_syllable(syllable: str) -> tuple[str, str, str]:
    """ "zhuang4" -> ("zh", "uang", "4"), spelling rules undone: ju -> j ü, wo -> uo, you -> iou, dui -> d uei.

    Raises ValueError for what is not a pinyin syllable with a tone digit 1 to 5.
    """
    if not syllable or syllable[-1] not in _TONES:
        raise ValueError(f"no tone in {syllable!r}")
    body, tone = syllable[:-1].replace("v", "ü").replace("u:", "ü"), syllable[-1]
    if body in _WHOLE:
        return "", body, tone
    initial = next((name for name in _INITIALS if body.startswith(name)), "")
    final = body[len(initial) :]
    if not initial and final[:1] == "y":
        rest = final[1:]
        if rest[:1] == "u":
            final = "ü" + rest[1:]
        elif rest[:1] == "i":
            final = rest
        else:
            final = "i" + rest
    elif not initial and final[:1] == "w":
        final = final[1:] if final == "wu" else "u" + final[1:]
    elif initial in {"j", "q", "x"} and final[:1] == "u":
        final = "ü" + final[1:]
    final = {"iu": "iou", "ui": "uei", "un": "uen"}.get(final, final)
    if final == "o" and initial:
        final = "uo"
    if final == "ue" and initial in {"n", "l"}:
        final = "üe"
    if final not in _FINALS:
        raise ValueError(f"not a syllable: {syllable!r}")
    return initial, final, tone


def to_symbols(syllable: str, *, rhotic: bool = False) -> str:
    """Kokoro symbols of one syllable such as "hao3". `rhotic`: with the r of 儿 hung on (erhua).

    Raises ValueError for what is not a syllable.
    """
    initial, final, tone = split_syllable(syllable)
    mark = _TONES[tone]
    if final in _WHOLE and not initial:
        nucleus, coda = _WHOLE[final]
        return nucleus + mark + coda
    if final == "i" and initial in _RETROFLEX_OR_DENTAL:
        nucleus, coda = "ɨ", ""
    else:
        nucleus, coda = _FINALS[final]
    if rhotic:
        # n and the i of ai, ei drop out before the r; i and ü keep their vowel with a schwa behind it.
        if coda == "n" or nucleus.endswith(("ai", "ei")):
            nucleus, coda = nucleus.removesuffix("i") if not coda else nucleus, ""
        if nucleus in {"i", "y"}:
            nucleus += "ə"
        elif nucleus == "ɨ":
            nucleus = "ə"
        coda += "ɻ"
    return _INITIALS.get(initial, "") + nucleus + mark + coda
