"""Motion fields of one face: two layers that part at the lips. Runs in the draft worker.

Flow: `Head` + modes -> thin-plate splines through the visible points -> fields (modes, rows, columns, 2) on a
grid. The upper layer carries the upper lip and all above it, the lower one the lower lip and jaw; beside the
lip corners both follow the same seam, so that they meet without a crack.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, F64, smoothstep, unit
from workers.draft.modes import RIGID_MODES, Mode
from workers.draft.rig import Head
from workers.draft.warp import Grid, ThinPlate

# Splines may miss their points by a little rather than fold between two that nearly coincide.
_STIFFNESS = 3e-4
# Points nearer than this part of the face height are one point to the splines.
_SAME_POINT = 0.004
# Where, beside a lip corner, both layers are pinned to the same motion (in mouth widths).
_SEAM_STEPS = (0.12, 0.25, 0.4, 0.6, 0.8)
# Motion of the skin ends on these rings around the face (parts of the face height): beside it, and below the
# chin, where the skin of the neck follows the jaw further down.
_RINGS = ((0.16, 0.34), (0.60, 0.80))
_RING_POINTS = 36

_UPPER_MODES = (
    Mode.JAW, Mode.CLOSE, Mode.SPREAD, Mode.PUCKER, Mode.UPPER_RAISE, Mode.PRESS, Mode.RELAX, Mode.BROW,
    Mode.YAW, Mode.PITCH,
)  # fmt: skip
_LOWER_MODES = (
    Mode.JAW, Mode.CLOSE, Mode.SPREAD, Mode.PUCKER, Mode.LOWER_DROP, Mode.PRESS, Mode.RELAX,
    Mode.YAW, Mode.PITCH,
)  # fmt: skip


@dataclass(frozen=True)
class BodyWeights:
    """How much each grid node (rows, columns) follows the head, and the swaying, breathing body."""

    head: F32
    body: F32
    # How much of the skin's own motion is kept; all of it when nobody stands beside.
    skin: F32 | None = None


@dataclass(frozen=True)
class LayerFields:
    """Fields of both layers (modes, rows, columns, 2) over one grid, pixels per unit of each mode."""

    grid: Grid
    upper: F32
    lower: F32


@dataclass(frozen=True)
class Layers:
    """Motion of one face over the whole person (`wide`) and, finer, around the mouth (`fine`).

    The `..._at` arrays (modes, 478, 2) are the same motion at the mesh points; `rigid_at` moves the skull alone.
    """

    wide: LayerFields
    fine: LayerFields
    lower_share: F32  # (rows, columns) of `wide`: 1 where the lower layer is shown at rest
    upper_at: F32
    lower_at: F32
    rigid_at: F32


def build_layers(head: Head, modes: F64, grid: Grid, weights: BodyWeights) -> Layers:
    """Spread the modes (modes, 468, 2) over the grid, and over a finer one around the mouth."""
    splines = _Splines(head, modes)
    fade = _edge_fade(grid, 0.18 * head.face_height)
    if weights.skin is not None:
        fade = fade * weights.skin
    rigid = _rigid_fields(head, grid, weights)
    upper, lower = splines.over(grid)
    wide = LayerFields(grid, rigid + upper * fade[..., None], rigid + lower * fade[..., None])
    fine_grid = _mouth_grid(head, grid)
    nodes = fine_grid.nodes()
    shape = (len(rigid), fine_grid.rows, fine_grid.columns, 2)
    fine_rigid = grid.at(rigid, nodes).reshape(shape)
    fine_fade = grid.at(fade[None, ..., None], nodes).reshape(1, fine_grid.rows, fine_grid.columns, 1)
    fine_upper, fine_lower = splines.over(fine_grid)
    fine = LayerFields(fine_grid, fine_rigid + fine_upper * fine_fade, fine_rigid + fine_lower * fine_fade)
    still = wide.upper.copy()
    for mode in Mode:
        if mode not in RIGID_MODES:
            still[mode] = 0
    points = head.points[:, :2]
    return Layers(
        wide=wide,
        fine=fine,
        lower_share=_lower_share(head, grid),
        upper_at=_at_points(points, wide.upper, fine.upper, grid, fine_grid),
        lower_at=_at_points(points, wide.lower, fine.lower, grid, fine_grid),
        rigid_at=grid.at(still, points),
    )


class _Splines:
    """The modes' motion as smooth functions of the plane, one for each layer."""

    def __init__(self, head: Head, modes: F64) -> None:
        ring = _rings(head)
        seam_points, seam_moves = _seam(head, modes)
        self._layers: list[tuple[ThinPlate, F64, tuple[Mode, ...]]] = []
        for members, used in zip(_split(head), (_UPPER_MODES, _LOWER_MODES), strict=True):
            at = np.vstack([head.skin[members], seam_points, ring])
            still = np.zeros((len(ring), 2))
            columns = [np.concatenate([modes[m][members], seam_moves[m], still]) for m in used]
            self._layers.append((ThinPlate(at, _STIFFNESS), np.concatenate(columns, axis=1), used))

    def over(self, grid: Grid) -> tuple[F32, F32]:
        """Upper and lower fields (modes, rows, columns, 2); modes without a spline are zero."""
        nodes = grid.nodes()
        upper, lower = (self._evaluate(layer, nodes, grid) for layer in self._layers)
        return upper, lower

    @staticmethod
    def _evaluate(layer: tuple[ThinPlate, F64, tuple[Mode, ...]], nodes: F64, grid: Grid) -> F32:
        spline, values, used = layer
        spread = spline.evaluate(values, nodes)
        fields = np.zeros((len(Mode), grid.rows, grid.columns, 2), np.float32)
        for position, mode in enumerate(used):
            fields[mode] = spread[:, 2 * position : 2 * position + 2].reshape(grid.rows, grid.columns, 2)
        return fields


