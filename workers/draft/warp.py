"""Dense motion: grids, smooth interpolation between points, and turning motion round. Runs in the draft worker.

Flow: displacements of scattered points -> thin-plate splines -> fields on a coarse grid (once per picture);
per frame a sum of fields is inverted on that grid, so that each output pixel knows where it comes from.
Source of the splines: Bookstein 1989.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft.arrays import F32, F64, f32, f64, resize_field, sample

# Points evaluated at once: keeps the kernel matrix below 5 MB.
_CHUNK = 2048
# Newton steps after the first guess. Speech poses converge to below 0.05 px in two.
_NEWTON_STEPS = 2
# The Jacobian is not let below this: where a pose would fold the picture, it is squeezed instead.
_MIN_DETERMINANT = 0.35
# An inverse that misses its target by more than this many cells is not believed; how far its neighbours reach.
_TOLERATED_MISS = 0.25
_HEAL_SIGMA = 2.0
# No step of the inversion goes further than this many cells.
_MAX_STEP_CELLS = 4.0


@dataclass(frozen=True)
class Grid:
    """A coarse grid over a rectangle of the picture whose corner is (x0, y0); `step` pixels per cell.

    Node (row j, column i) lies in the middle of its cell, at (x0 + (i + 0.5) * step - 0.5, …).
    """

    x0: int
    y0: int
    step: int
    columns: int
    rows: int

    @property
    def width(self) -> int:
        """Covered pixels across."""
        return self.columns * self.step

    @property
    def height(self) -> int:
        """Covered pixels down."""
        return self.rows * self.step

    @property
    def xs(self) -> F64:
        """Picture x of the columns."""
        return f64(self.x0 + (np.arange(self.columns) + 0.5) * self.step - 0.5)

    @property
    def ys(self) -> F64:
        """Picture y of the rows."""
        return f64(self.y0 + (np.arange(self.rows) + 0.5) * self.step - 0.5)

    def nodes(self) -> F64:
        """All nodes (rows * columns, 2) in picture pixels."""
        x, y = np.meshgrid(self.xs, self.ys)
        return np.stack([x.ravel(), y.ravel()], axis=1)

    def to_cells(self, points: F64) -> tuple[F32, F32]:
        """Picture points (n, 2) as fractional column and row indices (1, n)."""
        x = (points[:, 0] - self.x0 + 0.5) / self.step - 0.5
        y = (points[:, 1] - self.y0 + 0.5) / self.step - 0.5
        return x.astype(np.float32)[None], y.astype(np.float32)[None]

    def at(self, fields: F32, points: F64) -> F32:
        """Fields (m, rows, columns, 2) sampled at points (n, 2): (m, n, 2)."""
        x, y = self.to_cells(points)
        return np.stack([sample(field, x, y)[0] for field in fields])


class ThinPlate:
    """A smooth map through scattered points, factorised once and fitted to many value sets."""

    def __init__(self, points: F64, stiffness: float) -> None:
        """`points` (n, 2). `stiffness` > 0 lets the map miss points a little instead of folding."""
        self._centre = points.mean(axis=0)
        self._scale = float(points.std())
        self._points = (points - self._centre) / self._scale
        count = len(points)
        square = ((self._points[:, None] - self._points[None]) ** 2).sum(axis=-1)
        kernel = 0.5 * square * np.log(square + 1e-12) + stiffness * np.eye(count)
        affine = np.hstack([np.ones((count, 1)), self._points])
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = kernel
        system[:count, count:] = affine
        system[count:, :count] = affine.T
        self._solver = np.linalg.inv(system)[:, :count]

    def evaluate(self, values: F64, at: F64) -> F32:
        """Fit `values` (n, c) at the points and evaluate at `at` (m, 2): (m, c)."""
        weights = (self._solver @ values).astype(np.float32)
        query = ((at - self._centre) / self._scale).astype(np.float32)
        points = self._points.astype(np.float32)
        norms = (points * points).sum(axis=1)
        output = np.empty((len(query), values.shape[1]), np.float32)
        for start in range(0, len(query), _CHUNK):
            part = query[start : start + _CHUNK]
            square = (part * part).sum(axis=1)[:, None] + norms[None] - 2 * (part @ points.T)
            np.maximum(square, np.float32(1e-9), out=square)
            kernel = np.log(square)
            kernel *= square
            kernel *= np.float32(0.5)
            output[start : start + _CHUNK] = kernel @ weights[:-3] + weights[-3] + part @ weights[-2:]
        return output


def combine(coefficients: F32, fields: F32) -> F32:
    """Sum of fields (m, rows, columns, 2) weighted by `coefficients` (m,); zero weights cost nothing."""
    total = np.zeros(fields.shape[1:], np.float32)
    for index in np.flatnonzero(np.abs(coefficients) > 1e-6):
        total += coefficients[index] * fields[index]
    return total


def invert(displacement: F32, step: int) -> F32:
    """For a forward motion q = p + d(p) on a grid, the backward motion p - q at each node, in pixels.

    `displacement` (rows, columns, 2) in pixels; `step` pixels per cell. Damped Newton iteration.
    """
    cells = displacement * np.float32(1 / step)
    rows, columns = cells.shape[:2]
    # Motion and its slopes, four channels at a time: what OpenCV resamples fastest.
    first = np.zeros((rows, columns, 4), np.float32)
    first[..., :2] = cells
    first[:, 1:-1, 2:] = (cells[:, 2:] - cells[:, :-2]) * np.float32(0.5)
    second = np.zeros((rows, columns, 4), np.float32)
    second[1:-1, :, :2] = (cells[2:] - cells[:-2]) * np.float32(0.5)
    base_x = np.arange(columns, dtype=np.float32)[None]
    base_y = np.arange(rows, dtype=np.float32)[:, None]
    back = np.zeros_like(cells)
    here, slope = first, second
    for iteration in range(_NEWTON_STEPS + 1):
        if iteration:
            x, y = back[..., 0] + base_x, back[..., 1] + base_y
            here, slope = sample(first, x, y), sample(second, x, y)
        off_x = back[..., 0] + here[..., 0]
        off_y = back[..., 1] + here[..., 1]
        a, b = 1 + here[..., 2], slope[..., 0]
        c, d = here[..., 3], 1 + slope[..., 1]
        scale = 1 / np.maximum(a * d - b * c, np.float32(_MIN_DETERMINANT))
        back[..., 0] -= np.clip((d * off_x - b * off_y) * scale, -_MAX_STEP_CELLS, _MAX_STEP_CELLS)
        back[..., 1] -= np.clip((a * off_y - c * off_x) * scale, -_MAX_STEP_CELLS, _MAX_STEP_CELLS)
    return f32(_heal(back, first, base_x, base_y) * np.float32(step))


def _heal(back: F32, forward: F32, base_x: F32, base_y: F32) -> F32:
    """Replace cells where no inverse was found by a smooth continuation of their neighbours.

    A mouth that closes at the edge of a turned head squeezes a strip of skin to nothing. There the inverse jumps
    from cell to cell, which would show as speckle; any smooth answer looks right.
    """
    here = sample(forward, back[..., 0] + base_x, back[..., 1] + base_y)
    missed = np.abs(back[..., 0] + here[..., 0]) + np.abs(back[..., 1] + here[..., 1])
    if float(missed.max()) < _TOLERATED_MISS:
        return back
    trust = 1 / (1 + (missed / np.float32(_TOLERATED_MISS)) ** 4)
    known = np.dstack([back * trust[..., None], trust])
    spread = f32(cv2.GaussianBlur(known, (0, 0), _HEAL_SIGMA))
    smooth = spread[..., :2] / np.maximum(spread[..., 2:], np.float32(1e-4))
    return f32(back + (smooth - back) * (1 - trust)[..., None])


def enlarge(backward: F32, grid: Grid) -> F32:
    """Backward motion of the grid at every covered pixel (height, width, 2), in pixels."""
    return resize_field(backward, grid.width, grid.height)


def part_of(backward: F32, grid: Grid, x0: int, y0: int, width: int, height: int) -> F32:
    """Backward motion at the pixels of one rectangle (picture coordinates)."""
    x = ((np.arange(width, dtype=np.float32) + (x0 - grid.x0 + 0.5)) / grid.step - 0.5)[None]
    y = ((np.arange(height, dtype=np.float32) + (y0 - grid.y0 + 0.5)) / grid.step - 0.5)[:, None]
    map_x = np.ascontiguousarray(np.broadcast_to(x, (height, width)), np.float32)
    map_y = np.ascontiguousarray(np.broadcast_to(y, (height, width)), np.float32)
    return sample(backward, map_x, map_y)
