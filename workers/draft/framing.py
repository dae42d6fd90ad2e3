"""Which part of the portrait becomes the video, and how large. Runs in the draft worker.

Flow: RGB picture + face + aspect -> BGR frame of even size and the face's points in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft.arrays import F64, Image, image, resize_image
from workers.draft.faces import Face
from workers.handler import TaskError

ASPECTS = ("1:1", "16:9", "9:16", "source")
DEFAULT_SIZE = 512
# H.264 wants even sizes; below 128 nothing of a face is left, above 1080 the draft has no detail to show.
MIN_SIZE, MAX_SIZE = 128, 1080
# Largest frames of the other aspects: (width, height) for wide, mirrored for tall.
WIDE_LIMIT = (1280, 720)
# A square frame shows this many face lengths: head, hair and shoulders.
SQUARE_FACES = 2.25
# The face sits a little above the middle, leaving room for the shoulders.
FACE_ABOVE_MIDDLE = 0.03
# Hair above a face, in face heights; where there is too little room for it, it gets this part of that.
_HAIR, _HAIR_SHARE = 0.45, 0.7
# Enlarging beyond this only makes blur larger.
MAX_ENLARGE = 4.0


@dataclass(frozen=True)
class Framing:
    """`frame` BGR (h, w, 3), even sizes; `points` (478, 3) of the face in its pixels; `enlarged` its scale."""

    frame: Image
    points: F64
    scale: float


def frame_portrait(picture: Image, face: Face, aspect: str, size: int) -> Framing:
    """Cut and scale `picture` (RGB). `size`: side of a square frame, or the shorter side of the others' limit.

    Raises `TaskError` `validation_failed` for an unknown aspect or size.
    """
    if aspect not in ASPECTS:
        raise TaskError("validation_failed", f"Unknown aspect {aspect!r}. Use one of: {', '.join(ASPECTS)}.")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise TaskError("validation_failed", f"The size must lie between {MIN_SIZE} and {MAX_SIZE} pixels.")
    height, width = picture.shape[:2]
    if aspect == "source":
        x0, y0, crop_w, crop_h = 0.0, 0.0, float(width), float(height)
    else:
        x0, y0, crop_w, crop_h = _crop(width, height, face, aspect)
    out_w, out_h = output_size(crop_w, crop_h, aspect, size)
    x, y = round(x0), round(y0)
    right, bottom = min(width, round(x0 + crop_w)), min(height, round(y0 + crop_h))
    crop = np.ascontiguousarray(picture[y:bottom, x:right])
    frame = image(cv2.cvtColor(resize_image(crop, out_w, out_h), cv2.COLOR_RGB2BGR))
    scale_x, scale_y = out_w / crop.shape[1], out_h / crop.shape[0]
    return Framing(frame, points_in(face, (x, y), (scale_x, scale_y)), (scale_x + scale_y) / 2)


def points_in(face: Face, corner: tuple[int, int], scale: tuple[float, float]) -> F64:
    """A face's points (478, 3) in a frame that was cut at `corner` and scaled across and down."""
    points: F64 = face.points.copy()
    for axis in (0, 1):
        points[:, axis] = (points[:, axis] - corner[axis] + 0.5) * scale[axis] - 0.5
    points[:, 2] *= (scale[0] + scale[1]) / 2
    return points


def _crop(width: int, height: int, face: Face, aspect: str) -> tuple[float, float, float, float]:
    """Corner and size of the cut in picture pixels: the aspect's shape, around the face, inside the picture."""
    across, down = (int(part) for part in aspect.split(":"))
    ratio = across / down
    left, top, right, bottom = face.box
    face_side = max(right - left, bottom - top)
    if aspect == "1:1":
        crop_h = min(face_side * SQUARE_FACES, height, width)
    else:
        # As much of the picture as the shape allows: the scene was chosen by whoever took it.
        crop_h = min(float(height), width / ratio)
    crop_w = crop_h * ratio
    centre_x, centre_y = face.centre
    centre_y += FACE_ABOVE_MIDDLE * face_side
    if aspect != "1:1":
        # The face in the upper third of a tall or wide frame, when the picture leaves the choice.
        centre_y = face.centre[1] + 0.12 * crop_h
        # But not so high that hair is cut while there is room below.
        above = min(_HAIR * (bottom - top), max(0.0, crop_h - (bottom - top)) * _HAIR_SHARE)
        centre_y = min(centre_y, top - above + crop_h / 2)
    x0 = float(np.clip(centre_x - crop_w / 2, 0, width - crop_w))
    y0 = float(np.clip(centre_y - crop_h / 2, 0, height - crop_h))
    return x0, y0, crop_w, crop_h


def output_size(crop_w: float, crop_h: float, aspect: str, size: int) -> tuple[int, int]:
    """Width and height of the video for a cut of that size, both even."""
    if aspect == "1:1":
        return even(size), even(size)
    limit_w, limit_h = WIDE_LIMIT if crop_w >= crop_h else WIDE_LIMIT[::-1]
    scale = min(limit_w / crop_w, limit_h / crop_h, MAX_ENLARGE if aspect != "source" else 1.0)
    if aspect == "source" and min(crop_w, crop_h) * scale < MIN_SIZE:
        scale = MIN_SIZE / min(crop_w, crop_h)
    return even(crop_w * scale), even(crop_h * scale)


def even(length: float) -> int:
    """The nearest even number of pixels, at least 2."""
    return max(2, round(length / 2) * 2)
