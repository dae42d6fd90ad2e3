"""Where faces are: two small detectors and their merging. Runs in the draft worker.

Flow: RGB picture -> square letterboxed input -> anchors with offsets and scores -> weighted non-maximum
suppression -> boxes with six key points (eyes first), in picture pixels.
Source: BlazeFace (Bazarevsky et al. 2019) with MediaPipe's anchor layouts.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft.arrays import F32, F64, Image, f32, image, resize_image
from workers.draft.sessions import Models, Network

# A box below this score is noise on every picture tried; landmarks then reject what is no face.
SCORE_FLOOR = 0.5
# Boxes of one detector that overlap more than this are the same face (MediaPipe's value).
_SAME_FACE_IOU = 0.3
# Across the detectors a weaker overlap already means the same face.
_SAME_ACROSS_IOU = 0.2
_FULL_SIZE, _FULL_GRID = 192, 48
_SHORT_SIZE = 128
# (cells per side, anchors per cell) of the short-range detector's two layers.
_SHORT_LAYERS = ((16, 2), (8, 6))


@dataclass(frozen=True)
class FaceBox:
    """One detection: box (x0, y0, x1, y1) and key points (6, 2) in pixels; score 0..1."""

    score: float
    box: F64
    keypoints: F64

    @property
    def area(self) -> float:
        """Pixels inside the box."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


def find_boxes(models: Models, picture: Image) -> list[FaceBox]:
    """All faces of an RGB picture, the largest first. The full-range detector wins where both see one."""
    boxes = _detect(models.full_range, picture, _FULL_SIZE, _grid_anchors(_FULL_GRID, 1))
    anchors = np.concatenate([_grid_anchors(cells, each) for cells, each in _SHORT_LAYERS])
    for candidate in _detect(models.short_range, picture, _SHORT_SIZE, anchors):
        if all(_overlap(candidate.box, known.box) < _SAME_ACROSS_IOU for known in boxes):
            boxes.append(candidate)
    return sorted(boxes, key=lambda found: -found.area)


def _grid_anchors(cells: int, each: int) -> F64:
    """Anchor centres (cells*cells*each, 2) in 0..1, row by row."""
    rows, columns = np.mgrid[0:cells, 0:cells]
    centres = np.stack([(columns + 0.5) / cells, (rows + 0.5) / cells], axis=-1).reshape(-1, 2)
    return np.repeat(centres, each, axis=0)


def _letterbox(picture: Image, size: int) -> tuple[F32, float, F64]:
    """Square network input (1, 3, size, size) in -1..1, its scale, and its offset in input pixels."""
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    offset = np.array([(size - width * scale) / 2, (size - height * scale) / 2])
    if scale < 0.5:
        # Area averaging first: bilinear sampling alone would alias small faces away.
        halfway = 2 * scale
        small = resize_image(picture, max(1, round(width * halfway)), max(1, round(height * halfway)))
    else:
        small = picture
    matrix = np.array(
        [
            [scale * width / small.shape[1], 0, offset[0]],
            [0, scale * height / small.shape[0], offset[1]],
        ]
    )
    square = image(cv2.warpAffine(small, matrix, (size, size), flags=cv2.INTER_LINEAR))
    planes = square.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(127.5) - np.float32(1)
    return f32(planes), scale, offset


def _detect(network: Network, picture: Image, size: int, anchors: F64) -> list[FaceBox]:
    planes, scale, offset = _letterbox(picture, size)
    outputs = network(planes)
    offsets = next(value for value in outputs.values() if value.shape[-1] == 16)[0]
    logits = next(value for value in outputs.values() if value.shape[-1] == 1)[0, :, 0]
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60)))
    keep = scores > SCORE_FLOOR
    values = offsets[keep].astype(np.float64).reshape(-1, 8, 2) / size
    centres = values[:, 0] + anchors[keep]
    half = values[:, 1] / 2

    def to_picture(points: F64) -> F64:
        return (points * size - offset) / scale

    boxes = np.concatenate([to_picture(centres - half), to_picture(centres + half)], axis=1)
    keypoints = to_picture(values[:, 2:] + anchors[keep][:, None])
    return _suppress(scores[keep], boxes, keypoints)


def _suppress(scores: F64, boxes: F64, keypoints: F64) -> list[FaceBox]:
    """Weighted non-maximum suppression: overlapping boxes are averaged by their scores."""
    found: list[FaceBox] = []
    left = list(np.argsort(-scores))
    while left:
        best = left[0]
        same = [i for i in left if _overlap(boxes[best], boxes[i]) > _SAME_FACE_IOU] or [best]
        weights = scores[same]
        found.append(
            FaceBox(
                score=float(scores[best]),
                box=np.average(boxes[same], axis=0, weights=weights),
                keypoints=np.average(keypoints[same], axis=0, weights=weights),
            )
        )
        left = [i for i in left if i not in same]
    return found


def _overlap(first: F64, second: F64) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    both = width * height
    either = (
        (first[2] - first[0]) * (first[3] - first[1])
        + (second[2] - second[0]) * (second[3] - second[1])
        - both
    )
    return float(both / either) if either > 0 else 0.0
