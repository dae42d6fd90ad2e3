"""A guess at how an English word is used: as a noun, a verb, an adjective. Runs in the speech worker.

Flow: the words of a phrase in lower case -> one tag of the dictionary's variants. Only some 400 words depend on
it ("record", "use", "close", "read"), so a few neighbours decide; a tagger would cost more than the whole voice.
"""

from __future__ import annotations

_DETERMINERS = frozenset(
    [
        "the",
        "a",
        "an",
        "this",
        "that",
        "these",
        "those",
        "my",
        "your",
        "his",
        "her",
        "its",
        "our",
        "their",
        "some",
        "any",
        "no",
        "every",
        "each",
        "another",
        "much",
        "many",
        "more",
        "first",
        "last",
        "next",
        "new",
        "old",
        "good",
        "best",
        "high",
        "full",
        "daily",
        "such",
        "what",
        "which",
        "one",
        "two",
        "three",
        "four",
        "five",
    ]
)
_PREPOSITIONS = frozenset(
    [
        "of",
        "in",
        "on",
        "at",
        "by",
        "for",
        "with",
        "from",
        "into",
        "about",
        "over",
        "under",
        "as",
        "than",
        "without",
        "through",
    ]
)
_BEFORE_VERB = frozenset(
    [
        "to",
        "will",
        "would",
        "can",
        "could",
        "should",
        "shall",
        "may",
        "might",
        "must",
        "do",
        "does",
        "did",
        "don't",
        "doesn't",
        "didn't",
        "can't",
        "cannot",
        "won't",
        "wouldn't",
        "couldn't",
        "shouldn't",
        "let's",
        "please",
        "not",
        "never",
        "always",
        "often",
        "i'll",
        "you'll",
        "we'll",
        "they'll",
        "he'll",
        "she'll",
        "it'll",
        "i'd",
        "you'd",
        "we'd",
        "they'd",
        "help",
        "helps",
        "and-then",
    ]
)
_SUBJECTS = frozenset(["i", "you", "we", "they", "who", "people"])
_SINGULAR_SUBJECTS = frozenset(["he", "she", "it", "that", "which", "who"])
_BE = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "am",
        "i'm",
        "you're",
        "we're",
        "they're",
        "he's",
        "she's",
        "it's",
        "isn't",
        "aren't",
        "very",
        "so",
        "too",
    ]
)
_HAVE = frozenset(["have", "has", "had", "having", "i've", "you've", "we've", "they've"])
_PAST_HINTS = frozenset(["yesterday", "ago", "last", "earlier", "once", "already"])


def guess_use(words: list[str], index: int) -> str:
    """One of NOUN, VERB, ADJ, VBD, VBN, DEFAULT for `words[index]`; all words in lower case."""
    word = words[index]
    before = words[index - 1] if index else ""
    after = words[index + 1] if index + 1 < len(words) else ""
    if word == "used":
        return "VBD" if after == "to" and before not in _BE else "DEFAULT"
    if word == "that":
        return "DT" if not after.isalpha() else "DEFAULT"
    if word in {"read", "reread"}:
        return _use_of_read(words, index, before)
    if word == "wound":
        return "VBD" if before in _SUBJECTS | _SINGULAR_SUBJECTS else "DEFAULT"
    if word == "close":
        return (
            "VERB"
            if before in _BEFORE_VERB | _SUBJECTS or (not before and after in _DETERMINERS)
            else "DEFAULT"
        )
    if word in {"lead", "leads"}:
        return _use_of_lead(words, index, before, after)
    if word == "bass":
        return "FISH" if _FISHING & set(words) else "DEFAULT"
    if word == "live":
        return "VERB" if before in _BEFORE_VERB | _SUBJECTS else "DEFAULT"
    if before in _BEFORE_VERB or before in _SUBJECTS:
        return "VERB"
    if (
        before in {"us", "me", "him", "them"}
        and index > 1
        and words[index - 2] in {"let", "make", "help", "made", "helped"}
    ):
        return "VERB"
    if before in _SINGULAR_SUBJECTS and word.endswith("s"):
        return "VERB"
    if before in _DETERMINERS or before in _PREPOSITIONS:
        return "NOUN"
    if before in _BE:
        return "ADJ"
    if not before and after in _DETERMINERS | frozenset({"it", "them", "us", "me", "him"}):
        return "VERB"  # an order: "Record a short video."
    if before == "and" and after in _DETERMINERS:
        return "VERB"
    return "DEFAULT"


_FISHING = frozenset(
    {"fish", "fishing", "caught", "sea", "lake", "largemouth", "striped", "river", "grilled", "fillet"}
)
_METAL = frozenset(
    {
        "pipe",
        "pipes",
        "paint",
        "metal",
        "poisoning",
        "acid",
        "battery",
        "bullet",
        "bullets",
        "weight",
        "weights",
        "pencil",
    }
)


def _use_of_lead(words: list[str], index: int, before: str, after: str) -> str:
    """The metal, said "led": made of lead, a lead pipe."""
    made = (
        before == "of"
        and index > 1
        and words[index - 2] in {"made", "pound", "pounds", "ton", "tons", "piece", "amount", "full"}
    )
    if (
        made
        or after in _METAL
        or (before in {"contain", "contains", "heavy", "as", "molten", "toxic"} and not after)
    ):
        return "METAL"
    return "VERB" if before in _BEFORE_VERB else "DEFAULT"


def _use_of_read(words: list[str], index: int, before: str) -> str:
    """ "I have read it", "she read it yesterday" against "I read every day"."""
    if before in _HAVE or before in _BE or (before in {"already", "just", "never"} and index > 1):
        return "VBN"
    if before in {"he", "she", "it"}:
        return "VBD"
    if before in _SUBJECTS and _PAST_HINTS & set(words[index + 1 :]):
        return "VBD"
    return "DEFAULT"
