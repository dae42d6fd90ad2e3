"""Paints lit skin on the head and the neck: ramps, blush, lips, nostrils, folds, pores.

Developer tool. Input: `FaceShape`, a `Look`; output: RGB plus the head mask on the given canvas.
"""

from __future__ import annotations

import numpy as np

from . import light
from .canvas import Canvas, Image, mix, ramp, rgb, smoothstep, spline
from .look import Look
from .sculpt import CX, FaceShape, face_height, face_outline, lip_curves, neck_height


def _lit(cv: Canvas, z: Image, shadow: Image) -> tuple[Image, Image]:
    """Light amount and normals for one surface."""
    n = light.normals(cv, z)
    key = light.diffuse(n, light.KEY, 0.30) * (0.30 + 0.70 * shadow)
    fill = light.diffuse(n, light.FILL, 0.45)
    sky = 0.5 - 0.5 * n[..., 1]
    hollow = light.cavity(cv, z, 9, 0.12) * 0.055 + light.cavity(cv, z, 26, 0.05) * 0.075
    amount = (
        0.09 * light.diffuse(n, light.BOUNCE, 0.2)
        + 0.66 * key
        + 0.15 * fill
        + 0.20 * sky * (0.5 + 0.5 * n[..., 2])
        + 0.05
        + hollow
    )
    return np.asarray(amount, np.float32), n


def paint_neck(cv: Canvas, shape: FaceShape, look: Look) -> Image:
    """Neck and chest skin over the whole canvas (the clothes and the head cover the rest)."""
    z = neck_height(cv, shape)
    head = cv.poly(face_outline(shape))
    n = light.normals(cv, z)
    # the head hangs in front: its shadow falls down and to the right, darkest under the jaw
    away = cv.blur(cv.shift(head, 14, 52), 13)
    under = cv.blur(cv.shift(head, 0, 13), 8)
    key = light.diffuse(n, light.KEY, 0.35) * (1 - 0.88 * away)
    amount = (
        0.60 * key + 0.15 * light.diffuse(n, light.FILL, 0.45) + 0.16 + 0.06 * light.cavity(cv, z, 9, 0.15)
    )
    amount -= 0.16 * under
    lit = light.scatter(cv, np.asarray(amount, np.float32))
    colour = ramp(look.skin, lit)
    bounce = smoothstep(away, 0.3, 1.0) * smoothstep(cv.y, 760, 680)
    return mix(colour, colour * rgb("#ffe0cf"), 0.35 * bounce)


def paint_head(
    cv: Canvas, shape: FaceShape, look: Look, hair_shadow: Image, rng: np.random.Generator
) -> Image:
    """The face without eyes and brows. `hair_shadow`: 0..1 darkening cast by the hair."""
    z = face_height(cv, shape)
    mask = cv.poly(face_outline(shape))
    shadow = light.cast_shadow(cv, np.where(mask > 0.5, z, -80).astype(np.float32))
    amount, n = _lit(cv, z, shadow)
    x, y = cv.x - CX, cv.y
    ax = np.abs(x)
    amount *= 1 - 0.42 * hair_shadow
    amount *= 1 - 0.16 * smoothstep(y, 646, 668) * mask
    amount += 0.012 * cv.noise(rng, 26) + 0.006 * cv.noise(rng, 5)
    lit = light.scatter(cv, np.asarray(amount, np.float32))
    colour = ramp(look.skin, lit)

    def tint(hex_colour: str, where: Image, strength: float) -> None:
        nonlocal colour
        colour = mix(colour, colour * rgb(hex_colour) * 1.06, np.clip(where * strength, 0, 1))

    def pair(cx: float, cy: float, sx: float, sy: float, angle: float = 0.0) -> Image:
        return cv.blob(CX - cx, cy, sx, sy, -angle) + cv.blob(CX + cx, cy, sx, sy, angle)

    ex, ey = shape.eye_x, shape.eye_y
    tint("#f9b2ab", pair(96, 458, 36, 27, -18), look.blush)
    tint("#ffbfae", cv.blob(CX, shape.nose_tip_y, 22, 15), 0.55 * look.blush + 0.12)
    tint("#ffc9b8", cv.blob(CX, shape.chin_y + 4, 26, 16), 0.30)
    tint("#f3c2b0", pair(ex, ey - 12, 36, 11, 2), 0.50)  # lids
    tint("#eec4bb", pair(ex - 4, ey + 21, 28, 8, 4), 0.45)  # under the eyes
    tint("#fff1d8", cv.blob(CX, 275, 74, 38), 0.55)
    tint("#f2d7c4", smoothstep(ax / np.maximum(1, 165), 0.72, 1.0), 0.5)

    if look.stubble:
        beard = smoothstep(y, 500, 545) * smoothstep(y, 668, 640) * smoothstep(ax, 0, 30) + cv.blob(
            CX, shape.mouth_y - 28, 36, 8
        )
        beard += cv.blob(CX, shape.chin_y, 40, 22)
        grain = 0.75 + 0.25 * cv.noise(rng, 0.7)
        colour = mix(colour, colour * rgb("#a79a92"), np.clip(look.stubble * 0.6 * beard * grain, 0, 0.6))

    # sheen: broad on the forehead, nose, cheek tops
    oily = 0.30 + 0.7 * np.clip(cv.blob(CX, 280, 66, 40) + 0.45 * cv.blob(CX, 440, 9, 40) + cv.blob(CX - 1, 482, 9, 7) * 1.3
                                + 0.6 * pair(92, 440, 30, 20) + 0.6 * cv.blob(CX, shape.chin_y, 18, 10), 0, 1)  # fmt: skip
    pores = 1 + 0.09 * cv.noise(rng, 0.55) + 0.06 * cv.noise(rng, 1.3)
    sheen = (
        (0.10 * light.gloss(n, light.KEY, 14) + 0.13 * light.gloss(n, light.KEY, 50)) * oily * pores * shadow
    )
    colour = colour + sheen[..., None] * rgb("#fff0df")
    # light of the far wall on the shaded edge
    edge = (1 - n[..., 2]) ** 2.2 * np.clip(n[..., 0], 0, 1)
    colour = colour + (0.20 * edge * mask)[..., None] * rgb(look.rim)
    colour *= (1 + 0.0085 * cv.noise(rng, 0.6) + 0.006 * cv.noise(rng, 1.6))[..., None]

    colour = _nose(cv, colour, shape)
    return _lips(cv, colour, shape, look, n, lit, rng)


