"""Hair: families of strands between guide curves, lit along their length.

Developer tool. A `Lock` is a list of guide curves from its inner to its outer edge, each from root to tip.
Strand colour follows Kajiya and Kay's hair model ("Rendering fur with three dimensional textures", 1989): the
highlight depends on the angle between the light's half vector and the strand's tangent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from . import light
from .canvas import Canvas, Image, Point, ramp, spline
from .look import Look

STEPS = 56  # points per strand


@dataclass(frozen=True)
class Lock:
    """One mass of hair. `bulge` is how far the middle of the mass stands out towards the viewer."""

    guides: tuple[tuple[Point, ...], ...]
    strands: int
    bulge: float = 26.0
    wave: float = 8.0
    clumps: int = 44
    base_light: float = 0.0
    fill: tuple[float, float] = (0.05, 0.97)
    fringe: float = 0.03  # how far strands stray past the edges, as a share of the mass's width


class _Field:
    """Positions (u across, t along) -> design coordinates, smooth in both."""

    def __init__(self, lock: Lock) -> None:
        self.g = np.stack([spline(g, STEPS) for g in lock.guides]).astype(np.float64)
        self.k = np.linspace(0, 1, len(lock.guides))

    def at(self, u: Image) -> Image:
        """u (STEPS,) -> (STEPS, 2): each step may sit at its own u."""
        out = np.empty((STEPS, 2))
        m = len(self.k)
        f = np.asarray(u) * (m - 1)
        i = np.clip(np.floor(f).astype(int), 0, m - 2)
        w = (f - i)[:, None]
        s = np.arange(STEPS)
        a, b = self.g[np.clip(i - 1, 0, m - 1), s], self.g[i, s]
        c, d = self.g[i + 1, s], self.g[np.clip(i + 2, 0, m - 1), s]
        out = b + 0.5 * w * (c - a + w * (2 * a - 5 * b + 4 * c - d + w * (3 * (b - c) + d - a)))
        lin = b + w * (c - b)
        return np.asarray(np.where((w < 0) | (w > 1), lin, out), np.float32)


def lock_outline(lock: Lock) -> Image:
    """Closed outline of the solid part of a mass."""
    f = _Field(lock)
    a = f.at(np.full(STEPS, lock.fill[0], np.float32))
    b = f.at(np.full(STEPS, lock.fill[1], np.float32))
    return np.asarray(np.vstack([a, b[::-1]]), np.float32)


def _skull_height(p: Image) -> Image:
    dx, dy = (p[:, 0] - 512) / 290, 45 * np.log1p(np.exp((350 - p[:, 1]) / 45)) / 265
    return np.asarray(190 * np.sqrt(np.clip(1 - dx * dx - dy * dy, 0.02, 1)), np.float32)


def paint_locks(
    cv: Canvas, picture: Image, locks: Sequence[Lock], look: Look, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Returns the picture with the hair on it, and the hair's coverage (h, w) in 0..1."""
    layer = np.zeros((cv.h, cv.w, 3), np.uint8)
    cover = np.zeros((cv.h, cv.w), np.uint8)
    stops = ((0.0, look.hair_dark), (0.45, look.hair_mid), (1.0, look.hair_light), (1.5, look.hair_shine))
    half = (light.KEY + light.VIEW) / np.linalg.norm(light.KEY + light.VIEW)
    rim_half = np.array([0.86, -0.36, 0.36], np.float32)
    dark = tuple(round(float(c) * 255) for c in ramp(stops, np.array([[0.05]], np.float32))[0, 0])
    table = np.round(ramp(stops, np.linspace(0, 1.5, 301, dtype=np.float32)[None])[0] * 255).astype(int)
    for lock in locks:
        body = [cv.px(lock_outline(lock))]
        cv2.fillPoly(layer, body, dark, cv2.LINE_AA, 6)
        cv2.fillPoly(cover, body, 255, cv2.LINE_AA, 6)
    for lock in locks:
        f = _Field(lock)
        t = np.linspace(0, 1, STEPS)
        centres = np.sort(rng.uniform(0, 1, lock.clumps))
        clump_light = rng.normal(0, 0.10, lock.clumps)
        clump_phase = rng.uniform(0, 2 * np.pi, lock.clumps)
        clump_drift = rng.normal(0, 0.05, lock.clumps)
        clump_end = rng.uniform(0.86, 1.0, lock.clumps)
        for s in range(lock.strands):
            depth = s / lock.strands  # later strands lie on top and catch more light
            u0 = rng.uniform(-lock.fringe, 1 + lock.fringe)
            c = int(np.argmin(np.abs(centres - u0)))
            pull = 0.62 * t**1.4 * rng.uniform(0.4, 1.1)
            u = u0 + (centres[c] - u0) * pull + clump_drift[c] * t**2 + rng.normal(0, 0.006)
            u = np.clip(u, -lock.fringe, 1 + lock.fringe)
            p = f.at(np.asarray(u, np.float32))
            sway = lock.wave * np.sin(2 * np.pi * 1.25 * t + clump_phase[c] * 0.5 + 2.4 * u0) * t**1.6
            sway = (
                sway
                + rng.normal(0, 0.8) * np.sin(2 * np.pi * rng.uniform(0.5, 2.0) * t + rng.uniform(0, 6)) * t
            )
            p = p + np.stack([sway, np.zeros(STEPS)], 1).astype(np.float32)
            z = _skull_height(p) + lock.bulge * np.sin(np.pi * np.clip(u, 0, 1))
            g = np.gradient(np.column_stack([p, z]), axis=0)
            g /= np.linalg.norm(g, axis=1, keepdims=True)
            th, tl = g @ half, g @ light.KEY
            shine = np.sqrt(np.clip(1 - (th + 0.05) ** 2, 0, 1)) ** 70
            broad = np.sqrt(np.clip(1 - (th - 0.10) ** 2, 0, 1)) ** 16
            soft = np.sqrt(np.clip(1 - tl**2, 0, 1))
            rim = np.sqrt(np.clip(1 - (g @ rim_half) ** 2, 0, 1)) ** 8
            side = np.clip(0.80 - 0.45 * (p[:, 0] - 512) / 270, 0.35, 1.2)
            edge = np.sin(np.pi * np.clip(u * 0.9 + 0.05, 0, 1)) ** 0.5
            root = np.clip(0.55 + 6 * t, 0, 1)
            v = 0.07 + 0.20 * soft * side + 0.30 * broad * side + 0.42 * shine * side * (0.5 + 0.5 * depth)
            v = (
                v * (0.45 + 0.55 * edge) * root * (0.62 + 0.55 * depth)
                + clump_light[c] * 0.8
                + rng.normal(0, 0.055)
            )
            v = v + 0.10 * rim * np.clip((p[:, 0] - 640) / 120, 0, 1) + lock.base_light
            v *= np.interp(t, [0, 0.55, 1], [1, 1, 0.82])
            bgr = table[np.clip(v * 200, 0, 300).astype(int)]
            q = cv.px(p)
            last = int(STEPS * min(1.0, clump_end[c] + rng.normal(0, 0.03) - 0.04 * rng.random() ** 4))
            wide = rng.choice([1, 2, 2, 3], p=[0.45, 0.25, 0.2, 0.1]) if depth < 0.75 else 1
            for k in range(last - 1):
                w = int(wide) if k < last * 0.82 else 1
                cv2.line(layer, q[k], q[k + 1], tuple(bgr[k].tolist()), w, cv2.LINE_AA, 6)
                cv2.line(cover, q[k], q[k + 1], 255, w, cv2.LINE_AA, 6)
    alpha = cv.blur(cover.astype(np.float32) / 255, 0.25)
    colour = layer.astype(np.float32) / 255
    # strands were blended towards black outside the mass: undo it, so edges keep their colour
    colour = colour / np.maximum(cover.astype(np.float32) / 255, 0.25)[..., None]
    return picture + (np.clip(colour, 0, 1) - picture) * alpha[..., None], alpha