def _mouth_grid(head: Head, wide: Grid) -> Grid:
    """A grid of half the step around the mouth, wide enough for every aperture and sway."""
    lips = head.skin[[*topo.UPPER_OUTER, *topo.LOWER_OUTER]]
    width = head.mouth_width
    low = lips.min(axis=0) - np.array([0.9, 0.35]) * width
    high = lips.max(axis=0) + np.array([0.9, 0.75]) * width
    step = max(1, wide.step // 2)
    x0, y0 = max(wide.x0, int(low[0])), max(wide.y0, int(low[1]))
    x1 = min(wide.x0 + wide.width, int(high[0]))
    y1 = min(wide.y0 + wide.height, int(high[1]))
    return Grid(x0, y0, step, max(4, (x1 - x0) // step), max(4, (y1 - y0) // step))


def _at_points(points: F64, wide: F32, fine: F32, wide_grid: Grid, fine_grid: Grid) -> F32:
    """Fields sampled at points (n, 2), from the finer grid where it reaches: (modes, n, 2)."""
    values = wide_grid.at(wide, points)
    x, y = (axis[0] for axis in fine_grid.to_cells(points))
    inside = (x >= 0) & (y >= 0) & (x <= fine_grid.columns - 1) & (y <= fine_grid.rows - 1)
    values[:, inside] = fine_grid.at(fine, points[inside])
    return values


def distinct(head: Head, points: Iterable[int]) -> list[int]:
    """The points in order, leaving out those that coincide with an earlier one in the picture."""
    kept: list[int] = []
    limit = _SAME_POINT * head.face_height
    for point in points:
        near = np.abs(head.skin[kept] - head.skin[point]).sum(axis=1) if kept else np.array([np.inf])
        if near.min() > limit:
            kept.append(point)
    return kept


def _split(head: Head) -> tuple[list[int], list[int]]:
    """Visible points of the upper and of the lower layer, contours first."""
    width = head.mouth_width
    u, v, _ = head.local.T
    beside = np.abs(u) < 0.85 * width
    skin = [i for i in range(topo.SKIN_POINTS) if i not in topo.UPPER_LIP and i not in topo.LOWER_LIP]
    upper = [i for i in skin if not (beside[i] and v[i] > 0.06 * width)] + sorted(topo.UPPER_LIP)
    lower = [i for i in skin if not (beside[i] and -0.75 * width < v[i] < -0.06 * width)]
    lower += sorted(topo.LOWER_LIP)
    contours = [
        *topo.UPPER_INNER, *topo.LOWER_INNER, *topo.UPPER_OUTER, *topo.LOWER_OUTER,
        *(point for eye in topo.EYES for point in (*eye.upper, *eye.lower)),
    ]  # fmt: skip

    def ordered(members: list[int]) -> list[int]:
        allowed = {i for i in members if head.visible[i]}
        return distinct(head, dict.fromkeys([*(i for i in contours if i in allowed), *sorted(allowed)]))

    return ordered(upper), ordered(lower)


def _seam(head: Head, modes: F64) -> tuple[F64, F64]:
    """Points (s, 2) beside the visible lip corners and their motion (modes, s, 2), blended from neighbours."""
    lips = topo.UPPER_LIP | topo.LOWER_LIP
    seen = np.array([i for i in range(topo.SKIN_POINTS) if head.visible[i] and i not in lips], np.intp)
    outline = cv2.convexHull(head.skin.astype(np.float32))
    points: list[F64] = []
    moves: list[F64] = []
    for corner, direction in ((topo.RIGHT_CORNER, -1), (topo.LEFT_CORNER, 1)):
        if not head.visible[corner]:
            continue
        for step in _SEAM_STEPS:
            offset = head.axes[0, :2] * direction * step * head.mouth_width
            point = head.points[corner, :2] + offset
            if cv2.pointPolygonTest(outline, (float(point[0]), float(point[1])), False) < 0:
                # Beyond the silhouette of a turned head there is no cheek to carry a seam.
                break
            distance = np.linalg.norm(head.skin[seen] - point, axis=1)
            nearest = np.argsort(distance)[:6]
            weight = 1 / (distance[nearest] + 1e-3) ** 2
            weight /= weight.sum()
            points.append(point)
            moves.append(np.tensordot(weight, modes[:, seen[nearest]], (0, 1)))
    if not points:
        return np.zeros((0, 2)), np.zeros((len(modes), 0, 2))
    return np.array(points), np.stack(moves, axis=1)


def _rings(head: Head) -> F64:
    """Points (n, 2) around the face where the skin's motion has died away."""
    hull = cv2.convexHull(head.skin.astype(np.float32))[:, 0].astype(np.float64)
    closed = np.vstack([hull, hull[:1]])
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))]
    where = np.linspace(0, length[-1], _RING_POINTS, endpoint=False)
    outline = np.stack([np.interp(where, length, closed[:, axis]) for axis in (0, 1)], axis=1)
    centre = head.points[list(topo.FACE_OVAL), :2].mean(axis=0)
    outward = outline - centre
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    below = smoothstep(np.clip(outward @ head.down, 0, 1), 0.35, 0.8)
    return np.vstack(
        [
            outline + outward * (head.face_height * (near + (far - near) * below))[:, None]
            for near, far in _RINGS
        ]
    )