def _nose(cv: Canvas, colour: Image, shape: FaceShape) -> Image:
    base, w = shape.nose_base_y, shape.nose_width
    dark = rgb("#4a2018")
    for s in (-1, 1):
        hole = spline([(CX + s * 7.5, base - 0.5), (CX + s * 12, base - 4.6), (CX + s * 19, base - 4.2),
                       (CX + s * 23.0, base - 0.2), (CX + s * 17, base + 2.0), (CX + s * 10.5, base + 2.4)],
                      80, closed=True)  # fmt: skip
        colour = mix(colour, dark, 0.70 * cv.poly(hole, 1.4))
        wing = spline([(CX + s * (w - 2), base - 19), (CX + s * (w + 1.2), base - 12), (CX + s * (w - 0.2), base - 5),
                       (CX + s * (w - 8), base + 1)], 80)  # fmt: skip
        colour = mix(colour, rgb("#8f4a38"), 0.26 * cv.stroke(wing, ((0, 0.4), (0.55, 3.0), (1, 1.4)), 1.5))
    return colour


def _lips(
    cv: Canvas, colour: Image, shape: FaceShape, look: Look, n: Image, lit: Image, rng: np.random.Generator
) -> Image:
    c = lip_curves(shape)
    upper = cv.poly(np.vstack([c["top"], c["line"][::-1]]), 1.3)
    lower = cv.poly(np.vstack([c["line"], c["bottom"][::-1]]), 1.5)
    both = np.clip(upper + lower, 0, 1)
    paint = ramp(look.lips, lit[..., 1:2].repeat(3, -1))
    paint = paint * (1 - 0.15 * upper[..., None] * rgb("#80c0c0"))
    lines = cv.noise(rng, 0.9) * 0.5 + np.sin((cv.x - CX) * 1.15 + 0.9 * cv.noise(rng, 5)) * 0.4
    lines *= np.clip(1 - np.abs(cv.x - CX) / shape.mouth_half, 0, 1)
    paint = paint * (1 + 0.020 * lines)[..., None]
    colour = mix(colour, paint, look.lip_strength * both)
    my = shape.mouth_y
    wet = cv.blob(CX - 11, my + 11.5, 15, 3.4, -3) + 0.5 * cv.blob(CX + 14, my + 12.5, 9, 2.8, 8)
    wet = (
        wet * (1 + 0.30 * lines) * lower
        + 0.30 * cv.blob(CX - 10, my - shape.upper_lip + 4, 7, 2.0, -14) * upper
    )
    colour = colour + (0.20 * np.clip(wet, 0, 1.5))[..., None] * rgb("#ffe9e2")
    ridge = cv.stroke(c["top"], ((0, 0.3), (0.3, 1.8), (0.5, 1.4), (0.7, 1.8), (1, 0.3)), 1.2)
    ridge = cv.shift(ridge, 0, -2.0)
    colour = colour + (0.055 * ridge)[..., None] * rgb("#fff0e4")
    seam = cv.stroke(c["line"], ((0, 1.4), (0.12, 1.9), (0.5, 2.1), (0.88, 1.9), (1, 1.4)), 0.8)
    colour = mix(colour, rgb(look.lip_seam), 0.88 * seam)
    soft = cv.stroke(c["line"], ((0, 3), (0.5, 7), (1, 3)), 2.4)
    colour = mix(colour, rgb(look.lip_seam), 0.16 * soft)
    for s in (-1, 1):
        colour = mix(
            colour, rgb("#8a4638"), 0.42 * cv.blob(CX + s * (shape.mouth_half + 1.2), my - 6.0, 3.6, 2.8)
        )
    return colour
