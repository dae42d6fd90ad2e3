"""Cursors as callers see them: short text without a meaning to them. Runs in the service process.

What is inside is each list's own; here are its coding and the refusal of what is none of ours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, TypeVar

from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, RequestError

Place = TypeVar("Place")


def encode_cursor(place: object) -> str:
    """JSON in the letters of an address."""
    text = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(
    cursor: str, parse: Callable[[Any], Place], *, hint: str = "Use next_cursor of the page before."
) -> Place:
    """What `parse` makes of it, which raises ValueError, TypeError or AttributeError for what its list never wrote.

    Raises `validation_failed` for a cursor that we did not make.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return parse(json.loads(base64.b64decode(padded, altchars=b"-_", validate=True)))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(
            ErrorCode.VALIDATION_FAILED,
            "The cursor is not one of ours.",
            hint=hint,
            fields=(FieldError("cursor", hint),),
        ) from error
