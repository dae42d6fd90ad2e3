"""What may stand on one subtitle line: the units that are never split, and how wide they are.

Runs in the service process; pure functions over text. Widths are counted in half-width columns for
text with Chinese or Japanese (a full-width character is two) and in characters otherwise.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

MAX_LINES = 2
# 18 full-width characters; 42 Latin ones.
CJK_LIMIT = 36
LATIN_LIMIT = 42

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_CLAUSE_END = frozenset("，、；：。！？,;:.!?…—")
_OPENING = frozenset("（(「『《〈【〔[{“‘〝$¥￥€£#@＃")
_CLOSING = frozenset(
    "，、；：。！？,;:.!?…—～）)」』》〉】〕]}”’〞%％‰°℃·・ーゝゞ々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
)
_UNITS = "年月日号點点时時分秒个個元円块岁歳度万萬亿億千百十名位人台件次倍斤米层楼页頁章回天周小"

# One unit each, tried in order; everything else is one character.
_UNIT = re.compile(
    # a Latin word or a number with what belongs to it: 3.14, 10:30, don't, a@b.cn, C++, 50%
    r"[0-9A-Za-z\u00c0-\u024f]+(?:['’.,:/_@&+\-=?~#%][0-9A-Za-z\u00c0-\u024f]+)*[+#%％‰°℃]*"
    rf"(?:(?<=[0-9])[{_UNITS}])?"
    # a Chinese number
    rf"|[零〇一二三四五六七八九十百千万亿两][零〇一二三四五六七八九十百千万亿两点點]+[{_UNITS}]?"
    # a Japanese loan word
    r"|[\u30a1-\u30ff]+"
)


@dataclass(frozen=True)
class Token:
    """A unit that is never split: `text` = the sentence from `start` to `end`, spaces stripped."""

    text: str
    start: int
    end: int
    space_before: bool
    ends_clause: bool


def clean_text(text: str) -> str:
    """One line without control characters and without runs of spaces."""
    kept = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Zs") else char for char in text)
    kept = "".join(char for char in kept if unicodedata.category(char) not in ("Cs", "Co", "Cn"))
    return " ".join(kept.split())


def line_limit(text: str) -> int:
    """Columns a line of this sentence may have."""
    return CJK_LIMIT if _CJK.search(text) else LATIN_LIMIT


def width(text: str, limit: int) -> int:
    """Columns that `text` takes under `limit`'s way of counting."""
    full = 2 if limit == CJK_LIMIT else 1
    return sum(_columns(char, full) for char in text)


def speaking_weight(char: str) -> float:
    """How long a character takes to say, relative to others; a fallback where no word time is known."""
    if _CJK.match(char) or char.isdigit():
        return 2.0
    if char in _CLAUSE_END:
        return 1.0
    return 0.7 if char.isalpha() else 0.0


def tokenize(text: str, limit: int, words: list[tuple[int, int]]) -> list[Token]:
    """Cut a cleaned sentence into units. `words`: spans known to be words, in order."""
    joined: set[int] = set()
    for start, end in words:
        if width(text[start:end], limit) <= limit:
            joined.update(range(start + 1, end))
    at = 0
    while at < len(text):
        found = _UNIT.match(text, at)
        end = found.end() if found else at + 1
        joined.update(range(at + 1, end))
        at = end
    for at in range(1, len(text)):
        if text[at] in _CLOSING or text[at - 1] in _OPENING or unicodedata.combining(text[at]):
            joined.add(at)
        if text[at] == " " or text[at - 1] == " ":
            joined.discard(at)
    edges = [at for at in range(1, len(text)) if at not in joined]
    tokens = []
    for start, end in zip([0, *edges], [*edges, len(text)], strict=True):
        if text[start:end].strip():
            tokens += _token(text, start, end, limit)
    return tokens


class Layout:
    """A tokenized sentence with the widths of its parts; parts are given as `tokens[first:last]`."""

    def __init__(self, tokens: list[Token], limit: int) -> None:
        self.tokens = tokens
        self.limit = limit
        # Columns from the start of the sentence to the end of each token.
        self._ends = [0]
        for token in tokens:
            self._ends.append(self._ends[-1] + token.space_before + width(token.text, limit))

    def columns(self, first: int, last: int) -> int:
        """Width of a part on one line."""
        return self._ends[last] - self._ends[first] - self.tokens[first].space_before

    def fits(self, first: int, last: int) -> bool:
        """Whether a part fits on the lines of one cue: the first line takes what it can."""
        if self.columns(first, last) <= self.limit:
            return True
        reach = self._ends[first] + self.tokens[first].space_before + self.limit
        middle = bisect_right(self._ends, reach) - 1
        return first < middle < last and self.columns(middle, last) <= self.limit

    def lines(self, first: int, last: int) -> tuple[str, ...]:
        """One line, or two that break after a clause if possible, else near the middle."""
        if self.columns(first, last) <= self.limit:
            return (self.text(first, last),)
        options = []
        for middle in range(first + 1, last):
            one, two = self.columns(first, middle), self.columns(middle, last)
            if max(one, two) <= self.limit:
                cost = abs(one - two) + (0 if self.tokens[middle - 1].ends_clause else self.limit // 2)
                options.append((cost, middle))
        middle = min(options)[1]
        return self.text(first, middle), self.text(middle, last)

    def text(self, first: int, last: int) -> str:
        """A part as written, with the spaces that stood between its tokens."""
        rest = (" " * token.space_before + token.text for token in self.tokens[first + 1 : last])
        return self.tokens[first].text + "".join(rest)


def _token(text: str, start: int, end: int, limit: int) -> list[Token]:
    """The unit from `start` to `end`; one that is wider than a line is cut hard, it has no other way."""
    pieces, at = [], start
    while at < end:
        stop = at + 1
        while stop < end and width(text[at : stop + 1], limit) <= limit:
            stop += 1
        pieces.append((at, stop))
        at = stop
    return [
        Token(
            text=text[at:stop],
            start=at,
            end=stop,
            space_before=at > 0 and text[at - 1] == " ",
            ends_clause=_ends_clause(text[at:stop]),
        )
        for at, stop in pieces
    ]


def _ends_clause(text: str) -> bool:
    return text.rstrip("”’」』》）)】〕]\"'")[-1:] in _CLAUSE_END


def _columns(char: str, full: int) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) == "Cf":
        return 0
    # Ambiguous characters (“ ” — …) are drawn full-width in Chinese and Japanese type.
    return full if unicodedata.east_asian_width(char) in "WFA" else 1
