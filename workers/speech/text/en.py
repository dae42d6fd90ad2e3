"""English words to Kokoro phonemes. Runs in the speech worker.

Flow: normalised text -> words and marks -> reading per word: fixed weak forms, dictionary (with a guess at the
word's use where the reading depends on it), regular endings, letter by letter for abbreviations, the
letter-to-sound network for the rest -> units with their written spans.

Source of the dictionary: misaki 0.9.4 (hexgrad, Apache-2.0), vendored under assets/g2p.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from workers.speech.text import en_sounds, punctuation
from workers.speech.text.aligned import Aligned, Unit
from workers.speech.text.en_net import LetterToSound
from workers.speech.text.en_use import guess_use
from workers.speech.text.lines import SortedLines

_TOKEN = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:'[A-Za-z\u00c0-\u024f]+)*'?|\d+|\.{2,}|\S")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Short words that people write in capitals to stress them; other short words in capitals are abbreviations.
_SHOUTED = frozenset(
    [
        "a",
        "all",
        "and",
        "any",
        "are",
        "be",
        "best",
        "big",
        "but",
        "buy",
        "can",
        "day",
        "did",
        "do",
        "does",
        "end",
        "ever",
        "for",
        "free",
        "get",
        "go",
        "good",
        "had",
        "has",
        "have",
        "he",
        "her",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "is",
        "its",
        "just",
        "let",
        "live",
        "love",
        "low",
        "me",
        "my",
        "new",
        "no",
        "not",
        "now",
        "of",
        "off",
        "oh",
        "old",
        "on",
        "one",
        "only",
        "or",
        "our",
        "out",
        "own",
        "real",
        "red",
        "run",
        "sale",
        "say",
        "see",
        "she",
        "so",
        "stop",
        "ten",
        "that",
        "the",
        "them",
        "then",
        "they",
        "this",
        "to",
        "too",
        "top",
        "try",
        "two",
        "up",
        "use",
        "very",
        "want",
        "was",
        "way",
        "we",
        "what",
        "when",
        "why",
        "will",
        "win",
        "with",
        "wow",
        "yes",
        "you",
        "your",
        "here",
        "more",
        "most",
        "never",
        "please",
        "thank",
        "thanks",
        "first",
        "last",
        "next",
        "must",
        "need",
        "open",
        "okay",
        "hello",
        "hi",
        "hey",
        "warning",
        "note",
    ]
)
# Names of the trade that no dictionary has and letter rules get wrong.
_OWN_USES = {
    "lead": "DEFAULT=lˈid;METAL=lˈɛd", "bass": "DEFAULT=bˈAs;FISH=bˈæs", "resume": "DEFAULT=ɹəzˈum;NOUN=ɹˈɛzəmˌA",
    "row": "DEFAULT=ɹˈO;QUARREL=ɹˈW",
}  # fmt: skip
_OWN_WORDS = {
    "wifi": "wˈIfˌI", "json": "ʤˈAsᵊn", "linux": "lˈɪnəks", "ios": "ˌIˌOˈɛs", "kubernetes": "kˌubəɹnˈɛTiz",
    "sql": "sˈikwəl", "jpeg": "ʤˈApɛɡ", "gif": "ɡˈɪf", "ubuntu": "ʊbˈʊntu", "nginx": "ˈɛnʤɪnˌɛks",
    "deepseek": "dˈipsˌik", "openai": "ˈOpənˌAˈI", "nvidia": "ɛnvˈɪdiə", "cuda": "kˈudə", "tiktok": "tˈɪktˌɑk",
    "kokoro": "kˈOkəɹˌO", "ffmpeg": "ˌɛfˌɛfˈɛmpɛɡ", "ai": "ˌAˈI",
}  # fmt: skip
_MAX_ACRONYM = 5


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int


class English:
    """One accent. The dictionary is read when the first word comes."""

    def __init__(self, folder: Path, *, british: bool = False) -> None:
        """`folder`: assets/g2p."""
        self._folder = folder
        self._british = british
        self._lexicon: SortedLines | None = None
        self._net: LetterToSound | None = None

    def read(self, aligned: Aligned) -> list[Unit]:
        """Units of one run of English text, in order."""
        tokens = [_Token(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(aligned.text)]
        shouting = _is_shouting(tokens)
        readings: list[str | None] = [None] * len(tokens)
        for index in range(len(tokens) - 1, -1, -1):  # backwards: "the" and "to" listen to what follows
            if tokens[index].text[0].isalpha():
                readings[index] = self._word(tokens, readings, index, shouting)
        units: list[Unit] = []
        open_quote = False
        for index, token in enumerate(tokens):
            start, end = aligned.written(token.start, token.end)
            sounds = readings[index]
            glued = index > 0 and tokens[index - 1].text == "-" and tokens[index - 1].end == token.start
            if sounds:
                units.append(Unit(en_sounds.for_model(sounds), start, end, glued=glued))
                continue
            mark, open_quote = _mark(aligned.text, token, open_quote)
            if mark:
                units.append(Unit(mark, start, end, is_word=False))
        return units

    def word(self, text: str) -> str:
        """The reading of one word by itself."""
        token = _Token(text, 0, len(text))
        return en_sounds.for_model(self._word([token], [None], 0, shouting=False))

    def _word(self, tokens: list[_Token], readings: list[str | None], index: int, shouting: bool) -> str:
        token = tokens[index]
        word = token.text.rstrip("'")
        following = next((sounds for sounds in readings[index + 1 : index + 2] if sounds), None)
        weak = self._weak_form(word, index, following)
        if weak is not None:
            return weak
        if word.lower() in _OWN_WORDS:
            return _OWN_WORDS[word.lower()]
        if self._is_acronym(word, shouting):
            return self._acronym(word)
        words = [other.text.lower() if other.text[0].isalpha() else "" for other in tokens]
        use = guess_use(words, index)
        final = following is None
        found = self._look_up(word, use, final)
        if found is not None:
            return found
        return self._unknown(word)

    def _weak_form(self, word: str, index: int, following: str | None) -> str | None:
        """Words whose sound hangs on the next one."""
        before_vowel = following is not None and en_sounds.starts_with_vowel(following)
        lower = word.lower()
        if lower == "the":
            return "ði" if before_vowel else "ðə"
        if word == "a" or (word == "A" and index == 0 and following is not None):
            return "ɐ"
        if lower == "an":
            return "ɐn"
        if lower == "to" and following is not None:
            return "tʊ" if before_vowel else "tə"
        if word == "I":
            return "ˌI"
        if lower == "in":
            return "ɪn" if following is not None else "ˈɪn"
        return None

    def _is_acronym(self, word: str, shouting: bool) -> bool:
        if len(word) == 1:
            return word.isupper()
        body = word[:-2] if word.endswith("'s") else word.rstrip("s") if word[:-1].isupper() else word
        if not body.isupper() or not body.isascii() or len(body) > _MAX_ACRONYM or not body.isalpha():
            return False
        known = self._entry(body)
        if known is not None and "=" not in known:
            return (
                False  # "NASA", "AIDS": the dictionary has it in capitals; "US" and "IT" it only has as words
            )
        lower = body.lower()
        if shouting or lower in _SHOUTED:
            return self._entry(lower) is None
        # Four letters that make a word are a word in capitals; three or two are more often letters.
        return not (len(body) >= 4 and self._entry(lower) is not None)

    def _acronym(self, word: str) -> str:
        suffix = word.endswith("'s") or (word[-1] == "s" and word[:-1].isupper() and len(word) > 1)
        body = word[:-2] if word.endswith("'s") else word[:-1] if suffix else word
        sounds = en_sounds.spell_out(body, british=self._british)
        return en_sounds.plural(sounds, british=self._british) if suffix else sounds

    def _entry(self, word: str) -> str | None:
        if self._lexicon is None:
            accent = "gb" if self._british else "us"
            self._lexicon = SortedLines.from_file(self._folder / f"en_{accent}.tsv.xz")
        return self._lexicon.get(word)

    def _dictionary(self, word: str, use: str, final: bool) -> str | None:
        """The entry of exactly this spelling, else of its lower-case or capitalised twin."""
        for spelling in dict.fromkeys((word, word.lower(), word.capitalize())):
            entry = _OWN_USES.get(spelling) or self._entry(spelling)
            if entry is None:
                continue
            if "=" not in entry:
                return entry
            variants = dict(part.split("=", 1) for part in entry.split(";"))
            if final and "None" in variants:
                return variants["None"]
            return variants.get(use) or variants.get("DEFAULT")
        return None

    def _look_up(self, word: str, use: str, final: bool) -> str | None:
        """Dictionary first, then the regular endings on a stem that the dictionary has."""
        plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
        for spelling in dict.fromkeys((word, plain)):
            found = self._dictionary(spelling, use, final)
            if found is not None:
                return found
        british = self._british
        lower = plain.lower()
        endings = (
            ("'s", ("",), en_sounds.plural), ("ies", ("y",), en_sounds.plural), ("es", ("",), en_sounds.plural),
            ("s", ("",), en_sounds.plural), ("ied", ("y",), en_sounds.past), ("ed", ("", "e"), en_sounds.past),
            ("ing", ("", "e"), en_sounds.progressive),
        )  # fmt: skip
        for ending, replacements, inflect in endings:
            if not lower.endswith(ending) or len(lower) < len(ending) + 3:
                continue
            stem = plain[: -len(ending)]
            candidates = [stem + replacement for replacement in replacements]
            if ending in {"ed", "ing"} and len(stem) > 3 and stem[-1] == stem[-2]:
                candidates.append(stem[:-1])
            for candidate in candidates:
                sounds = self._dictionary(candidate, use, False)
                if sounds:
                    return inflect(sounds, british=british)
        return None

    def _unknown(self, word: str) -> str:
        """Not in the dictionary: known parts of CamelCase, else the network."""
        if word.lower().endswith("'s") and len(word) > 2:
            return en_sounds.plural(self._unknown(word[:-2]), british=self._british)
        plain = "".join(c for c in unicodedata.normalize("NFKD", word) if c.isascii() and c.isalpha())
        parts = _CAMEL.findall(plain)
        if len(parts) > 1 and "".join(parts) == plain and any(part[0].isupper() for part in parts[1:]):
            sounds = [self._part(part) for part in parts]
            return sounds[0] + "".join(f" {sound}" for sound in sounds[1:])
        if not plain:
            return ""
        if not re.search(r"[aeiouyAEIOUY]", plain):
            return en_sounds.spell_out(plain, british=self._british)
        if self._net is None:
            self._net = LetterToSound(self._folder / "en_net.npz")
        return en_sounds.from_arpabet(self._net.phones(plain), british=self._british)

    def guesses(self, aligned: Aligned) -> list[tuple[int, int]]:
        """Places in `aligned.text` of the words that no dictionary has and the network reads."""
        tokens = [_Token(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(aligned.text)]
        shouting = _is_shouting(tokens)
        return [
            (token.start, token.end)
            for token in tokens
            if token.text[0].isalpha() and not self._is_known(token.text, shouting)
        ]

    def _is_known(self, word: str, shouting: bool) -> bool:
        """Whether a word is read by a dictionary, by regular endings or letter by letter."""
        word = word.rstrip("'")
        if (
            word.lower() in _OWN_WORDS
            or self._is_acronym(word, shouting)
            or self._look_up(word, "DEFAULT", False)
        ):
            return True
        if not re.search(r"[aeiouyAEIOUY]", word):
            return True
        parts = _CAMEL.findall(word)
        return len(parts) > 1 and all(len(part) == 1 or self._is_known(part, shouting) for part in parts)

    def _part(self, part: str) -> str:
        if len(part) == 1 or (part.isupper() and self._is_acronym(part, shouting=False)):
            return en_sounds.spell_out(part, british=self._british)
        return self._look_up(part, "DEFAULT", False) or self._unknown(part.lower())


def _is_shouting(tokens: list[_Token]) -> bool:
    """Whether the whole run is in capitals, so that capitals say nothing about a single word."""
    words = [token.text for token in tokens if token.text[0].isalpha() and len(token.text) > 1]
    return len(words) > 2 and sum(word.isupper() for word in words) > 0.8 * len(words)


def _mark(text: str, token: _Token, open_quote: bool) -> tuple[str | None, bool]:
    """The model's mark for a punctuation token, and whether a straight quote is now open."""
    if token.text == '"':
        return ("”" if open_quote else "“"), not open_quote
    if token.text[0] == "." and len(token.text) > 1:
        return "…", open_quote
    if token.text == "-":
        spaced = text[token.start - 1 : token.start].isspace() or text[token.end : token.end + 1].isspace()
        return ("—" if spaced and token.start else None), open_quote
    return punctuation.mark_of(token.text), open_quote
