"""A sentence as the model has learned to read it. Pure function; runs in the moss_nano worker.

The model was trained on sentences that begin with a capital letter and end with a mark; without one it does not know
where to stop.
"""

from __future__ import annotations

from workers.speech.text.language import Language

_ENDS = frozenset(".!?。！？…；;")
_CLOSERS = frozenset("\"'”’」』）)】]》〉")
_FULL_STOP = {"zh": "。", "ja": "。", "en": "."}


def as_model_text(text: str, language: Language) -> str:
    """`text` on one line, with a first capital and a last mark."""
    line = " ".join(text.split())
    line = line[:1].upper() + line[1:]
    core = line.rstrip("".join(_CLOSERS))
    if not core or core[-1] not in _ENDS:
        line = line.rstrip(",，、:：-—~～ ") + _FULL_STOP[language]
    return line
