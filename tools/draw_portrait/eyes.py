"""Eyes and brows: sclera, iris, catchlights, lid margins, crease, lashes, brow hairs.

Developer tool. Each function paints onto an RGB picture in place, in a small window for speed.
"""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Canvas, Image, mix, profile, ramp, rgb, smoothstep, spline
from .look import Look
from .sculpt import CX, FaceShape


def _window(cv: Canvas, cx: float, cy: float, rx: int, ry: int) -> tuple[Canvas, tuple[slice, slice]]:
    x0, y0 = round(cx) - rx, round(cy) - ry
    sub = Canvas(cv.scale, (x0, y0, x0 + 2 * rx, y0 + 2 * ry))
    px, py = round((x0 - cv.x0) * cv.scale), round((y0 - cv.y0) * cv.scale)
    return sub, (slice(py, py + sub.h), slice(px, px + sub.w))


def lid_curves(shape: FaceShape, side: int, look: Look) -> tuple[Image, Image]:
    """Upper and lower lid margins from the inner to the outer corner, (n, 2) each."""
    e, h, y = shape.eye_x, shape.eye_half, shape.eye_y
    o = look.eye_open

    def pts(raw: list[tuple[float, float]]) -> Image:
        return spline([(CX + side * (e + dx * h), y + dy) for dx, dy in raw], 120)

    upper = pts([(-1.0, 6.2), (-0.90, 2.2), (-0.66, -6.5 * o), (-0.30, -13.0 * o), (0.06, -15.4 * o),
                 (0.40, -13.6 * o), (0.71, -7.8 * o), (0.94, -1.0)])  # fmt: skip
    lower = pts(
        [(-1.0, 6.2), (-0.84, 8.0), (-0.52, 10.2), (-0.10, 12.6), (0.30, 12.2), (0.66, 7.4), (0.94, -1.0)]
    )
    return upper, lower


