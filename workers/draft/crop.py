"""The part of a picture that somebody chose. Runs in the draft worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from workers.draft.arrays import Image
from workers.draft.image_input import MIN_SIDE_PX
from workers.handler import TaskError

# Fractions that were cut to a few decimals may add up to a little more than the whole picture.
_ROUNDING = 0.001


@dataclass(frozen=True)
class Crop:
    """A box as fractions of the picture's width and height."""

    x: float
    y: float
    w: float
    h: float

    def of(self, picture: Image) -> Image:
        """The part of an RGB picture (h, w, 3), whole pixels. Raises `TaskError` (face_too_small) when little is left."""
        height, width = picture.shape[:2]
        left, top = round(self.x * width), round(self.y * height)
        right, bottom = round((self.x + self.w) * width), round((self.y + self.h) * height)
        part = picture[top : min(bottom, height), left : min(right, width)]
        if part.size == 0 or max(part.shape[:2]) < MIN_SIDE_PX:
            raise TaskError(
                "face_too_small",
                f"What was cut out has only {part.shape[1]}x{part.shape[0]} pixels. Choose a larger part.",
            )
        return np.ascontiguousarray(part)


def crop_of(params: Mapping[str, Any]) -> Crop | None:
    """The parameter `crop` of a task: {x, y, w, h}, or none. Raises `TaskError` (validation_failed)."""
    given = params.get("crop")
    if given is None:
        return None
    try:
        x, y, w, h = (float(given[name]) for name in ("x", "y", "w", "h"))
    except (TypeError, KeyError, ValueError) as error:
        raise TaskError("validation_failed", "The part to cut out needs x, y, w and h.") from error
    # Written so that NaN is refused too.
    is_inside = x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 1 + _ROUNDING and y + h <= 1 + _ROUNDING
    if not is_inside:
        raise TaskError("validation_failed", "The part to cut out lies outside of the picture.")
    return Crop(x, y, w, h)
