"""478 points of one face, lips and eyes refined. Runs in the draft worker.

Flow: RGB picture + rotated square region -> 192x192 crop -> network -> points in picture pixels.
Source: MediaPipe attention mesh (Grishchenko et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, F64, Image, f32, image
from workers.draft.face_finder import FaceBox
from workers.draft.sessions import Models

_CROP = 192
# The region is this much larger than the face: what the network was trained with.
_MARGIN = 1.5
# Regions above this many pixels are shrunk by area averaging before the crop, against aliasing.
_DIRECT_LIMIT = 2 * _CROP


@dataclass(frozen=True)
class Region:
    """A square of the picture: centre and side in pixels, angle in radians (clockwise in the picture)."""

    x: float
    y: float
    side: float
    angle: float


@dataclass(frozen=True)
class Landmarks:
    """`points` (478, 3): x, y in pixels, z on the same scale, smaller is nearer. `presence` 0..1."""

    points: F64
    presence: float


def region_of_box(found: FaceBox) -> Region:
    """The region to look at for a detection, upright by its eyes."""
    across = found.keypoints[1] - found.keypoints[0]
    centre = (found.box[:2] + found.box[2:]) / 2
    side = _MARGIN * max(found.box[2] - found.box[0], found.box[3] - found.box[1])
    return Region(float(centre[0]), float(centre[1]), float(side), float(np.arctan2(across[1], across[0])))


def region_of_points(points: F64) -> Region:
    """The region that frames known points, upright by the outer eye corners."""
    across = points[topo.LEFT_EYE_OUTER, :2] - points[topo.RIGHT_EYE_OUTER, :2]
    angle = float(np.arctan2(across[1], across[0]))
    turn = _rotation(-angle)
    turned = points[: topo.SKIN_POINTS, :2] @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    centre = turn.T @ ((low + high) / 2)
    return Region(float(centre[0]), float(centre[1]), float(_MARGIN * max(high - low)), angle)


def measure(models: Models, picture: Image, region: Region) -> Landmarks:
    """Points inside `region` of an RGB picture. `presence` says whether that is a face at all."""
    crop, to_crop, scale = _cut(picture, region)
    outputs = models.landmarks(crop)
    in_crop = np.zeros((topo.ALL_POINTS, 3))
    in_crop[: topo.SKIN_POINTS] = outputs["output_mesh_identity"].reshape(topo.SKIN_POINTS, 3)
    for name, rows in (
        ("output_lips", topo.REFINED_LIPS),
        ("output_left_eye", topo.REFINED_RIGHT_EYE),
        ("output_right_eye", topo.REFINED_LEFT_EYE),
        ("output_left_iris", topo.RIGHT_IRIS),
        ("output_right_iris", topo.LEFT_IRIS),
    ):
        in_crop[list(rows), :2] = outputs[name].reshape(len(rows), 2)
    # The iris outputs have no depth of their own: they lie in the plane of their eye's rim.
    in_crop[list(topo.RIGHT_IRIS), 2] = in_crop[list(topo.REFINED_RIGHT_EYE[:16]), 2].mean()
    in_crop[list(topo.LEFT_IRIS), 2] = in_crop[list(topo.REFINED_LEFT_EYE[:16]), 2].mean()
    logit = float(np.clip(outputs["conv_faceflag"].ravel()[0], -60, 60))

    points = in_crop.copy()
    points[:, :2] = (in_crop[:, :2] - to_crop[:, 2]) @ np.linalg.inv(to_crop[:, :2]).T
    points[:, 2] = in_crop[:, 2] / scale
    return Landmarks(points, float(1 / (1 + np.exp(-logit))))


def _rotation(angle: float) -> F64:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def _cut(picture: Image, region: Region) -> tuple[F32, F64, float]:
    """Network input of the region, the 2x3 map from picture to crop pixels, and its scale."""
    scale = _CROP / region.side
    to_crop = np.empty((2, 3))
    to_crop[:, :2] = _rotation(-region.angle) * scale
    to_crop[:, 2] = _CROP / 2 - to_crop[:, :2] @ np.array([region.x, region.y])
    source, matrix = picture, to_crop
    if region.side > _DIRECT_LIMIT:
        source, matrix = _shrink_around(picture, region, to_crop)
    crop = image(
        cv2.warpAffine(
            source, matrix, (_CROP, _CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    )
    return f32(crop.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)), to_crop, scale


def _shrink_around(picture: Image, region: Region, to_crop: F64) -> tuple[Image, F64]:
    """The neighbourhood of the region, averaged down, with the map adjusted to it."""
    height, width = picture.shape[:2]
    reach = region.side * 0.75  # half a diagonal is 0.71 of the side
    x0, y0 = max(0, int(region.x - reach)), max(0, int(region.y - reach))
    x1, y1 = min(width, int(region.x + reach) + 1), min(height, int(region.y + reach) + 1)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return picture, to_crop
    factor = _DIRECT_LIMIT / region.side
    new_w, new_h = max(1, round((x1 - x0) * factor)), max(1, round((y1 - y0) * factor))
    small = image(cv2.resize(picture[y0:y1, x0:x1], (new_w, new_h), interpolation=cv2.INTER_AREA))
    matrix = to_crop.copy()
    fx, fy = (x1 - x0) / new_w, (y1 - y0) / new_h
    # Pixel centres: picture = (small + 0.5) * f - 0.5 + corner.
    corner = np.array([x0 + 0.5 * fx - 0.5, y0 + 0.5 * fy - 0.5])
    matrix[:, 2] = to_crop[:, 2] + to_crop[:, :2] @ corner
    matrix[:, 0] *= fx
    matrix[:, 1] *= fy
    return small, matrix
