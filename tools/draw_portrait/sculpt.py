"""The head as a relief: height (towards the viewer, design units) over the picture plane.

Developer tool. A head seen straight on and far away is a height field, so it is modelled as a few superellipse
sections plus Gaussian forms, like clay: sockets, brow ridge, nose, muzzle, lips, chin, cheekbones.
`FaceShape` is in design units around x = 512; the left half mirrors the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Image, Point, profile, smoothstep, spline

LIFT = 28.0  # how far neck and shoulders were raised after they were first laid out
CX = 512.0  # the face's axis


@dataclass(frozen=True)
class FaceShape:
    """Proportions of one face, design units."""

    #: half width of the face over y, from the skull to the chin
    half_width: tuple[Point, ...] = (
        (118, 30), (140, 84), (180, 120), (230, 141), (290, 150), (345, 153.5), (400, 153), (440, 150),
        (480, 144), (520, 135), (550, 125), (577, 111), (602, 94.5), (624, 75), (641, 55.5), (652, 38), (658.5, 22), (661.5, 9), (662.5, 0),
    )  # fmt: skip
    #: height of the midline over y (nose, lips and chin are added on top)
    midline: tuple[Point, ...] = (
        (118, -95), (150, -62), (190, -34), (230, -16), (280, -4), (330, 2), (380, -4), (440, 0), (500, 3),
        (560, 5), (610, -1), (640, -9), (663, -34),
    )  # fmt: skip
    depth: float = 112.0
    eye_x: float = 71.0
    eye_y: float = 394.0
    eye_half: float = 38.0  # half the length of the eye opening
    nose_tip_y: float = 490.0
    nose_base_y: float = 505.0
    nose_width: float = 33.0
    nose_height: float = 44.0
    mouth_y: float = 561.0
    mouth_half: float = 58.5
    upper_lip: float = 17.0
    lower_lip: float = 23.0
    chin_y: float = 634.0
    jaw_bulk: float = 0.0
    neck_half: float = 77.0
    ear_x: float = 156.0


def face_outline(shape: FaceShape) -> Image:
    """Closed outline of the head, (n, 2)."""
    y = np.linspace(shape.half_width[0][0], shape.half_width[-1][0], 420).astype(np.float32)
    # drawn a hair inside the relief, whose very rim turns edge-on and would paint as a line
    w = profile(shape.half_width, y) * np.float32(0.984)
    y = np.where(y > 400, 400 + (y - 400) * np.float32(0.993), y)
    right = np.stack([CX + w, y], 1)
    left = np.stack([CX - w, y], 1)[::-1]
    return np.asarray(np.vstack([right, left]), np.float32)


def lip_curves(shape: FaceShape) -> dict[str, Image]:
    """Upper edge, line between the lips and lower edge, each from the left corner to the right, (n, 2)."""
    m, y = shape.mouth_half, shape.mouth_y
    up, lo = shape.upper_lip, shape.lower_lip

    def mirrored(half: list[Point]) -> Image:
        pts = [(CX + dx, y + dy) for dx, dy in half]
        return spline([(2 * CX - px, py) for px, py in pts[:0:-1]] + pts, 200)

    return {
        "top": mirrored(
            [(0, -up + 3.6), (6, -up + 1.8), (13, -up), (24, -up + 3.2), (40, -up * 0.47), (m, -8.4)]
        ),
        "line": mirrored([(0, 2.0), (9, 0.9), (20, -0.8), (34, 0.0), (46, -3.9), (m, -8.6)]),
        "bottom": mirrored([(0, lo), (13, lo - 0.6), (27, lo * 0.78), (42, lo * 0.36), (m, -8.2)]),
    }


def face_height(cv: Canvas, shape: FaceShape) -> Image:
    """Height of the skin, lids closed over the eyeballs, (h, w)."""
    x, y = cv.x - CX, cv.y
    ax = np.abs(x)
    hw = np.maximum(profile(shape.half_width, y), 1.0)
    r = np.clip(hw / 153.5, 0, 1)
    d = shape.depth * np.sqrt(np.clip(1 - (1 - r) ** 2.6, 0, 1))
    t = np.clip(ax / hw, 0, 0.9985)
    z = profile(shape.midline, y) + d * (1 - t**2.45) ** (1 / 2.25)

    def pair(cx: float, cy: float, sx: float, sy: float, angle: float = 0.0) -> Image:
        return cv.blob(CX - cx, cy, sx, sy, -angle) + cv.blob(CX + cx, cy, sx, sy, angle)

    e = shape.eye_x
    # brow ridge, sockets, eyeballs under the lids
    z += 4.5 * pair(e + 2, shape.eye_y - 44, 34, 12, -6)
    z += 3.0 * cv.blob(CX, shape.eye_y - 42, 26, 18)
    z -= 9.0 * pair(e - 30, shape.eye_y - 10, 17, 20) + 6.5 * pair(e + 4, shape.eye_y - 22, 36, 9)
    z -= 4.0 * pair(e + 2, shape.eye_y + 26, 34, 10)
    ball = np.clip(1 - ((ax - e) / 43) ** 2 - ((y - shape.eye_y) / 31) ** 2, 0, 1)
    z += 10.5 * ball**1.6
    # forehead
    z += 5.0 * pair(48, 268, 40, 34)
    # cheekbones and cheeks, hollow below, jaw corner
    z += 9.5 * pair(98, 446, 38, 27, -14) + 5.0 * pair(70, 466, 26, 24)
    z -= 6.0 * pair(112, 520, 26, 34, 18)
    z += shape.jaw_bulk * pair(112, 575, 26, 24)
    # nose: ridge, tip, wings
    base, tip = shape.nose_base_y, shape.nose_tip_y
    ridge = profile(
        ((320, 0), (345, 0.4), (374, 3.5), (395, 7), (425, 14), (455, 22), (tip - 16, 27.5), (tip - 5, 31),
         (tip + 4, 28.5), (base - 2, 17), (base + 6, 6.5), (base + 14, 1.5), (base + 24, 0), (base + 40, 0)), y)  # fmt: skip
    width = profile(
        (
            (330, 22),
            (350, 21),
            (390, 15.5),
            (430, 16),
            (460, 17),
            (tip, 18.5),
            (base + 12, 24),
            (base + 40, 25),
        ),
        y,
    )
    z += shape.nose_height / 44 * ridge * np.exp(-0.5 * np.abs(ax / width) ** 2.05)
    z += 12.0 * cv.blob(CX, tip - 2, 13, 11)
    z += 15.0 * pair(shape.nose_width - 9, base - 12, 9.5, 10)
    z -= 3.0 * pair(shape.nose_width + 2.5, base - 9, 3.6, 8, 8)  # the crease round the wing
    z -= 11.0 * pair(14.5, base - 0.5, 7.0, 3.6, 12)  # nostrils
    z += 4.0 * cv.blob(CX, base, 4.5, 8)  # columella
    # folds from the nose to the mouth corners
    z -= 2.6 * pair(50, 520, 7, 28, 24)
    z += 3.2 * pair(66, 512, 14, 30, 24)
    # muzzle, philtrum, lips
    my = shape.mouth_y
    z += 13.0 * cv.blob(CX, my - 2, 52, 40)
    z -= 3.2 * cv.blob(CX, my - 36, 5.0, 13)
    z += 1.7 * pair(10, my - 35, 4.2, 13, -7)
    curves = lip_curves(shape)
    xs = cv.x[0]
    top, line, bottom = (np.interp(xs, c[:, 0], c[:, 1])[None, :] for c in
                         (curves["top"], curves["line"], curves["bottom"]))  # fmt: skip
    inside = np.clip(1 - (ax / shape.mouth_half) ** 2, 0, 1)
    up = np.clip((line - y) / np.maximum(line - top, 0.5), -1, 2)
    lo = np.clip((y - line) / np.maximum(bottom - line, 0.5), -1, 2)
    upper = np.where(up >= 0, np.sqrt(np.clip(up, 0, 1) + 1e-4) * np.clip(1.35 - up, 0, 1), 0)
    lower = np.where(
        lo >= 0, np.clip(1 - (lo - 0.42) ** 2 / 0.42, 0, 1) * (np.clip(lo, 0, 1) + 0.02) ** 0.35, 0
    )
    z += (9.0 * upper * inside**0.6 + 12.0 * lower * inside**0.6).astype(np.float32)
    z += 1.5 * cv.blob(CX, my - 5, 8, 5)
    z -= 3.6 * pair(shape.mouth_half + 2, my - 5, 6, 7)  # the corners sink in
    z += 1.2 * pair(shape.mouth_half + 15, my + 2, 9, 16)
    # hollow under the lip, chin
    z -= 7.5 * cv.blob(CX, my + 37, 30, 9)
    z += 11.0 * cv.blob(CX, shape.chin_y, 27, 19)
    return np.asarray(z, np.float32)


def neck_height(cv: Canvas, shape: FaceShape) -> Image:
    """Height of neck and chest, far behind the chin, (h, w)."""
    x, y = cv.x - CX, cv.y + LIFT
    hw = profile(((560, shape.neck_half), (700, shape.neck_half), (740, shape.neck_half + 8),
                  (790, shape.neck_half + 60), (840, 260), (1024, 420)), y)  # fmt: skip
    t = np.clip(np.abs(x) / hw, 0, 0.999)
    z = -70 + shape.neck_half * 1.15 * np.sqrt(1 - t**2.2)
    z = z + smoothstep(y, 745, 860) * 26
    # the two cords that run to the notch, the notch and the collar bones
    ax = np.abs(x)
    cord = 54 - (y - 650) * 0.235
    z += 4.5 * np.exp(-0.5 * ((ax - cord) / 8.5) ** 2) * smoothstep(y, 650, 700) * smoothstep(y, 825, 780)
    z -= 7.0 * cv.blob(CX, 815, 13, 12)
    bone = 812 - (ax - 20) * 0.10
    z += 6.0 * np.exp(-0.5 * ((y - bone) / 7) ** 2) * smoothstep(ax, 12, 40)
    z -= 4.0 * np.exp(-0.5 * ((y - bone + 17) / 9) ** 2) * smoothstep(ax, 30, 70)
    return np.asarray(z, np.float32)


def neck_outline(shape: FaceShape) -> Image:
    """Closed outline of neck and shoulders, (n, 2)."""
    h = shape.neck_half
    knots = [
        (h - 4, 560),
        (h - 1, 640),
        (h + 1, 690),
        (h + 7, 724),
        (h + 36, 768),
        (h + 110, 808),
        (230, 850),
        (230, 1080),
    ]
    right = spline([(CX + x, y - LIFT) for x, y in knots], 200)
    left = np.stack([2 * CX - right[:, 0], right[:, 1]], 1)[::-1]
    return np.asarray(np.vstack([right, left]), np.float32)
