"""The head behind a picture: its axes, sizes, and which mesh points can be seen. Runs in the draft worker.

Flow: landmarks (478, 3) in pixels -> `Head`. Local coordinates have their origin between the lip corners; u runs
to the subject's left (right in the picture), v down the face, w away from the camera, all in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F64, Ints, Mask, unit

# A point counts as turned away when the mean cosine of its triangles falls below this.
_FACING_FLOOR = 0.05
# A point is hidden when the mesh in front of it is nearer by this part of the face height.
_HIDDEN_DEPTH = 0.07
# A smile makes the mouth wide; its opening is measured against what this face's mouth is at rest.
_REST_MOUTH_OF_FACE = 0.36


@dataclass(frozen=True)
class Head:
    """Geometry of one face, fixed for one picture."""

    points: F64  # (478, 3) px
    local: F64  # (468, 3) px: u, v, w
    axes: F64  # (3, 3): rows are the unit vectors of u, v, w in picture coordinates
    origin: F64  # (3,) px
    mouth_width: float  # px
    mouth_unit: float  # px, what an aperture of 1 means
    face_height: float  # px, forehead to chin
    frontal: float  # cosine of the yaw: 1 from the front, 0 in profile
    facing: F64  # (468,) cosine of each point's surface to the camera
    visible: Mask  # (468,)

    @property
    def down(self) -> F64:
        """Unit vector down the face in the picture (2,)."""
        return unit(self.axes[1, :2])

    @property
    def skin(self) -> F64:
        """The 468 points in the picture (468, 2)."""
        return self.points[: topo.SKIN_POINTS, :2]

    def to_picture(self, offsets: F64) -> F64:
        """Local offsets (..., 3) as picture offsets (..., 2)."""
        return offsets @ self.axes[:, :2]


def build_head(points: F64, triangles: Ints) -> Head:
    """Measure a head. `points` (478, 3) pixels, `triangles` (n, 3) wound so that front faces are positive."""
    eyes = unit(points[topo.LEFT_EYE_OUTER] - points[topo.RIGHT_EYE_OUTER])
    mouth = unit(points[topo.LEFT_CORNER] - points[topo.RIGHT_CORNER])
    across = unit(eyes + mouth)
    down = points[topo.CHIN_BOTTOM] - points[topo.BETWEEN_EYES]
    down = unit(down - across * (down @ across))
    axes = np.stack([across, down, np.cross(across, down)])
    origin = (points[topo.RIGHT_CORNER] + points[topo.LEFT_CORNER]) / 2
    face_height = float(np.linalg.norm(points[topo.CHIN_BOTTOM] - points[topo.FOREHEAD_TOP]))
    mouth_width = float(np.linalg.norm(points[topo.LEFT_CORNER] - points[topo.RIGHT_CORNER]))
    facing = _facing(points, triangles)
    visible = (facing > _FACING_FLOOR) & ~_hidden(points, triangles, _HIDDEN_DEPTH * face_height)
    return Head(
        points=points.astype(np.float64),
        local=(points[: topo.SKIN_POINTS] - origin) @ axes.T,
        axes=axes,
        origin=origin,
        mouth_width=mouth_width,
        mouth_unit=min(mouth_width, _REST_MOUTH_OF_FACE * face_height),
        face_height=face_height,
        frontal=float(np.hypot(across[0], across[1])),
        facing=facing,
        visible=visible,
    )


def _facing(points: F64, triangles: Ints) -> F64:
    """Mean over each point's triangles of the cosine between their normals and the view direction."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    cosine = normals[:, 2] / np.maximum(np.linalg.norm(normals, axis=1), 1e-6)
    total = np.zeros(topo.SKIN_POINTS)
    count = np.zeros(topo.SKIN_POINTS)
    for corner in range(3):
        np.add.at(total, triangles[:, corner], cosine)
        np.add.at(count, triangles[:, corner], 1)
    return np.asarray(total / np.maximum(count, 1), np.float64)


def _hidden(points: F64, triangles: Ints, depth: float) -> Mask:
    """Which points lie behind the mesh, or behind the open mouth, by more than `depth` pixels."""
    fans = [
        triangle
        for j in range(10)
        for triangle in (
            (topo.UPPER_INNER[j], topo.UPPER_INNER[j + 1], topo.LOWER_INNER[j]),
            (topo.UPPER_INNER[j + 1], topo.LOWER_INNER[j + 1], topo.LOWER_INNER[j]),
        )
    ]
    faces = np.vstack([triangles, np.array(fans, np.intp)])
    skin = points[: topo.SKIN_POINTS]
    a, b, c = (skin[faces[:, corner]] for corner in range(3))
    det = (b[:, 1] - c[:, 1]) * (a[:, 0] - c[:, 0]) + (c[:, 0] - b[:, 0]) * (a[:, 1] - c[:, 1])
    det = np.where(np.abs(det) < 1e-6, 1e-6, det)
    dx = skin[:, None, 0] - c[None, :, 0]
    dy = skin[:, None, 1] - c[None, :, 1]
    # Barycentric coordinates of every point in every triangle (468, n).
    first = ((b[:, 1] - c[:, 1]) * dx + (c[:, 0] - b[:, 0]) * dy) / det
    second = ((c[:, 1] - a[:, 1]) * dx + (a[:, 0] - c[:, 0]) * dy) / det
    third = 1 - first - second
    inside = (first > 0) & (second > 0) & (third > 0)
    surface = first * a[:, 2] + second * b[:, 2] + third * c[:, 2]
    return np.asarray((inside & (surface < skin[:, None, 2] - depth)).any(axis=1), np.bool_)
