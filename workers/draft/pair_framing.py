"""Which part of the portrait becomes the video when two people speak: both of them, always. Runs in the draft worker.

Flow: RGB picture + two faces + aspect -> BGR frame, the points of both faces in it, and a `Mat` around it when no cut of
that shape holds both. The mat is the picture itself, blurred and darkened, and stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft.arrays import F64, Image, image, resize_image
from workers.draft.faces import Face
from workers.draft.framing import (
    ASPECTS,
    FACE_ABOVE_MIDDLE,
    MAX_SIZE,
    MIN_SIZE,
    SQUARE_FACES,
    even,
    output_size,
    points_in,
)
from workers.handler import TaskError

# Room around both faces, in lengths of the larger one: what a close cut has, and what must not be cut. Above them is
# hair.
_ROOM, _LEAST_ROOM, _HAIR = 0.62, 0.20, 0.45
# A frame that misses the video's size by no more than rounding fills it.
_SAME_PX = 4
# The mat: blurred by this part of the frame's longer side, and this bright.
_MAT_BLUR, _MAT_LIGHT = 0.03, 0.55


@dataclass(frozen=True)
class PairFraming:
    """`frame` BGR (h, w, 3) with both people; `points` (478, 3) of each in its pixels; the `mat` around it, if any."""

    frame: Image
    points: tuple[F64, F64]
    mat: Mat | None


class Mat:
    """A still frame of the video's size with an opening for the moving one. Holds one frame."""

    def __init__(self, picture: Image, size: tuple[int, int], opening: tuple[int, int]) -> None:
        """`picture` RGB; `size` of the video and of the `opening` in its middle: width, height."""
        width, height = size
        scale = max(width / picture.shape[1], height / picture.shape[0])
        cover_w, cover_h = (
            max(width, round(picture.shape[1] * scale)),
            max(height, round(picture.shape[0] * scale)),
        )
        x, y = (cover_w - width) // 2, (cover_h - height) // 2
        cover = resize_image(picture, cover_w, cover_h)[y : y + height, x : x + width]
        blurred = cv2.GaussianBlur(np.ascontiguousarray(cover), (0, 0), _MAT_BLUR * max(size))
        dark = image((blurred * np.float32(_MAT_LIGHT)).astype(np.uint8))
        self._canvas = image(cv2.cvtColor(dark, cv2.COLOR_RGB2BGRA))
        left, top = (width - opening[0]) // 2, (height - opening[1]) // 2
        self._view = self._canvas[top : top + opening[1], left : left + opening[0]]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._canvas.shape[1], self._canvas.shape[0]

    def around(self, frame: Image) -> Image:
        """The whole frame (h, w, 4) with `frame` in the opening. The buffer is reused by the next call."""
        np.copyto(self._view, frame)
        return self._canvas


def frame_pair(picture: Image, faces: Sequence[Face], aspect: str, size: int) -> PairFraming:
    """Cut and scale `picture` (RGB) around two faces. `size` as for one (framing.py). Raises `TaskError`."""
    if aspect not in ASPECTS:
        raise TaskError("validation_failed", f"Unknown aspect {aspect!r}. Use one of: {', '.join(ASPECTS)}.")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise TaskError("validation_failed", f"The size must lie between {MIN_SIZE} and {MAX_SIZE} pixels.")
    height, width = picture.shape[:2]
    x0, y0, crop_w, crop_h, ratio = _cut(width, height, faces, aspect)
    crop = np.ascontiguousarray(picture[y0 : y0 + crop_h, x0 : x0 + crop_w])
    # The cut of the right shape around what of it lies in the picture.
    cut_w = max(float(crop_w), crop_h * ratio)
    video = output_size(cut_w, cut_w / ratio, aspect, size)
    scale = min(video[0] / crop_w, video[1] / crop_h)
    inner = even(crop_w * scale), even(crop_h * scale)
    if max(video[0] - inner[0], video[1] - inner[1]) <= _SAME_PX:
        inner = video
    frame = image(cv2.cvtColor(resize_image(crop, *inner), cv2.COLOR_RGB2BGR))
    first, second = (
        points_in(face, (x0, y0), (inner[0] / crop.shape[1], inner[1] / crop.shape[0])) for face in faces
    )
    return PairFraming(frame, (first, second), Mat(picture, video, inner) if inner != video else None)


def _cut(width: int, height: int, faces: Sequence[Face], aspect: str) -> tuple[int, int, int, int, float]:
    """Corner and size of the cut in picture pixels, and the shape (width over height) of the video."""
    if aspect == "source":
        return 0, 0, width, height, width / height
    across, down = (int(part) for part in aspect.split(":"))
    ratio = across / down
    boxes = np.array([face.box for face in faces])
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = float(max((boxes[:, 2:] - boxes[:, :2]).max(), 1.0))

    def wide_enough(room: float) -> float:
        """The width of a cut of this shape with room on all sides of both faces."""
        return float(max(right - left + 2 * room * side, (bottom - top + 2 * room * side) * ratio))

    largest = min(float(width), height * ratio)
    # A close cut for a square; for the others as much of the picture as the shape allows.
    wanted = max(SQUARE_FACES * side, wide_enough(_ROOM)) if aspect == "1:1" else largest
    least = wide_enough(_LEAST_ROOM)
    # Where no cut of this shape holds both, it reaches beyond the picture, and a mat fills what is missing.
    cut_w = max(least, min(wanted, largest))
    crop_w, crop_h = min(float(width), cut_w), min(float(height), cut_w / ratio)
    centre_x = (left + right) / 2
    centre_y = (top + bottom) / 2 + (FACE_ABOVE_MIDDLE * side if aspect == "1:1" else 0.12 * crop_h)
    x0 = float(np.clip(centre_x - crop_w / 2, 0, width - crop_w))
    y0 = float(np.clip(centre_y - crop_h / 2, 0, height - crop_h))
    # Lower than the middle, but not so low that a head is cut while there is room below.
    above = min(_HAIR * side, (crop_h - float(bottom - top)) / 2)
    y0 = max(0.0, min(y0, float(top) - above))
    x, y = round(x0), round(y0)
    return x, y, min(width - x, round(crop_w)), min(height - y, round(crop_h)), ratio
