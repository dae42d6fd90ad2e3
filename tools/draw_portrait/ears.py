"""One ear seen from the front: rim, inner fold, bowl and lobe as a small relief, lit like the face.

Developer tool.
"""

from __future__ import annotations

import numpy as np

from . import light
from .canvas import Canvas, Image, mix, ramp, rgb, smoothstep, spline
from .look import Look
from .sculpt import CX, FaceShape


def paint_ear(cv: Canvas, picture: Image, shape: FaceShape, look: Look, side: int) -> Image:
    """side +1: the ear on the right of the picture. The face is painted over its front edge afterwards."""
    x0, y0 = shape.ear_x, shape.eye_y

    def line(points: list[tuple[float, float]], n: int = 120, closed: bool = False) -> Image:
        return spline([(CX + side * (x0 + dx), y0 + dy) for dx, dy in points], n, closed)

    outline = line([(-16, 0), (-4, -20), (8, -27), (19, -24), (26, -10), (26, 10), (21, 32), (15, 50), (10, 66), (2, 77),
                    (-8, 76), (-16, 60)], 300, closed=True)  # fmt: skip
    mask = cv.poly(outline, 0.4)
    rim = line([(-6, -14), (4, -22.5), (14, -21.5), (21.5, -9), (21.5, 10), (17, 31), (11.5, 48)])
    inner = line([(8, -10), (13, 2), (12.5, 18), (8, 34), (1, 44)])
    z = 13 * cv.stroke(rim, ((0, 4), (0.5, 6.5), (1, 4)), 1.8)
    z += 8.5 * cv.stroke(inner, ((0, 3), (0.5, 8), (1, 4)), 2.2)
    z += 5.0 * cv.blob(CX + side * (x0 + 2), y0 + 63, 8, 9)
    z -= 9.0 * cv.blob(CX + side * (x0 - 1), y0 + 20, 7, 15, -8 * side)
    z += 3.0 * cv.blob(CX + side * (x0 - 9), y0 + 26, 4, 7)
    z += 12 * cv.blur(mask, 3.0) - 0.35 * np.maximum(0, (cv.x - CX) * side - x0)
    n = light.normals(cv, np.asarray(z, np.float32))
    amount = 0.44 * light.diffuse(n, light.KEY, 0.4) + 0.16 * light.diffuse(n, light.FILL, 0.45) + 0.10
    amount = amount + 0.10 * light.cavity(cv, np.asarray(z, np.float32), 5, 0.22)
    amount -= 0.24 * cv.blob(CX + side * (x0 + 1), y0 + 20, 5.5, 13)
    amount *= 1 - 0.42 * smoothstep((cv.x - CX) * side, x0 + 7, x0 - 7)
    skin = ramp(look.skin, light.scatter(cv, np.asarray(amount, np.float32)))
    hair = smoothstep(cv.y, y0 + 6, y0 - 22)
    skin = skin * (1 - 0.25 * hair[..., None])
    skin = skin * mix(np.ones(3, np.float32), rgb("#ffc9bb"), 0.5)
    out = mix(
        picture,
        picture * rgb("#7a5a4c"),
        0.22 * np.clip(cv.blur(cv.shift(mask, 2 * side, 5), 5) - mask, 0, 1),
    )
    out = mix(out, skin, mask)
    if look.earring:
        ex, ey = CX + side * (x0 + 2.0), y0 + 66.0
        r = np.hypot(cv.x - ex, cv.y - ey)
        out = mix(out, out * rgb("#9a6a58"), 0.5 * cv.blob(ex + 1.2, ey + 2.0, 4.2, 4.2))
        pearl = ramp(((0.0, "#8d7f78"), (0.5, "#e6dcd3"), (1.0, "#fffdf8")),
                     np.clip(0.86 - 0.045 * (cv.x - ex) - 0.08 * (cv.y - ey) - 0.004 * r**2, 0, 1))  # fmt: skip
        out = mix(out, pearl, smoothstep(np.asarray(r, np.float32), 4.9, 4.0))
        out = mix(out, rgb("#ffffff"), 0.9 * cv.blob(ex - 1.4, ey - 1.5, 0.9, 0.9))
    return out
