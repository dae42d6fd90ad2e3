"""Cutting a script into sentences, and long sentences into pieces. Runs in the speech worker.

Flow: the script as written -> spans. The spans cover every character that is not white space, in order and
without overlap; a number, an abbreviation or a quoted sentence's closing mark is never torn off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from workers.speech.text import addresses
from workers.speech.text.language import is_han, is_kana

# Spoken length is estimated in model tokens: a Han character or kana becomes about 5 symbols with its space, a
# digit is read as a word, anything else is about one symbol.
_HAN_TOKENS = 5.0
_DIGIT_TOKENS = 4.0
_OTHER_TOKENS = 1.1
# Less than half of what the model takes (508): past this its pace starts to wobble and memory grows with the
# length (measured 405 MB for 10 s, 560 MB for 16 s). This is about 13 s of speech.
MAX_SENTENCE_TOKENS = 220.0
# A piece cut out of a long sentence should not be shorter than this share of the limit.
_MIN_SHARE = 0.35

_HARD_STOPS = "。！？!?…‼⁇⁈⁉｡．"
_CLOSERS = "\"'”’」』）)】］]》〉»＂＇"
_SOFT_STOPS = "，,、；;：:—–"
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "sr",
        "jr",
        "st",
        "rev",
        "gen",
        "sen",
        "rep",
        "gov",
        "capt",
        "col",
        "lt",
        "sgt",
        "hon",
        "pres",
        "vs",
        "etc",
        "approx",
        "dept",
        "est",
        "fig",
        "figs",
        "no",
        "nos",
        "vol",
        "pp",
        "ed",
        "eds",
        "inc",
        "ltd",
        "co",
        "corp",
        "ave",
        "blvd",
        "rd",
        "mt",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
        "e.g",
        "i.e",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
        "u.n",
        "ph.d",
        "b.a",
        "m.a",
        "cf",
        "al",
        "min",
        "max",
    ]
)
# These do end sentences as often as not: the next word decides.
_MAY_END = frozenset(
    [
        "etc",
        "inc",
        "ltd",
        "co",
        "corp",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
        "u.n",
        "ph.d",
        "b.a",
        "m.a",
        "al",
        "st",
        "no",
        "min",
        "max",
    ]
)
# Names that end in a mark: what follows in lower case still speaks of them.
_MARKED_NAME = re.compile(r"\b(?:Yahoo|Yum|Jeopardy|Joomla|Kahoot|Guess|Oklahoma|Jumbo|Panic)\Z")
_COMPANY_FORM = re.compile(r"(?:Inc|Corp|Ltd|LLC|Co|Group|Holdings|Brands|Japan)\b")
# How far behind a mark the next word may be: more white space than this is a gap, not a space.
_NEAR = 12
_WORD_BEFORE = re.compile(r"[A-Za-z][A-Za-z.]*\Z")


@dataclass(frozen=True)
class Sentence:
    """Characters `start:end` of a script. `complete`: False for a piece of a longer sentence that goes on."""

    start: int
    end: int
    complete: bool = True


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of `text` in order, white space at their ends left out, none empty."""
    spans: list[Sentence] = []
    start = 0
    position = 0
    web = addresses.spans(text)
    while position < len(text):
        if position in web:
            position = web[position]  # no mark inside an address ends anything
            continue
        end = _sentence_end(text, start, position)
        if end is None:
            position += 1
            continue
        if _goes_on(text, position, end):
            position = end
            continue
        spans.extend(_pieces(text, start, end))
        start = position = end
    spans.extend(_pieces(text, start, len(text)))
    return spans


def token_estimate(text: str) -> float:
    """About how many model tokens `text` will need."""
    return sum(map(_tokens_of, text))


def _tokens_of(character: str) -> float:
    if is_han(character) or is_kana(character):
        return _HAN_TOKENS
    if character.isdigit():
        return _DIGIT_TOKENS
    return 1.0 if character.isspace() else _OTHER_TOKENS


