"""English sound rules: letter names, endings, stress, ARPABET to Kokoro symbols. Pure; runs in the speech worker.

Source: the symbol set is misaki's English phoneme set (A I O W Y Q are diphthongs, ʤ ʧ affricates, T the flapped
t, ᵊ a very short schwa); the endings are the regular rules of English morphology (Wiktionary, -s and -ed).
"""

from __future__ import annotations

PRIMARY, SECONDARY = "ˈ", "ˌ"
VOWELS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻɐᵊ")
_LETTER_NAMES = {
    "A": "ˈA", "B": "bˈi", "C": "sˈi", "D": "dˈi", "E": "ˈi", "F": "ˈɛf", "G": "ʤˈi", "H": "ˈAʧ", "I": "ˈI",
    "J": "ʤˈA", "K": "kˈA", "L": "ˈɛl", "M": "ˈɛm", "N": "ˈɛn", "O": "ˈO", "P": "pˈi", "Q": "kjˈu", "R": "ˈɑɹ",
    "S": "ˈɛs", "T": "tˈi", "U": "jˈu", "V": "vˈi", "W": "dˈʌbᵊlju", "X": "ˈɛks", "Y": "wˈI", "Z": "zˈi",
}  # fmt: skip
_BRITISH_LETTERS = {"O": "ˈQ", "R": "ˈɑː", "Z": "zˈɛd", "W": "dˈʌbᵊljuː"}
_ARPABET = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O", "OY": "Y", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_REDUCED = {"AH": "ə", "ER": "əɹ"}
_STRESS_MARKS = {"1": PRIMARY, "2": SECONDARY}
_VOICELESS = frozenset("ptkfθ")
_SIBILANTS = frozenset("szʃʒʧʤ")
_FLAP_AFTER = frozenset("AIOWYiuæɑəɛɪɹʊʌ")


def letter_name(letter: str, *, british: bool) -> str:
    """How one letter A to Z is called."""
    if british:
        if letter in _BRITISH_LETTERS:
            return _BRITISH_LETTERS[letter]
        name = _LETTER_NAMES[letter]
        return name + "ː" if name[-1] in "iu" else name
    return _LETTER_NAMES[letter]


def spell_out(letters: str, *, british: bool) -> str:
    """An abbreviation letter by letter; the last letter carries the stress, as in "U S A"."""
    names = [
        letter_name(letter, british=british) for letter in letters.upper() if letter.upper() in _LETTER_NAMES
    ]
    return "".join(name.replace(PRIMARY, SECONDARY) for name in names[:-1]) + "".join(names[-1:])


def from_arpabet(phones: list[str], *, british: bool) -> str:
    """Kokoro symbols for ARPABET phones with stress digits."""
    out = ""
    for phone in phones:
        base, stress = (phone[:-1], phone[-1]) if phone[-1].isdigit() else (phone, "")
        sound = _REDUCED[base] if stress == "0" and base in _REDUCED else _ARPABET[base]
        out += _STRESS_MARKS.get(stress, "") + sound
    return _to_british(out) if british else out


def _to_british(sounds: str) -> str:
    """A rough received pronunciation of an American word: no r before consonants, long vowels, rounded lot."""
    out = ""
    for index, sound in enumerate(sounds):
        following = sounds[index + 1 : index + 3].lstrip(PRIMARY + SECONDARY)[:1]
        if sound == "ɹ" and following not in VOWELS and out and out[-1] in VOWELS | {"ː"}:
            if out[-1] in "ɑɔɜ":
                out += "ː"
            continue
        if sound == "ɑ" and following != "ɹ":
            out += "ɒ"
        elif sound == "ɔ" and following != "ɹ":
            out += "ɔː"
        else:
            out += {"O": "Q", "æ": "a", "i": "iː" if index < len(sounds) - 1 else "i", "u": "uː"}.get(
                sound, sound
            )
    return out


def plural(stem: str, *, british: bool) -> str:
    """The sound of -s, -es and 's."""
    if stem[-1] in _VOICELESS:
        return stem + "s"
    if stem[-1] in _SIBILANTS:
        return stem + ("ɪz" if british else "ᵻz")
    return stem + "z"


def past(stem: str, *, british: bool) -> str:
    """The sound of -ed."""
    if stem[-1] in "pkfθʃsʧ":
        return stem + "t"
    if stem[-1] == "d":
        return stem + ("ɪd" if british else "ᵻd")
    if stem[-1] == "t":
        if british:
            return stem + "ɪd"
        flapped = len(stem) > 1 and stem[-2] in _FLAP_AFTER
        return (stem[:-1] + "ɾᵻd") if flapped else stem + "ᵻd"
    return stem + "d"


def progressive(stem: str, *, british: bool) -> str:
    """The sound of -ing."""
    if not british and stem[-1] == "t" and len(stem) > 1 and stem[-2] in _FLAP_AFTER:
        return stem[:-1] + "ɾɪŋ"
    return stem + ("ɹɪŋ" if british and stem[-1] in "əː" else "ɪŋ")


def weaken(sounds: str) -> str:
    """The second part of a compound: its main stress becomes a side stress."""
    return sounds.replace(SECONDARY, "").replace(PRIMARY, SECONDARY)


def starts_with_vowel(sounds: str) -> bool:
    """Whether the first sound is a vowel (stress marks aside)."""
    return sounds.lstrip(PRIMARY + SECONDARY)[:1] in VOWELS


def for_model(sounds: str) -> str:
    """Kokoro v1.0 was trained with T for the flap and without the glottal stop."""
    return sounds.replace("ɾ", "T").replace("ʔ", "t")
