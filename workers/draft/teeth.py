"""Drawn teeth and tongue for mouths whose own the picture does not show. Runs in the draft worker.

Flow: mouth size -> small sprites in mouth coordinates (u across, v down, in mouth units; v = 0 is the line
where the lips meet), made once per picture at the picture's own resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft.arrays import F32, F64, blur, f32

# Extent of a sprite in mouth units.
U_REACH = 0.75
V_TOP, V_BOTTOM = -0.45, 0.75
# Widths of the teeth from the middle outwards, in mouth units of about 50 mm (Wheeler's dental anatomy).
_UPPER_WIDTHS = (0.165, 0.125, 0.135, 0.110, 0.090)
_LOWER_WIDTHS = (0.105, 0.110, 0.120, 0.110, 0.090)


@dataclass(frozen=True)
class Sprites:
    """`upper` (h, w, 2): coverage and shade; `lower` (h, w, 3): coverage, shade, tongue. `scale` px per unit."""

    upper: F32
    lower: F32
    scale: float


def make_sprites(mouth_unit: float) -> Sprites:
    """Sprites for a mouth of `mouth_unit` pixels, at 1.5 times its resolution (enough for bilinear sampling)."""
    scale = float(np.clip(1.5 * mouth_unit, 40, 400))
    columns, rows = int(2 * U_REACH * scale), int((V_BOTTOM - V_TOP) * scale)
    u, v = np.meshgrid((np.arange(columns) + 0.5) / scale - U_REACH, (np.arange(rows) + 0.5) / scale + V_TOP)
    upper = _row(u, v, scale, _UPPER_WIDTHS, edge=0.052, curve=0.22, length=0.36, points_down=True)
    lower = _row(u, v, scale, _LOWER_WIDTHS, edge=-0.030, curve=0.10, length=0.25, points_down=False)
    return Sprites(np.dstack(upper), np.dstack([*lower, _tongue(u, v, scale)]), scale)


def _row(
    u: F64,
    v: F64,
    scale: float,
    widths: tuple[float, ...],
    *,
    edge: float,
    curve: float,
    length: float,
    points_down: bool,
) -> tuple[F32, F32]:
    """One arch of teeth: coverage 0..1 and shade around 1. `edge`: where the middle teeth end."""
    coverage = np.zeros_like(u)
    shade = np.ones_like(u)
    direction = 1 if points_down else -1
    borders = np.concatenate([[0.0], np.cumsum(widths)])
    for side in (1, -1):
        for position, width in enumerate(widths):
            middle = side * (borders[position] + width / 2)
            across = (u - middle) / (width / 2)
            # The arch bends away; the second teeth are a little shorter.
            end = edge - direction * (curve * middle**2 + (0.007 if position == 1 else 0.0))
            rounding = 0.016 * np.abs(np.clip(across, -1, 1)) ** 3
            from_edge = direction * (end - v) - rounding
            here = (np.abs(across) <= 1) & (from_edge > 0) & (from_edge < length)
            coverage = np.maximum(coverage, here)
            # Each tooth is a barrel: darker towards its neighbours; the arch recedes into shadow.
            barrel = 1 - 0.10 * np.abs(np.clip(across, -1, 1)) ** 5
            recede = 1 - 0.50 * (abs(middle) / 0.5) ** 2
            edge_glow = 1 - 0.06 * np.clip(1 - from_edge / 0.02, 0, 1)
            shade = np.where(here, barrel * recede * edge_glow, shade)
    soften = max(0.6, 0.010 * scale)
    return blur(f32(coverage.astype(np.float32)), soften), blur(f32(shade.astype(np.float32)), 0.8 * soften)


def _tongue(u: F64, v: F64, scale: float) -> F32:
    body = np.exp(-((u / 0.34) ** 4)) * np.clip((v + 0.10 - 0.9 * u**2) / 0.12, 0, 1)
    groove = 1 - 0.25 * np.exp(-((u / 0.025) ** 2))
    return f32(cv2.GaussianBlur((body * groove).astype(np.float32), (0, 0), max(0.8, 0.02 * scale)))
