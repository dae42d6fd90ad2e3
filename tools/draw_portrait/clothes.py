"""Background and clothes: a plain graded wall, an ivory top, a tailored jacket.

Developer tool.
"""

from __future__ import annotations

import numpy as np

from . import light
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


def paint_clothes(
    cv: Canvas, picture: Image, neck_half: float, look: Look, rng: np.random.Generator
) -> Image:
    """Ivory round-necked top under a jacket with notched lapels; the collar passes behind the neck."""
    x, y = cv.x - CX, cv.y
    ax = np.abs(x)
    weave = 0.5 * cv.noise(rng, 0.6) + 0.35 * np.sin(x * 1.9 + y * 1.9) + 0.35 * np.sin(x * 1.9 - y * 1.9)
    key = np.clip(0.62 - 0.0011 * x - 0.0009 * (y - 860), 0, 1)

    if look.necklace:
        chain = spline([(CX - 92, 716), (CX - 72, 752), (CX - 50, 788), (CX - 22, 818), (CX, 826), (CX + 22, 818), (CX + 50, 788),
                        (CX + 72, 752), (CX + 92, 716)], 200)  # fmt: skip
        picture = mix(
            picture,
            picture * rgb("#a8674f"),
            0.45 * cv.stroke(chain + np.float32(2.0), ((0, 2), (1, 2)), 1.4),
        )
        links = 0.72 + 0.28 * np.sin(cv.x * 2.6 + cv.y * 2.1)
        picture = mix(
            picture,
            rgb(look.necklace) * links[..., None],
            0.95 * cv.stroke(chain, ((0, 1.5), (1, 1.5))) * smoothstep(ax, 86, 80),
        )
        for r, tone in ((5.2, look.necklace), (3.4, "#f6e3b4")):
            drop = smoothstep(np.hypot(x, y - 831.5), r, r - 1.2)
            picture = mix(picture, rgb(tone), drop)
        picture = mix(picture, rgb("#ffffff"), cv.blob(CX - 1.4, 830, 1.0, 1.0))

    # top
    neckline = [
        (CX - 118, 760),
        (CX - 96, 806),
        (CX - 56, 846),
        (CX, 862),
        (CX + 56, 846),
        (CX + 96, 806),
        (CX + 118, 760),
    ]
    collar = spline(neckline, 200)
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

    wider = neck_half - 77.0  # the collar was drawn round a neck of this half width
    # jacket: one relief for torso, lapels and folds, so edges and folds take the same light
    body_r, body_l = _both(cv, [(dx + wider * (yy < 830 and dx < 160), yy) for dx, yy in _JACKET], 0.4)
    body = np.maximum(body_r, body_l)
    behind = smoothstep(ax, neck_half + 2.5, neck_half + 0.5) * smoothstep(y, 800, 762)
    body = body * (1 - behind)
    drop = cv.blur(cv.shift(body, 0, 5), 6)
    picture = mix(picture, picture * rgb("#8f7a6c"), 0.55 * drop * (1 - body))
    laps = [
        cv.poly(_crisp(np.array([(CX + s * (dx + wider * (yy < 830)), yy) for dx, yy in _LAPEL], np.float32)))
        for s in (-1, 1)
    ]
    lap = np.maximum(*laps)
    z = 150 * np.sqrt(np.clip(1 - (ax / 415) ** 2.6, 0.01, 1)) - 60 * smoothstep(y, 900, 730)
    arm = 303 - (y - 880) * 0.12
    z -= 11 * np.exp(-0.5 * ((ax - arm) / 8) ** 2) * smoothstep(y, 880, 960)
    z += 14 * np.exp(-0.5 * ((ax - arm - 34) / 30) ** 2) * smoothstep(y, 830, 950)
    for fx, fy, w, ang, deep in _FOLDS:
        z -= deep * cv.blob(CX + fx, fy, w, 6.5, ang)
    z += 1.6 * cv.noise(rng, 34) + 0.020 * weave
    z += 5.5 * cv.blur(lap, 1.6) + 7 * np.exp(-0.5 * ((ax - (96 - (y - 740) * 0.31)) / 13) ** 2) * lap
    n = light.normals(cv, np.asarray(z, np.float32))
    amount = 0.10 + 0.52 * light.diffuse(n, light.KEY, 0.2) + 0.12 * light.diffuse(n, light.FILL, 0.3)
    amount = amount + 0.10 * light.gloss(n, light.KEY, 10) - 0.10 * smoothstep(y, 880, 1040) + 0.010 * weave
    under = np.clip(cv.blur(cv.shift(lap, 0, 5), 5) - lap, 0, 1)
    amount = amount * (1 - 0.42 * under) + 0.02 * lap
    edge = np.clip(n[..., 0], 0, 1) * (1 - n[..., 2]) ** 1.2 * smoothstep(ax, 250, 380)
    amount = amount + 0.40 * edge
    cloth = ramp(
        ((0.0, look.jacket_dark), (0.42, look.jacket), (1.0, look.jacket_light)),
        np.asarray(amount, np.float32),
    )
    picture = mix(picture, cloth, body)
    for s in (-1, 1):
        seam = spline([(CX + s * 98, 842), (CX + s * 118, 866), (CX + s * 140, 878)], 60)
        picture = mix(picture, rgb(look.jacket_dark), 0.65 * cv.stroke(seam, ((0, 1.2), (1, 1.8)), 0.6))
    return picture


# right half of the jacket: up the neck, over the shoulder, down the sleeve, back up the front edge
_JACKET: list[Point] = [
    (72, 712), (100, 728), (134, 754), (200, 782), (290, 808), (338, 834), (364, 880), (376, 950), (384, 1040),
    (380, 1140), (120, 1140), (2, 1090), (26, 985), (64, 890), (82, 800),
]  # fmt: skip
# right lapel, from the neck round the notch to the button, and back along the roll; dx from the axis
_LAPEL: list[Point] = [
    (72, 712), (100, 730), (130, 764), (160, 806), (176, 846), (184, 864), (140, 878), (188, 902), (152, 956), (86, 1024),
    (30, 1070), (-4, 1070), (20, 990), (58, 886), (74, 800),
]  # fmt: skip
# folds: dx from the axis, y, half length, angle, depth
_FOLDS = (
    (-250, 912, 44, -40, 6.0), (-262, 965, 36, -54, 5.0), (-220, 868, 40, -26, 2.5), (-338, 940, 30, -66, 4.0),
    (244, 925, 48, 44, 5.0), (272, 985, 34, 58, 5.0), (232, 850, 40, 18, 2.5), (344, 915, 24, 72, 4.0), (-160, 1010, 44, 24, 2.5),
    (140, 1000, 40, -34, 3.0),
)  # fmt: skip


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
