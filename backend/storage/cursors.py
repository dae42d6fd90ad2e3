"""Cursors of lists: opaque to callers, a direction and the last `seq` to us. Runs in the service process."""

from __future__ import annotations

from typing import Any, Literal

from backend.utils.cursor_text import decode_cursor, encode_cursor

Order = Literal["desc", "asc"]

# A page longer than this costs more to send than to ask for again.
MAX_PAGE = 100
# Larger than any `seq`: the newest-first list starts above it.
BEYOND_LAST = 2**62


def make_cursor(seq: int, order: Order) -> str:
    """Where the next page begins."""
    return encode_cursor([order, seq])


def read_cursor(cursor: str | None, order: Order) -> int:
    """The `seq` after which the page begins; without a cursor, before the first.

    Raises `validation_failed` for one that we did not make, or made for the other order.
    """
    if not cursor:
        return BEYOND_LAST if order == "desc" else 0

    def parse(told: Any) -> int:
        made_for, seq = told
        if made_for == order and type(seq) is int and 0 <= seq <= BEYOND_LAST:
            return seq
        raise ValueError(told)

    return decode_cursor(cursor, parse, hint="Use next_cursor of the page before, with the same order.")
