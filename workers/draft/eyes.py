"""Blinking: an upper lid that slides over the eye. Runs in the draft worker.

Flow: per eye a small patch with its own fine grid; its motion moves the skin above the lid line down to the lower
lid. The patch is drawn over the frame just above the moving lid line, so the eyeball itself never deforms.
"""

from __future__ import annotations

import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, F64, Image, polygon_mask
from workers.draft.fields import Layers, distinct
from workers.draft.modes import Mode
from workers.draft.mouth import densify
from workers.draft.rig import Head
from workers.draft.source import Source
from workers.draft.warp import Grid, ThinPlate, combine, invert, part_of

# An eye that faces away this much has no lid worth moving.
_FACING_FLOOR = 0.25
_STIFFNESS = 3e-4
# Points of the face that shape the patch lie within this part of the face height.
_REACH = 0.35
# Below this a lid has not moved.
_STARTS = 0.02


class Eyelid:
    """One eye's lid."""

    def __init__(self, head: Head, modes: F64, layers: Layers, eye: topo.Eye, blink: Mode) -> None:
        """`modes` (modes, 468, 2) in pixels."""
        self._eye = eye
        self._blink = blink
        self._head = head
        self.visible = bool(head.facing[list(eye.upper)].mean() >= _FACING_FLOOR)
        if not self.visible:
            return
        margin = 0.03 * head.face_height
        around = head.skin[[*eye.upper, *eye.lower, *eye.crease, *eye.above_crease, *eye.brow]]
        low, high = around.min(axis=0) - margin, around.max(axis=0) + margin
        step = max(1, round(head.face_height / 170))
        x0, y0 = int(low[0]), int(low[1])
        self._grid = Grid(x0, y0, step, int((high[0] - x0) / step) + 2, int((high[1] - y0) / step) + 2)
        self._fields = self._patch_fields(modes, layers, around.mean(axis=0))
        self._lid_at = self._grid.at(self._fields, head.points[list(eye.upper), :2])

    def _patch_fields(self, modes: F64, layers: Layers, centre: F64) -> F32:
        head, eye, grid = self._head, self._eye, self._grid
        nodes = grid.nodes()
        shape = (grid.rows, grid.columns, 2)
        fields = layers.grid.at(layers.upper, nodes).reshape(len(layers.upper), *shape)
        # The lower lid stays out of it: the upper lid's skin must not bunch up against it.
        lower = {*eye.lower[1:-1], *eye.under_lower[1:-1]}
        near = np.linalg.norm(head.skin - centre, axis=1) < _REACH * head.face_height
        members = [i for i in range(topo.SKIN_POINTS) if near[i] and head.visible[i] and i not in lower]
        first = [i for i in eye.upper if head.visible[i]]
        points = distinct(head, dict.fromkeys([*first, *members]))
        spline = ThinPlate(head.skin[points], _STIFFNESS)
        fields[self._blink] = spline.evaluate(modes[self._blink][points], nodes).reshape(shape)
        return np.ascontiguousarray(fields, np.float32)

    def paint(self, canvas: Image, x0: int, y0: int, source: Source, coefficients: F32, moved: F64) -> None:
        """Draw the lid into `canvas` (BGRA, corner at frame pixel (x0, y0)).

        `moved` (478, 2): where the mesh points are in this frame, pixels.
        """
        if not self.visible or coefficients[self._blink] < _STARTS:
            return
        eye = self._eye
        around = moved[[*eye.upper, *eye.lower, *eye.crease, *eye.above_crease]]
        left, top = np.maximum(np.floor(around.min(axis=0) - 5).astype(int), (x0, y0))
        right, bottom = np.ceil(around.max(axis=0) + 6).astype(int)
        right = min(right, x0 + canvas.shape[1])
        bottom = min(bottom, y0 + canvas.shape[0])
        if right - left < 3 or bottom - top < 3:
            return
        width, height = right - left, bottom - top
        backward = invert(combine(coefficients, self._fields), self._grid.step)
        skin = source.fetch(part_of(backward, self._grid, left, top, width, height), left, top)
        lid = self._head.points[list(eye.upper), :2] + np.tensordot(coefficients, self._lid_at, 1)
        above = densify(moved[list(eye.above_crease)], 3)
        outline = np.vstack([densify(lid, 4), above[::-1]])
        mask = polygon_mask(outline - (left, top), width, height)[..., None]
        patch = canvas[top - y0 : bottom - y0, left - x0 : right - x0, :3]
        patch[:] = np.clip(patch + (skin[..., :3].astype(np.float32) - patch) * mask + 0.5, 0, 255).astype(
            np.uint8
        )
