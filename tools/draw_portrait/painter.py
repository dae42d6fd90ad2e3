"""Puts one portrait together, back to front. Developer tool: numbers in, an 8-bit RGB picture out."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import DESIGN, Canvas, Image, mix, rgb, smoothstep
from .characters import Character
from .clothes import paint_clothes, paint_wall
from .ears import paint_ear
from .eyes import paint_brow, paint_eye
from .hair import lock_outline, paint_locks
from .sculpt import LIFT, face_outline, neck_outline
from .skin import paint_head, paint_neck


def _cast(cv: Canvas, mask: Image, dx: float, dy: float, soft: float) -> Image:
    """A mask's drop shadow."""
    return cv.blur(cv.shift(mask, dx, dy), soft)


def _loosen(cv: Canvas, picture: Image, rng: np.random.Generator) -> Image:
    """Bends the picture by about a unit, differently left and right: nothing alive is a mirror image."""
    dx, dy = (1.3 * cv.scale * cv.noise(rng, 70) for _ in range(2))
    gx, gy = np.meshgrid(np.arange(cv.w, dtype=np.float32), np.arange(cv.h, dtype=np.float32))
    bent = cv2.remap(picture, gx + dx, gy + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(bent, np.float32)


def _grade(cv: Canvas, picture: Image) -> Image:
    """The last glance: a little contrast, warm lights, cool shades, darker corners."""
    curved = picture + 0.020 * np.sin(2 * np.pi * (picture - 0.5))
    luma = curved.mean(-1, keepdims=True)
    toned = curved * (1 + (luma - 0.5) * np.array([0.02, 0.004, -0.022], np.float32))
    corner = smoothstep(np.hypot((cv.x - 512) / 512, (cv.y - 470) / 512), 0.75, 1.45)
    return np.asarray(toned * (1 - 0.16 * corner[..., None]), np.float32)


def paint(who: Character, scale: float = 2.0) -> npt.NDArray[np.uint8]:
    """The portrait as (1024, 1024, 3) RGB; `scale` is the supersampling, part of the recipe: keep it fixed."""
    cv = Canvas(scale)

    def rng(part: int) -> np.random.Generator:
        return np.random.default_rng([who.seed, part])  # one stream per part, so each can be tuned alone

    wall = paint_wall(cv, who.look, rng(0))
    picture, _ = paint_locks(cv, wall, who.back, who.look, rng(1))
    neck = cv.poly(neck_outline(who.shape), 0.5)
    picture = mix(picture, paint_neck(cv, who.shape, who.look), neck)
    lifted = Canvas(scale, (0, round(LIFT), DESIGN, DESIGN + round(LIFT)))
    picture = paint_clothes(lifted, picture, who.shape.neck_half, who.look, rng(2))

    solid = np.zeros((cv.h, cv.w), np.float32)
    for lock in who.front:
        solid = np.maximum(solid, cv.poly(lock_outline(lock)))
    falls = np.clip(
        0.55 * cv.blur(solid, 13) + 0.7 * _cast(cv, solid, 7, 13, 7) + 0.35 * _cast(cv, solid, 12, 22, 18),
        0,
        1,
    )
    figure = (np.abs(picture - wall).sum(-1) > 0.02).astype(np.float32)
    on_cloth = cv.blur(figure, 0.6) * _cast(cv, solid, 14, 16, 10)
    picture = mix(picture, picture * rgb("#4d3a34"), 0.55 * on_cloth)

    face = paint_head(cv, who.shape, who.look, falls, rng(3))
    for side in who.look.ears:
        picture = paint_ear(cv, picture, who.shape, who.look, side)
    for side in (-1, 1):
        paint_brow(cv, face, who.shape, who.look, side, rng(10 + side))
        paint_eye(cv, face, who.shape, who.look, side, rng(20 + side))
    picture = mix(picture, face, cv.poly(face_outline(who.shape), 0.6) * smoothstep(cv.y, 150, 170))
    picture, _ = paint_locks(cv, picture, who.front, who.look, rng(4))
    picture = _grade(cv, _loosen(cv, np.clip(picture, 0, 1), rng(5)))
    small = cv2.resize(picture, (DESIGN, DESIGN), interpolation=cv2.INTER_AREA)
    return np.round(np.clip(small, 0, 1) * 255).astype(np.uint8)
