"""Punctuation as the model knows it. Runs in the speech worker.

Flow: any mark that a script may hold -> one of Kokoro's own marks, or None where it makes neither pause nor melody.
"""

from __future__ import annotations

_MARKS = {
    **dict.fromkeys(",，、､", ","),
    **dict.fromkeys(".。．｡", "."),
    **dict.fromkeys("!！‼", "!"),
    **dict.fromkeys("?？⁇", "?"),
    **dict.fromkeys("⁈⁉", "?"),
    **dict.fromkeys(":：", ":"),
    **dict.fromkeys(";；", ";"),
    **dict.fromkeys("—–―~～〜", "—"),
    **dict.fromkeys("…⋯", "…"),
    **dict.fromkeys("“«「『《〈【", "“"),
    **dict.fromkeys("”»」』》〉】", "”"),
    **dict.fromkeys("(（[［〔", "("),
    **dict.fromkeys(")）]］〕", ")"),
    "・": ",",
}
OPENING = frozenset("“(")
# Marks that end a phrase: the word before them gets its strong form.
STOPS = frozenset(",.!?:;—…")


def mark_of(character: str) -> str | None:
    """Kokoro's mark for `character`, None when it is silent or not punctuation."""
    return _MARKS.get(character)
