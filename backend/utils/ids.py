"""Opaque ids: `<prefix>_<random>`, never made from anything a client sent."""

from __future__ import annotations

import re
import secrets
from typing import Literal

IdPrefix = Literal["job", "voice", "avatar", "file", "batch", "key", "hook", "fld"]

ID_PATTERN = re.compile(r"^(job|voice|avatar|file|batch|key|hook|fld)_[a-z0-9]{8,32}$")

# 16 characters of base 36 are 82 bits: no collision and no guessing at any size we serve.
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_LENGTH = 16


def new_id(prefix: IdPrefix) -> str:
    """A fresh id such as `job_4k9x0q2m7c1z8b5v`."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def is_id(value: str, prefix: IdPrefix) -> bool:
    """Whether `value` has the shape of an id with this prefix. `\\Z`: no newline may follow."""
    return bool(re.fullmatch(rf"{prefix}_[a-z0-9]{{8,32}}", value))
