"""A sentence as a prompt for Wan2GP: said as it stands, never taken for a command. Runs in the wan2gp worker.

Flow: words -> one line without the signs that mean something to upstream or to a model -> pieces that are short enough.

What a prompt can mean there besides its words: `#` begins a comment and `!` a macro, `{x}` is a variable, `[x]` an
emotion, a noise or a command, `<x|y>` a pronunciation or a token of the model, `Speaker 1:` a second voice, and a
prompt that is the name of a file is replaced by what stands in the file.
"""

from __future__ import annotations

import re
from pathlib import Path

from workers.speech.text.language import is_han, is_kana

_SIGNS = re.compile(r"\s*[\[\]{}<>|]+\s*")
_LEADING = re.compile(r"^[\s#!,，]+")
_COMMAS = re.compile(r"(?:[,，]\s*){2,}")
_BETWEEN_DIGITS = re.compile(r"\d[.,:]\d")
_SPEAKER = re.compile(r"(speaker\s*\d+)\s*:", re.IGNORECASE)
_ENDS = frozenset("。！？!?….．\"'”’」』）)")
_STOPS = "。！？!?.;；:：,，、"
# A piece is not cut before this share of what fits.
_MIN_SHARE = 0.4


def as_prompt(text: str, root: Path | None = None) -> str:
    """`text` in one line, ending like a sentence; empty when nothing is left. `root`: where upstream runs.

    The mark at the end helps the models to stop, and keeps a transcript of one word from being read as a description
    of a voice.
    """
    flat = _COMMAS.sub(lambda match: match[0][0] + " ", _SIGNS.sub(_comma, " ".join(text.split())))
    flat = _SPEAKER.sub(r"\1,", _LEADING.sub("", flat)).strip(" ,，")
    if not flat:
        return ""
    if flat[-1] not in _ENDS:
        flat = flat.rstrip(_STOPS + " ") + ("。" if is_han(flat[-1]) or is_kana(flat[-1]) else ".")
    if _is_file(flat, root):
        flat = " ".join(re.split(r"[./\\:]+", flat)).strip() + " ."
    return flat


def _comma(match: re.Match[str]) -> str:
    before = match.string[: match.start()][-1:]
    if before in _STOPS:
        return " "
    return "，" if is_han(before) or is_kana(before) else ", "


def _is_file(text: str, root: Path | None) -> bool:
    """Whether upstream would take `text` for a file. Windows leaves a dot at the end of a name out."""
    if root is None:
        return False
    try:
        return any((root / name).is_file() for name in (text, text.rstrip(".")) if name)
    except (OSError, ValueError):
        return False  # too long for a name, or with characters that no name has


def pieces(text: str, limit: int | None) -> list[str]:
    """`text` in parts of at most `limit` characters, cut behind a mark if there is one, else at a space."""
    parts = []
    rest = text.strip()
    while limit is not None and len(rest) > limit:
        cut = _cut(rest, limit)
        parts.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [part for part in [*parts, rest] if part]


def _cut(text: str, limit: int) -> int:
    earliest = max(1, int(limit * _MIN_SHARE))
    for wanted in (_STOPS, " "):
        for cut in range(limit, earliest, -1):
            if text[cut - 1] in wanted and not _BETWEEN_DIGITS.fullmatch(text[cut - 2 : cut + 1]):
                return cut
    return limit