def paint_eye(
    cv: Canvas, picture: Image, shape: FaceShape, look: Look, side: int, rng: np.random.Generator
) -> None:
    """side -1: the eye on the left of the picture."""
    ex, ey, h = CX + side * shape.eye_x, shape.eye_y, shape.eye_half
    sub, where = _window(cv, ex, ey, 62, 46)
    out = picture[where].copy()
    upper, lower = lid_curves(shape, side, look)
    opening = sub.poly(np.vstack([upper, lower[::-1]]))
    u = (sub.x - ex) * side / h  # -1 inner .. 1 outer
    # the lid: crease, the fold's shadow, the small bulge below the eye
    n = len(upper)
    frac = np.linspace(0, 1, n).astype(np.float32)
    lift = profile(look.crease, frac)
    crease = upper - np.stack([np.zeros(n, np.float32), lift], 1)
    crease[:, 0] += side * profile(((0, -1), (0.8, 0), (1, 3.0)), frac)
    lid = sub.poly(np.vstack([crease, upper[::-1]]), 1.4)
    out = mix(out, out * rgb(look.eye_shadow), 0.55 * lid)
    out = out + (0.07 * sub.blob(ex + side * 2, ey - 19.5, 13, 2.2, side * 3) * lid)[..., None]
    fold = sub.stroke(crease, ((0, 0.2), (0.12, 1.2), (0.5, 1.9), (0.85, 2.0), (1, 0.3)), 0.9)
    out = mix(out, rgb("#5d3327"), 0.62 * fold)
    shade = sub.stroke(crease - np.array([0, 1.5], np.float32), ((0, 1), (0.5, 7), (0.9, 8), (1, 2)), 3.2)
    out = mix(out, out * rgb("#c99a86"), 0.42 * shade)
    bag = lower[20:] + np.array([0, 5.0], np.float32)
    out = out + (0.045 * sub.stroke(bag, ((0, 1), (0.5, 5), (1, 1)), 1.8))[..., None] * rgb("#ffe8da")
    under = lower[16:-8] + np.array([0, 10.5], np.float32)
    out = mix(out, out * rgb("#d3a08c"), 0.22 * sub.stroke(under, ((0, 2), (0.4, 5), (1, 1)), 3.4))

    # eyeball
    iris_x, iris_y, r = ex - side * 0.6, ey - 1.2, look.iris_radius
    ball = np.clip(1 - ((sub.x - ex) / 44) ** 2 - ((sub.y - ey) / 36) ** 2, 0, 1)
    white = ramp(((0.2, "#a98a80"), (0.55, "#d5c3ba"), (0.8, "#ebe1da"), (1.0, "#f6f0ea")), ball)
    white = mix(
        white,
        white * rgb("#f0b9a8"),
        0.50 * np.clip(smoothstep(u, -0.55, -1.0) + smoothstep(u, 0.72, 1.0), 0, 1),
    )
    rx, ry = (sub.x - iris_x) / r, (sub.y - iris_y) / r
    rr, ang = np.hypot(rx, ry), np.arctan2(ry, rx)
    fibre_keys = rng.standard_normal(96)
    fibre = np.interp((ang + np.pi) / (2 * np.pi) * 96, np.arange(97), np.append(fibre_keys, fibre_keys[0]))
    fine_keys = rng.standard_normal(260)
    fibre += 0.8 * np.interp(
        (ang + np.pi) / (2 * np.pi) * 260, np.arange(261), np.append(fine_keys, fine_keys[0])
    )
    glow = np.clip(0.62 + 0.40 * (0.45 * rx + 0.80 * ry), 0, 1.1) * smoothstep(rr, 0.30, 0.62)
    tone = np.clip(0.26 + 0.62 * glow + 0.055 * fibre * smoothstep(rr, 0.3, 0.5), 0, 1)
    tone = tone * (1 - 0.75 * smoothstep(rr, 0.74, 1.0))
    iris = ramp(look.iris, np.asarray(tone, np.float32))
    pupil = smoothstep(rr.astype(np.float32), 0.46, 0.36)
    iris = mix(iris, rgb("#0b0605"), pupil)
    disc = sub.blur(smoothstep(rr.astype(np.float32), 1.03, 0.93), 0.5)
    eye = mix(white, iris, disc)
    eye = mix(eye, eye * rgb("#8f8078"), 0.35 * smoothstep(rr.astype(np.float32), 1.22, 1.0) * (1 - disc))
    # the upper lid shades the ball
    below = sub.blur(sub.shift(opening, 0, 6.0), 2.4)
    eye = eye * (0.44 + 0.56 * below)[..., None]
    # the lamp in the eye, its faint twin, and the glow opposite
    lamp = sub.poly(spline([(iris_x - 7.6, iris_y - 7.8), (iris_x - 3.2, iris_y - 8.4), (iris_x - 2.4, iris_y - 3.6),
                            (iris_x - 6.8, iris_y - 3.0)], 60, closed=True), 0.45)  # fmt: skip
    eye = mix(eye, rgb("#fffaf2"), 0.95 * lamp)
    eye = eye + (0.30 * sub.blob(iris_x + 6.2, iris_y + 6.4, 2.3, 1.5, -40))[..., None] * rgb("#ffd9b8")
    # wet corner
    ix = CX + side * (shape.eye_x - h)
    corner = sub.blob(ix + side * 4.0, ey + 5.6, 3.4, 2.4)
    eye = mix(eye, rgb("#d68f80"), np.clip(1.1 * corner, 0, 0.85))
    eye = eye + (0.5 * sub.blob(ix + side * 5.0, ey + 4.8, 1.1, 0.8))[..., None]
    out = mix(out, eye, sub.blur(opening, 0.45))

    # lower margin: a lit wet shelf, then a faint lash line
    shelf = sub.stroke(
        lower + np.array([0, 0.7], np.float32), ((0, 0.6), (0.3, 2.1), (0.7, 2.1), (1, 0.6)), 0.5
    )
    out = mix(out, rgb("#dba594"), 0.75 * shelf)
    wet = sub.stroke(lower[18:-14] - np.array([0, 0.5], np.float32), ((0, 0), (0.5, 0.9), (1, 0)), 0.35)
    out = out + (0.22 * wet)[..., None]
    line = sub.stroke(lower[30:] + np.array([0, 2.0], np.float32), ((0, 0.2), (0.7, 1.5), (1, 1.6)), 0.7)
    out = mix(out, rgb("#54302a"), 0.30 * look.lashes * line)
    # upper margin and lashes
    liner = sub.stroke(upper - np.array([0, 0.6], np.float32),
                       ((0, 0.5), (0.15, 1.9), (0.5, 3.2), (0.85, 3.6), (1, 0.8)), 0.55)  # fmt: skip
    out = mix(out, rgb("#1e1110"), 0.93 * liner)
    out = mix(out, rgb("#1c100f"), 0.88 * _lashes(sub, upper, lower, side, look, rng))
    picture[where] = np.clip(out, 0, 1)


