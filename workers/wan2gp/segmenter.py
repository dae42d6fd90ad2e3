"""Chinese words set apart, as Chatterbox wants them. Runs in the wan2gp worker.

Upstream's Chatterbox cuts Chinese into words with the package spacy_pkuseg. That one is made at every start, for English
too, and fetches its word list from GitHub; this worker fetches nothing by the way. So the package is kept from loading,
which upstream is prepared for, and the words come apart already: cut by our own front end, with spaces between them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

MODEL_TYPE = "chatterbox"
PACKAGE = "spacy_pkuseg"
# Han characters in a row; what stands between them is a token by itself.
_HAN = re.compile(r"[\u4e00-\u9fff\u3400-\u4dbf〇]+")
_MARKS = re.compile(r"\s*([，。！？；：、…“”‘’（）《》])\s*")


def keep_from_fetching(model_type: str) -> None:
    """Call before a generation: the package counts as not installed, unless it was loaded before."""
    if model_type == MODEL_TYPE:
        # Python's own way to say so; ImportError is what upstream expects.
        sys.modules.setdefault(PACKAGE, None)  # type: ignore[arg-type]


def set_apart(text: str, words: Callable[[str], list[str]]) -> str:
    """`text` with a space between all its Chinese words and marks. `words` cuts a run of Han characters."""
    spaced = _HAN.sub(lambda run: f" {' '.join(words(run[0]))} ", text)
    return " ".join(_MARKS.sub(r" \1 ", spaced).split())
