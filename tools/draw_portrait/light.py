"""Soft studio light on a height field: wrapped diffuse, soft cast shadows, cavity shading, skin scatter.

Developer tool. Returns unitless light amounts (about 0..1.1) that colour ramps turn into paint.
"""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Canvas, Image

KEY = np.array([-0.50, -0.52, 0.69], np.float32) / np.float32(np.linalg.norm([-0.50, -0.52, 0.69]))
FILL = np.array([0.75, -0.05, 0.66], np.float32) / np.float32(np.linalg.norm([0.75, -0.05, 0.66]))
BOUNCE = np.array([0.10, 0.80, 0.59], np.float32)
VIEW = np.array([0, 0, 1], np.float32)


def normals(cv: Canvas, z: Image) -> Image:
    """Unit normals (h, w, 3) of a height field in design units; x right, y down, z to the viewer."""
    gx = cv2.Sobel(z, cv2.CV_32F, 1, 0, ksize=3, scale=cv.scale / 8)
    gy = cv2.Sobel(z, cv2.CV_32F, 0, 1, ksize=3, scale=cv.scale / 8)
    n = np.stack([-gx, -gy, np.ones_like(gx)], -1)
    return np.asarray(n / np.linalg.norm(n, axis=-1, keepdims=True), np.float32)


def cast_shadow(
    cv: Canvas, z: Image, light: Image = KEY, reach: float = 190.0, softness: float = 0.30
) -> Image:
    """1 in light, 0 in shadow: marches towards the light at a third of the size; penumbra grows with distance."""
    f = 0.5 / cv.scale
    small = cv2.resize(z, None, fx=f, fy=f, interpolation=cv2.INTER_AREA)
    h, w = small.shape
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    flat = float(np.hypot(light[0], light[1]))
    lit = np.ones((h, w), np.float32)
    step = 2.0
    for k in range(2, int(reach / step)):
        dist = k * step
        dx, dy = light[0] / flat * dist, light[1] / flat * dist
        there = cv2.remap(
            small, xx + dx * 0.5, yy + dy * 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        ray = small + dist * light[2] / flat
        lit = np.minimum(lit, 0.5 + (ray - there) / (2 * softness * dist))
    lit = cv2.GaussianBlur(np.clip(lit, 0, 1), (0, 0), 1.6)
    lit = lit * lit * (3 - 2 * lit)
    return np.asarray(cv2.resize(lit, (cv.w, cv.h), interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float32)


def cavity(cv: Canvas, z: Image, sigma: float, gain: float) -> Image:
    """Negative in hollows, positive on ridges: height against its blurred self, squashed to -1..1."""
    return np.asarray(np.tanh((z - cv.blur(z, sigma)) * gain), np.float32)


def diffuse(n: Image, light: Image, wrap: float) -> Image:
    """Lambert with a soft terminator, 0..1."""
    return np.asarray(np.clip((n @ light + wrap) / (1 + wrap), 0, None) ** 1.15, np.float32)


def gloss(n: Image, light: Image, power: float) -> Image:
    """Blinn highlight."""
    half = (light + VIEW) / np.linalg.norm(light + VIEW)
    return np.asarray(np.clip(n @ half, 0, 1) ** power, np.float32)


def scatter(cv: Canvas, amount: Image) -> Image:
    """Light that travelled under the skin: red far, blue hardly, (h, w, 3)."""
    near = cv.blur(amount, 0.8)
    red = 0.45 * cv.blur(amount, 5.0) + 0.25 * cv.blur(amount, 2.0) + 0.30 * near
    green = 0.55 * cv.blur(amount, 1.8) + 0.45 * near
    return np.stack([red, green, near], -1)