def _lashes(
    sub: Canvas, upper: Image, lower: Image, side: int, look: Look, rng: np.random.Generator
) -> Image:
    ink = np.zeros((sub.h, sub.w), np.float32)
    for k in np.linspace(0.16, 0.94, 56):
        p = upper[min(len(upper) - 1, int(k * (len(upper) - 1)))] + rng.normal(0, 0.35, 2)
        out = (k - 0.34) * 1.05 + rng.normal(0, 0.14)
        length = look.lashes * (2.6 + 5.6 * k**2.1) * rng.uniform(0.75, 1.12)
        tip = p + np.array([side * out * length, -length * (0.95 - 0.34 * k)])
        bend = p + np.array([side * out * length * 0.62, -length * 0.26])
        path = spline([tuple(p), tuple(bend), tuple(tip)], 24)
        ink = np.maximum(ink, sub.stroke(path, ((0, 0.95), (0.5, 0.62), (1, 0.08)), 0.15))
    faint = np.zeros_like(ink)
    for k in np.linspace(0.34, 0.97, 26):
        p = lower[int(k * (len(lower) - 1))] + np.array([0, 1.8]) + rng.normal(0, 0.3, 2)
        length = look.lashes * (2.2 + 2.4 * k) * rng.uniform(0.6, 1.1)
        tip = p + np.array([side * (k - 0.4) * 1.1 * length, length * 0.8])
        path = spline([tuple(p), tuple((p + tip) / 2 + np.array([0, 0.5])), tuple(tip)], 16)
        faint = np.maximum(faint, sub.stroke(path, ((0, 0.85), (1, 0.1)), 0.15))
    return np.asarray(np.maximum(ink, 0.20 * faint), np.float32)


def paint_brow(
    cv: Canvas, picture: Image, shape: FaceShape, look: Look, side: int, rng: np.random.Generator
) -> None:
    """Hundreds of short hairs along a tapered band, upright at the inner end, sweeping out along the tail."""
    e, y = shape.eye_x, shape.eye_y
    sub, where = _window(cv, CX + side * (e + 2), y - 42, 72, 34)
    out = picture[where].copy()
    spine = spline([(CX + side * (e + dx), y + dy + look.brow_lift) for dx, dy in look.brow_spine], 160)
    thick = look.brow_thickness
    widths = ((0, 0.45 * thick), (0.14, 0.85 * thick), (0.45, thick), (0.7, 0.72 * thick), (1, 0.08 * thick))
    fill = sub.stroke(spine, widths, 2.2) * profile(((0, 0.25), (0.25, 0.85), (0.8, 1), (1, 0.9)),
                                                   np.clip((sub.x - spine[0, 0]) * side / 84, 0, 1))  # fmt: skip
    out = mix(out, out * rgb("#735040"), 0.66 * fill)
    d = np.gradient(spine, axis=0)
    d /= np.hypot(d[:, 0], d[:, 1])[:, None]
    ink = np.zeros((sub.h, sub.w), np.float32)
    layer = np.zeros((sub.h * 2, sub.w * 2), np.uint8)
    fine = Canvas(sub.scale * 2, (sub.x0, sub.y0, sub.x1, sub.y1))
    for _ in range(look.brow_hairs):
        t = rng.beta(1.2, 1.1)
        i = int(t * 159)
        wid = float(profile(widths, np.array([t], np.float32))[0])
        off = np.clip(rng.normal(0, 0.30), -0.52, 0.52)
        nrm = np.array([-d[i, 1], d[i, 0]]) * (1 if d[i, 0] > 0 else -1)  # points down the face
        root = spine[i] + nrm * off * wid
        lean = float(np.interp(t, [0, 0.12, 0.4, 1], [78, 52, 24, 6])) + rng.normal(0, 7)
        lean *= 1.0 if off > -0.1 else 0.35  # upper hairs lie flatter: the two rows meet
        if t > 0.45 and off < -0.1:
            lean = -6 + rng.normal(0, 5)
        a = np.radians(lean)
        along = d[i] * np.cos(a) - nrm * np.sin(a)
        length = (5.5 + 4.5 * np.sin(np.pi * min(1, t + 0.25))) * rng.uniform(0.65, 1.15) * look.brow_length
        tip = root + along * length + d[i] * length * 0.16
        mid = (root + tip) / 2 - nrm * length * 0.07
        path = spline([tuple(root), tuple(mid), tuple(tip)], 14)
        cv2.polylines(
            layer,
            [fine.px(path)],
            False,
            int(rng.integers(90, 190) * np.interp(t, [0, 0.16], [0.45, 1])),
            2,
            cv2.LINE_AA,
            6,
        )
        if rng.random() < 0.5:
            ink = np.maximum(
                ink, cv2.resize(layer, (sub.w, sub.h), interpolation=cv2.INTER_AREA) / np.float32(255)
            )
            layer[:] = 0
    ink = np.maximum(ink, cv2.resize(layer, (sub.w, sub.h), interpolation=cv2.INTER_AREA) / np.float32(255))
    out = mix(out, rgb(look.brow), np.clip(sub.blur(np.asarray(ink, np.float32), 0.32) * 0.95, 0, 0.86))
    picture[where] = np.clip(out, 0, 1)
