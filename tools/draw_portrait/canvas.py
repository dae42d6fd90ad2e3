"""Coordinates, curves, masks and colour ramps for the portrait painter.

Developer tool. Everything is laid out in "design units": a 1024 x 1024 square, x to the right, y down.
A `Canvas` samples that square (or a window of it) with `scale` pixels per unit; pictures are float32 RGB
arrays of shape (height, width, 3) in 0..1, sRGB-encoded, because the whole picture is painted by eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

Image = npt.NDArray[np.floating[Any]]
Point = tuple[float, float]

DESIGN = 1024  # design units along each side of the picture
_TABLE = 4096  # samples of a tabulated curve
_FIX = 6  # fractional bits of OpenCV's fixed-point polygon coordinates


def rgb(hex_colour: str) -> Image:
    """'#rrggbb' -> float32 (3,) in 0..1."""
    value = hex_colour.lstrip("#")
    return np.asarray(
        np.array([int(value[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / np.float32(255), np.float32
    )


def spline(points: Sequence[Point], n: int = 160, closed: bool = False) -> Image:
    """Centripetal-like Catmull-Rom through `points`, resampled to `n` points of equal arc length: (n, 2)."""
    p = np.asarray(points, np.float64)
    p = np.vstack([p[-1:], p, p[:2]]) if closed else np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, 24, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        pieces.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    if not closed:
        pieces.append(p[-2:-1])
    dense = np.vstack(pieces)
    s = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(dense, axis=0).T))])
    u = np.linspace(0, s[-1], n)
    return np.stack([np.interp(u, s, dense[:, 0]), np.interp(u, s, dense[:, 1])], 1).astype(np.float32)


def profile(knots: Sequence[Point], at: Image) -> Image:
    """Monotone cubic through (position, value) knots, evaluated at `at`, held flat outside."""
    k = np.asarray(knots, np.float64)
    x = np.linspace(k[0, 0], k[-1, 0], _TABLE)  # a table: whole pictures are looked up
    return np.asarray(np.interp(at, x, PchipInterpolator(k[:, 0], k[:, 1])(x)), np.float32)


def ramp(stops: Sequence[tuple[float, str]], at: Image) -> Image:
    """Colour ramp: (position, '#rrggbb') stops; `at` is (h, w), or (h, w, 3) to look up each channel apart."""
    xs = [s[0] for s in stops]
    cols = np.stack([rgb(s[1]) for s in stops])
    chans = [at[..., c] if at.ndim == 3 else at for c in range(3)]
    return np.stack(
        [profile(list(zip(xs, cols[:, c].tolist(), strict=True)), chans[c]) for c in range(3)], -1
    )


def mix(a: Image, b: Image, t: Image | float) -> Image:
    """Linear blend; a 2-D `t` is a mask for 3-channel pictures."""
    if isinstance(t, np.ndarray) and t.ndim == 2:
        t = t[..., None]
    return np.asarray(a + (b - a) * t, np.float32)


def smoothstep(x: Image, lo: float, hi: float) -> Image:
    """0 below `lo`, 1 above `hi`, smooth between (also with lo > hi, reversed)."""
    t = np.clip((x - lo) / (hi - lo), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


class Canvas:
    """A window of the design square, sampled at `scale` pixels per unit."""

    def __init__(self, scale: float, window: tuple[int, int, int, int] = (0, 0, DESIGN, DESIGN)) -> None:
        self.scale = scale
        self.x0, self.y0, self.x1, self.y1 = window
        self.w, self.h = round((self.x1 - self.x0) * scale), round((self.y1 - self.y0) * scale)
        self.x = (np.broadcast_to((np.arange(self.w) + 0.5) / scale + self.x0, (self.h, self.w))).astype(
            np.float32
        )
        self.y = ((np.arange(self.h) + 0.5) / scale + self.y0).astype(np.float32)[:, None].repeat(self.w, 1)

    def px(self, points: Image) -> npt.NDArray[np.int32]:
        """Design points -> OpenCV fixed-point pixel coordinates."""
        p = (np.asarray(points, np.float64) - [self.x0, self.y0]) * self.scale - 0.5
        return np.round(p * (1 << _FIX)).astype(np.int32)

    def poly(self, points: Image, soft: float = 0.0) -> Image:
        """Filled polygon as a 0..1 mask; `soft` is a Gaussian sigma in design units."""
        m = np.zeros((self.h, self.w), np.uint8)
        cv2.fillPoly(m, [self.px(points)], 255, cv2.LINE_AA, _FIX)
        out = m.astype(np.float32) / 255
        return self.blur(out, soft) if soft > 0 else out

    def stroke(self, points: Image, widths: Sequence[Point], soft: float = 0.0) -> Image:
        """A brush stroke along `points` whose width follows (fraction, width) knots; a 0..1 mask."""
        n = len(points)
        w = profile(widths, np.linspace(0, 1, n).astype(np.float32))
        d = np.gradient(points, axis=0)
        nrm = np.stack([-d[:, 1], d[:, 0]], 1) / np.maximum(np.hypot(d[:, 0], d[:, 1]), 1e-6)[:, None]
        return self.poly(
            np.vstack([points + nrm * w[:, None] / 2, (points - nrm * w[:, None] / 2)[::-1]]), soft
        )

    def blur(self, image: Image, sigma: float) -> Image:
        """Gaussian blur, sigma in design units."""
        s = sigma * self.scale
        if s < 0.2:
            return image
        if s > 24:  # wide blurs: same look from a quarter of the pixels
            small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), s / 4, borderType=cv2.BORDER_REPLICATE)
            return np.asarray(cv2.resize(small, (self.w, self.h), interpolation=cv2.INTER_CUBIC), np.float32)
        return np.asarray(cv2.GaussianBlur(image, (0, 0), s, borderType=cv2.BORDER_REPLICATE), np.float32)

    def blob(self, cx: float, cy: float, sx: float, sy: float, angle: float = 0.0) -> Image:
        """Gaussian bump of height 1, sigmas in design units, `angle` in degrees clockwise."""
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        dx, dy = self.x - cx, self.y - cy
        u, v = (dx * c + dy * s) / sx, (-dx * s + dy * c) / sy
        return np.asarray(np.exp(-0.5 * (u * u + v * v)), np.float32)

    def shift(self, image: Image, dx: float, dy: float) -> Image:
        """The picture moved by design units; the rim is repeated."""
        m = np.array([[1, 0, dx * self.scale], [0, 1, dy * self.scale]], np.float32)
        return np.asarray(
            cv2.warpAffine(image, m, (self.w, self.h), borderMode=cv2.BORDER_REPLICATE), np.float32
        )

    def noise(self, rng: np.random.Generator, sigma: float) -> Image:
        """Band-limited noise, unit variance, grain size `sigma` design units."""
        n = self.blur(rng.standard_normal((self.h, self.w), np.float32), sigma)
        return np.asarray((n - n.mean()) / n.std(), np.float32)
