"""Curves through contour points. Runs in the draft worker."""

from __future__ import annotations

import numpy as np

from workers.draft.arrays import F64, unit


def densify(points: F64, steps: int = 5) -> F64:
    """A smooth curve (Catmull-Rom) through points (n, 2), `steps` samples per piece."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        cubic = (-a + 3 * b - 3 * c + d) * t**3
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + cubic))
    return np.vstack([*pieces, points[-1:]])


def pin_corners(upper: F64, lower: F64) -> None:
    """Make both contours start and end in the same points, in place."""
    for end in (0, -1):
        upper[end] = lower[end] = (upper[end] + lower[end]) / 2


def across_of(upper: F64) -> F64:
    """Unit vector from the first to the last point of a contour."""
    return unit(upper[-1] - upper[0])
