"""Cursors of lists: opaque to callers, a direction and the last `seq` to us. Runs in the service process."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Literal

from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, RequestError

Order = Literal["desc", "asc"]

# A page longer than this costs more to send than to ask for again.
MAX_PAGE = 100
# Larger than any `seq`: the newest-first list starts above it.
BEYOND_LAST = 2**62


def make_cursor(seq: int, order: Order) -> str:
    """Where the next page begins."""
    return base64.urlsafe_b64encode(f'["{order}",{seq}]'.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, order: Order) -> int:
    """The `seq` after which the page begins; without a cursor, before the first.

    Raises `validation_failed` for one that we did not make, or made for the other order.
    """
    if not cursor:
        return BEYOND_LAST if order == "desc" else 0
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        made_for, seq = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if made_for == order and type(seq) is int and 0 <= seq <= BEYOND_LAST:
            return seq
    except (ValueError, TypeError, RecursionError, binascii.Error):
        pass
    message = "Use next_cursor of the page before, with the same order."
    raise RequestError(
        ErrorCode.VALIDATION_FAILED,
        "The cursor is not one of ours.",
        hint=message,
        fields=(FieldError("cursor", message),),
    )