def _rigid_fields(head: Head, grid: Grid, weights: BodyWeights) -> F32:
    """Fields of the mask modes: head roll and shifts, body sway and breath."""
    fields = np.zeros((len(Mode), grid.rows, grid.columns, 2), np.float32)
    x, y = np.meshgrid(grid.xs, grid.ys)
    centre = head.skin.mean(axis=0)
    neck = centre + 0.75 * head.face_height * head.down
    roll = np.stack([-(y - neck[1]), x - neck[0]], axis=-1).astype(np.float32)
    fields[Mode.ROLL] = roll * weights.head[..., None]
    fields[Mode.SHIFT_X, ..., 0] = weights.head
    fields[Mode.SHIFT_Y, ..., 1] = weights.head
    fields[Mode.SWAY, ..., 0] = weights.body
    fields[Mode.BREATH, ..., 1] = weights.body
    return fields


def _edge_fade(grid: Grid, margin: float) -> F32:
    """1 inside the grid, falling to 0 within `margin` pixels of its border (rows, columns)."""
    x, y = grid.xs - grid.x0, grid.ys - grid.y0
    across = smoothstep(np.minimum(x, grid.width - 1 - x), 0, margin)
    along = smoothstep(np.minimum(y, grid.height - 1 - y), 0, margin)
    return np.asarray(along[:, None] * across[None], np.float32)


def _lower_share(head: Head, grid: Grid) -> F32:
    """0 above the resting lip line, 1 below it (rows, columns); the renderer refines it along the lips."""
    corners = head.points[[topo.RIGHT_CORNER, topo.LEFT_CORNER], :2]
    across = unit(corners[1] - corners[0])
    down = np.array([-across[1], across[0]])
    if down @ head.down < 0:
        down = -down
    relative = grid.nodes() - corners.mean(axis=0)
    below = relative @ down
    beside = np.maximum(0, np.abs(relative @ across) - head.mouth_width / 2)
    width = 0.10 * head.mouth_width + 0.5 * beside
    return np.asarray(smoothstep(below / width, -0.5, 0.5), np.float32).reshape(grid.rows, grid.columns)
