"""What of a caller's own text and JSON can be stored and given back unchanged. Pure types, no I/O."""

from __future__ import annotations

import math
from typing import Any

# Labels and forms are flat or nearly so; JSON writers give up at a few hundred levels.
MAX_JSON_DEPTH = 32


def check_text(value: str) -> str:
    """`value`. Raises ValueError: lone surrogates cannot be stored as UTF-8; NUL ends strings in foreign code."""
    if "\x00" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise ValueError("text must be valid Unicode without NUL characters")
    return value


def check_name(value: str) -> str:
    """A name that people see, on one line. Raises ValueError where there is nothing to see, or a control character."""
    name = " ".join(check_text(value).split())
    if not name or not name.isprintable():
        raise ValueError("the name holds nothing that can be seen, or a control character")
    return name


def check_json(value: Any, *, what: str) -> Any:
    """`value`. Raises ValueError for deep nesting, NaN, infinity and broken Unicode, calling it `what`."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"{what} may be nested at most {MAX_JSON_DEPTH} levels deep")
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
        elif isinstance(item, str):
            check_text(item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"{what} may hold no NaN and no infinity")
    return value
