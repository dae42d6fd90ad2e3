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
from workers.draft.modes import MASK_MODES, Mode
from workers.draft.rig import Head
from workers.draft.warp import Grid, ThinPlate, soften_folds

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


@dataclass(frozen=True)
class Layers:
    """Fields (modes, rows, columns, 2) in pixels per unit, and the same at the mesh points (modes, 478, 2)."""

    grid: Grid
    upper: F32
    lower: F32
    lower_share: F32  # (rows, columns): 1 where the lower layer is shown at rest
    upper_at: F32
    lower_at: F32
    rigid_at: F32  # what moves the skull alone: head and body


def build_layers(head: Head, modes: F64, grid: Grid, weights: BodyWeights, mode_limits: F32) -> Layers:
    """Spread the modes (modes, 468, 2) over the grid. `mode_limits` (k, modes): extreme poses, kept foldless."""
    nodes = grid.nodes()
    ring = _rings(head)
    seam_points, seam_moves = _seam(head, modes)
    upper_points, lower_points = _split(head)
    rigid = _rigid_fields(head, grid, weights)
    layers = []
    for members, used in ((upper_points, _UPPER_MODES), (lower_points, _LOWER_MODES)):
        at = np.vstack([head.skin[members], seam_points, ring])
        values = np.concatenate(
            [
                np.concatenate([modes[mode][members], seam_moves[mode], np.zeros((len(ring), 2))])
                for mode in used
            ],
            axis=1,
        )
        spread = ThinPlate(at, _STIFFNESS).evaluate(values, nodes)
        fields = rigid.copy()
        for position, mode in enumerate(used):
            fields[mode] += spread[:, 2 * position : 2 * position + 2].reshape(grid.rows, grid.columns, 2)
        fields[list(used)] *= _edge_fade(grid, 0.18 * head.face_height)[..., None]
        layers.append(soften_folds(fields, mode_limits, grid.step))
    upper, lower = layers
    still = upper.copy()
    for mode in Mode:
        if mode not in MASK_MODES and mode not in (Mode.YAW, Mode.PITCH):
            still[mode] = 0
    points = head.points[:, :2]
    return Layers(
        grid=grid,
        upper=upper,
        lower=lower,
        lower_share=_lower_share(head, grid),
        upper_at=grid.at(upper, points),
        lower_at=grid.at(lower, points),
        rigid_at=grid.at(still, points),
    )


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
    points: list[F64] = []
    moves: list[F64] = []
    for corner, direction in ((topo.RIGHT_CORNER, -1), (topo.LEFT_CORNER, 1)):
        if not head.visible[corner]:
            continue
        for step in _SEAM_STEPS:
            offset = head.axes[0, :2] * direction * step * head.mouth_width
            point = head.points[corner, :2] + offset
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
