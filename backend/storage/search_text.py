"""How text is made comparable for a search: the same on the way in and in the question. Pure.

Runs in the service process. Case goes in every alphabet (SQLite's LIKE knows only ASCII's), and so does width:
full-width Latin letters, as Chinese keyboards write them, are found by plain ones.
"""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """`text` without case and width (Unicode 3.13: NFKC, case folding, NFKC)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
