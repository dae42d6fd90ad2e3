"""Background and clothes: a plain graded wall, an ivory top, a tailored jacket.

Developer tool.
"""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Image, Point, mix, ramp, rgb, smoothstep, spline
from .look import Look
from .sculpt import CX


def paint_wall(cv: Canvas, look: Look, rng: np.random.Generator) -> Image:
    """A softly lit wall: brighter behind one shoulder, falling off to the corners."""
    glow = 0.75 * cv.blob(610, 430, 330, 360) + 0.30 * cv.blob(330, 250, 360, 330)
    t = 0.30 + 0.62 * glow - 0.16 * smoothstep(cv.y, 500, 1024) + 0.010 * cv.noise(rng, 60)
    wall = ramp(look.wall, np.asarray(t, np.float32))
    return np.asarray(wall + 0.004 * cv.noise(rng, 0.7)[..., None], np.float32)


def _both(cv: Canvas, half: list[Point], soft: float = 0.0) -> tuple[Image, Image]:
    """The mask of an outline given on the right (dx from the axis), and its mirror."""
    r = spline([(CX + x, y) for x, y in half], 260, closed=True)
    left = np.stack([2 * CX - r[:, 0], r[:, 1]], 1)
    return cv.poly(r, soft), cv.poly(left, soft)


def paint_clothes(cv: Canvas, picture: Image, look: Look, rng: np.random.Generator) -> Image:
    """Ivory round-necked top under a jacket with notched lapels."""
    x, y = cv.x - CX, cv.y
    ax = np.abs(x)
    weave = 0.5 * cv.noise(rng, 0.6) + 0.35 * np.sin(x * 1.9 + y * 1.9) + 0.35 * np.sin(x * 1.9 - y * 1.9)
    key = np.clip(0.62 - 0.0011 * x - 0.0009 * (y - 860), 0, 1)

    # top
    neck = [
        (CX - 118, 760),
        (CX - 96, 806),
        (CX - 56, 846),
        (CX, 862),
        (CX + 56, 846),
        (CX + 96, 806),
        (CX + 118, 760),
    ]
    collar = spline(neck, 200)
    top = cv.poly(
        np.vstack([collar, [[CX + 230, 800], [CX + 230, 1040], [CX - 230, 1040], [CX - 230, 800]]]).astype(
            np.float32
        )
    )
    fold = 0.10 * np.sin(x * 0.045 + 0.6 * np.sin(y * 0.02)) * smoothstep(y, 850, 960)
    silk = ramp(
        ((0.0, look.blouse_dark), (0.6, look.blouse), (1.0, "#ffffff")),
        np.asarray(key + 0.10 + fold, np.float32),
    )
    silk = silk * (1 + 0.006 * weave)[..., None]
    shade = cv.blur(cv.poly(np.vstack([collar, [[CX + 130, 700], [CX - 130, 700]]]).astype(np.float32)), 7)
    picture = mix(picture, picture * rgb("#c58f78"), 0.5 * cv.blur(top, 5))
    picture = mix(picture, silk * (1 - 0.22 * shade[..., None]), top)
    hem = cv.stroke(collar + np.array([0, 5], np.float32), ((0, 1.4), (1, 1.4)), 0.8)
    picture = mix(picture, picture * rgb("#c9b8a8"), 0.8 * hem)

    # jacket body
    body_r, body_l = _both(cv, [(92, 722), (128, 752), (200, 784), (290, 814), (344, 846), (372, 905), (392, 1040), (330, 1060),
                                (120, 1060), (2, 1050), (26, 985), (66, 890), (92, 810)], 0.4)  # fmt: skip
    body = np.maximum(body_r, body_l)
    drop = cv.blur(cv.shift(body, 0, 5), 6)
    picture = mix(picture, picture * rgb("#8f7a6c"), 0.55 * drop * (1 - body))
    turn = smoothstep(ax, 420, 250)
    sleeve = np.exp(-0.5 * ((ax - 300 - (y - 900) * 0.10) / 12) ** 2) * smoothstep(y, 880, 960)
    creases = (0.07 * np.sin(ax * 0.05 + y * 0.035 + np.sign(x)) * smoothstep(y, 860, 980)
               + 0.035 * cv.noise(rng, 40))  # fmt: skip
    amount = 0.18 + 0.50 * (key - 0.2) * (0.4 + 0.6 * turn) + creases - 0.22 * sleeve
    shoulder = smoothstep(y, 960, 820) * 0.16 * turn
    cloth = ramp(
        ((0.0, look.jacket_dark), (0.4, look.jacket), (1.0, look.jacket_light)),
        np.asarray(amount + shoulder, np.float32),
    )
    picture = mix(picture, cloth * (1 + 0.018 * weave)[..., None], body)

    # lapels
    for s in (-1, 1):
        pts = [(90, 722), (128, 762), (160, 806), (176, 846), (184, 864), (140, 878), (188, 902), (152, 956), (86, 1024),
               (30, 1062), (-4, 1062), (20, 990), (58, 886), (84, 800)]  # fmt: skip
        raw = np.array([(CX + s * dx, yy) for dx, yy in pts], np.float32)
        lap = cv.poly(_crisp(raw))
        cast = cv.blur(cv.shift(lap, 4 * s, 5), 5)
        picture = mix(picture, picture * rgb("#4a4a52"), 0.62 * cast * body * (1 - lap))
        roll = np.clip(1 - np.abs((ax - (104 - (y - 748) * 0.30)) / 34), 0, 1)
        amt = amount + 0.09 + 0.16 * roll * (1.0 if s < 0 else 0.55)
        tone = ramp(
            ((0.0, look.jacket_dark), (0.4, look.jacket), (1.0, look.jacket_light)),
            np.asarray(amt, np.float32),
        )
        picture = mix(picture, tone * (1 + 0.018 * weave)[..., None], lap)
        edge = cv.stroke(_crisp(raw)[: int(len(raw) * 8 * 0.66)], ((0, 1.3), (1, 1.3)), 0.6)
        picture = picture + (0.07 * edge)[..., None] * rgb("#d8e0ee")
        seam = spline([(CX + s * 98, 842), (CX + s * 118, 866), (CX + s * 140, 878)], 60)
        picture = mix(picture, rgb(look.jacket_dark), 0.65 * cv.stroke(seam, ((0, 1.2), (1, 1.8)), 0.5))
    return picture


def _crisp(points: Image) -> Image:
    """A closed outline with straight runs and barely rounded corners."""
    p = np.asarray(points)
    out = []
    for a, b, c in zip(np.roll(p, 1, 0), p, np.roll(p, -1, 0), strict=True):
        r = 0.18
        s, e = b + (a - b) * r, b + (c - b) * r
        t = np.linspace(0, 1, 8)[:, None]
        out.append((1 - t) ** 2 * s + 2 * t * (1 - t) * b + t**2 * e)
    return np.vstack(out).astype(np.float32)
