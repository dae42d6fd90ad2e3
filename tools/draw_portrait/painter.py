"""Puts one portrait together, back to front. Developer tool: numbers in, an 8-bit RGB picture out."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import DESIGN, Canvas, Image, mix, rgb
from .characters import Character
from .clothes import paint_clothes, paint_wall
from .eyes import paint_brow, paint_eye
from .hair import lock_outline, paint_locks
from .sculpt import face_outline, neck_outline
from .skin import paint_head, paint_neck


def _cast(cv: Canvas, mask: Image, dx: float, dy: float, soft: float) -> Image:
    """A mask's drop shadow."""
    return cv.blur(cv.shift(mask, dx, dy), soft)


def paint(who: Character, scale: float = 2.0) -> npt.NDArray[np.uint8]:
    """The portrait as (1024, 1024, 3) RGB; `scale` is the supersampling, part of the recipe: keep it fixed."""
    cv = Canvas(scale)
    rng = lambda k: np.random.default_rng([who.seed, k])  # noqa: E731 - one stream per part: parts tune alone
    wall = paint_wall(cv, who.look, rng(0))
    picture, _ = paint_locks(cv, wall, who.back, who.look, rng(1))
    picture = mix(picture, paint_neck(cv, who.shape, who.look), cv.poly(neck_outline(who.shape), 0.5))
    picture = paint_clothes(cv, picture, who.look, rng(2))

    solid = np.zeros((cv.h, cv.w), np.float32)
    for lock in who.front:
        solid = np.maximum(solid, cv.poly(lock_outline(lock)))
    falls = np.clip(0.8 * _cast(cv, solid, 7, 13, 7) + 0.35 * _cast(cv, solid, 12, 22, 18), 0, 1)
    figure = (np.abs(picture - wall).sum(-1) > 0.02).astype(np.float32)
    on_cloth = cv.blur(figure, 0.6) * _cast(cv, solid, 14, 16, 10)
    picture = mix(picture, picture * rgb("#4d3a34"), 0.55 * on_cloth)

    face = paint_head(cv, who.shape, who.look, falls, rng(3))
    for side in (-1, 1):
        paint_brow(cv, face, who.shape, who.look, side, rng(10 + side))
        paint_eye(cv, face, who.shape, who.look, side, rng(20 + side))
    picture = mix(picture, face, cv.poly(face_outline(who.shape), 0.6))
    picture, _ = paint_locks(cv, picture, who.front, who.look, rng(4))
    picture = np.clip(picture, 0, 1)
    small = cv2.resize(picture, (DESIGN, DESIGN), interpolation=cv2.INTER_AREA)
    return np.round(np.clip(small, 0, 1) * 255).astype(np.uint8)