def _is_too_long(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` passes the limit; looks no further than needed, so cutting stays linear."""
    total = 0.0
    for position in range(start, end):
        total += _tokens_of(text[position])
        if total > MAX_SENTENCE_TOKENS:
            return True
    return False


def _sentence_end(text: str, start: int, position: int) -> int | None:
    """Where the sentence ends if `text[position]` ends it, None if it does not."""
    character = text[position]
    if character in "\n\r\u2028\u2029":
        return position + 1
    if character in _HARD_STOPS:
        return _after_closers(text, position + 1)
    if character == "." and _is_full_stop(text, start, position):
        return _after_closers(text, position + 1)
    return None


def _goes_on(text: str, stop: int, end: int) -> bool:
    """Whether the sentence continues past the mark at `stop` and the quotes behind it, which end at `end`."""
    following = text[end : end + _NEAR]
    if following[:1] and following[0] in ",;，、；":
        return True  # no sentence starts with these
    following = following.lstrip(" \t\u3000")
    if any(character in _CLOSERS for character in text[stop:end]):
        return following[:1].islower()
    if text[stop] not in "!?":
        return False
    if _COMPANY_FORM.match(following):
        return True
    return following[:1].islower() and bool(_MARKED_NAME.search(text, max(0, stop - _NEAR), stop))


def _after_closers(text: str, position: int) -> int:
    """Past further stops, closing quotes and brackets."""
    while position < len(text) and (text[position] in _HARD_STOPS + _CLOSERS or text[position] == "."):
        # A quote after white space would open the next sentence, so only those that touch are taken.
        position += 1
    return position


def _is_full_stop(text: str, start: int, position: int) -> bool:
    """Whether the dot at `position` ends a sentence rather than an abbreviation, a number or an address."""
    after = text[position + 1 : position + 2]
    if (
        after
        and not after.isspace()
        and after not in _CLOSERS + "."
        and not is_han(after)
        and not is_kana(after)
    ):
        return False
    if after == ".":
        return True  # an ellipsis of dots; _after_closers takes the rest
    match = _WORD_BEFORE.search(text, start, position)
    rest = text[position + 1 :].lstrip()
    if match is None:
        # "1." at the start of a line numbers a list: it stays with its item.
        return not (text[start:position].strip().isdigit() and rest)
    word = match.group().lower().strip(".")
    single_letter = len(word) == 1 and match.group().isupper()
    next_is_lower = rest[:1].islower() or rest[:1].isdigit()
    if single_letter:
        # Initials ("J. K. Rowling") against a sentence that ends in "plan B.": a one-letter name follows a
        # capitalised word or another initial, or starts the sentence.
        before = text[start : match.start()].split()
        return not ((rest[:1].isupper() and (not before or before[-1][:1].isupper())) or next_is_lower)
    if word in _MAY_END:
        return not next_is_lower and not (word in {"st", "no"} and bool(rest))
    if word in _ABBREVIATIONS:
        return not rest
    return True


def _pieces(text: str, start: int, end: int) -> list[Sentence]:
    """Trim white space; cut a sentence that is too long at commas, else at spaces, else between characters."""
    start, end = _trimmed(text, start, end)
    pieces: list[Sentence] = []
    while _is_too_long(text, start, end):
        cut = _cut(text, start, end)
        if cut is None:
            break
        pieces.append(Sentence(*_trimmed(text, start, cut), complete=False))
        start, end = _trimmed(text, cut, end)
    if start < end:
        pieces.append(Sentence(start, end))
    return pieces


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _cut(text: str, start: int, end: int) -> int | None:
    """The best place to cut `text[start:end]` so that its first part fits; None when there is none."""
    total = 0.0
    best: dict[int, int] = {}  # rank -> latest position of that rank
    # No character is less than a token: the cut lies within the limit, an address there may run on.
    web = addresses.spans(text[start : min(end, start + 4 * int(MAX_SENTENCE_TOKENS))])
    inside = {start + at for first, last in web.items() for at in range(first + 1, last)}
    for position in range(start, end):
        total += _tokens_of(text[position])
        if total > MAX_SENTENCE_TOKENS:
            break
        cut = position + 1
        if cut in inside or cut >= end or total < _MIN_SHARE * MAX_SENTENCE_TOKENS:
            continue
        rank = _cut_rank(text, cut)
        if rank:
            best[rank] = cut
    return best[max(best)] if best else None


def _cut_rank(text: str, cut: int) -> int:
    """How good it is to cut before `text[cut]`: 3 after a comma, 2 at a space, 1 between Han, 0 never."""
    before, after = text[cut - 1], text[cut]
    if after in _CLOSERS or after in _SOFT_STOPS:
        return 0
    if before in _SOFT_STOPS and not (after.isdigit() and cut >= 2 and text[cut - 2].isdigit()):
        return 3
    if before.isspace():
        return 2
    if (is_han(before) or is_kana(before)) and (is_han(after) or is_kana(after)):
        return 1
    return 0
