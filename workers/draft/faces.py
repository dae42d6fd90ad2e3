"""The faces of one picture: found, measured, told apart from what is no face, chosen. Runs in the draft worker.

Flow: RGB picture -> boxes -> landmarks twice (the second look is centred by the first) -> `Face` list, the
largest first. Where the whole picture shows none, tiles are searched for small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from workers.draft import landmarks
from workers.draft import topology as topo
from workers.draft.arrays import F64, Image, resize_image, unit
from workers.draft.face_finder import find_boxes
from workers.draft.sessions import Models
from workers.handler import TaskError

# The landmark network's own verdict. A cat scored 0.76, every human and drawn face tried above 0.98.
PRESENCE_FLOOR = 0.9
# Faces narrower than this have no mouth that could be opened believably.
MIN_FACE_PX = 32
# More than this many faces is a crowd; the largest are kept.
MAX_FACES = 16
# Tiles are searched in this many rows and columns, overlapping by half: 9, then 49 looks of 10 ms.
_TILINGS = (2, 4)
# A tile shows a detail without its surroundings, in which fur and folds look like faces: be stricter there. And
# a face wider than this part of the picture would have been seen in the whole picture.
_TILE_SCORE_FLOOR = 0.55
_TILE_FACE_LIMIT = 0.10
# The picture is shrunk to this side before tiling: a face of MIN_FACE_PX still fills a detector's cell.
_TILE_SIDE_LIMIT = 3072
_TILE_OVERLAP = 1.5


@dataclass(frozen=True)
class Face:
    """One measured face. `points` (478, 3) in pixels of the picture that was given."""

    points: F64
    score: float
    presence: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the mesh, pixels."""
        low = self.points[: topo.SKIN_POINTS, :2].min(axis=0)
        high = self.points[: topo.SKIN_POINTS, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def size_px(self) -> float:
        """Width of the mesh in pixels."""
        x0, _, x1, _ = self.box
        return x1 - x0

    @property
    def centre(self) -> F64:
        """Centre of the mesh, pixels."""
        x0, y0, x1, y1 = self.box
        return np.array([(x0 + x1) / 2, (y0 + y1) / 2])

    @property
    def yaw_deg(self) -> float:
        """How far the face is turned, degrees; positive towards the right edge of the picture."""
        eyes = unit(self.points[topo.LEFT_EYE_OUTER] - self.points[topo.RIGHT_EYE_OUTER])
        mouth = unit(self.points[topo.LEFT_CORNER] - self.points[topo.RIGHT_CORNER])
        across = unit(eyes + mouth)
        return float(np.degrees(np.arctan2(across[2], np.hypot(across[0], across[1]))))


def find_faces(models: Models, picture: Image, check: Callable[[], None]) -> list[Face]:
    """All faces of an RGB picture, the largest first. `check` is called between steps and may raise.

    Raises `TaskError`: `face_not_found`, or `face_too_small` when the only faces are below `MIN_FACE_PX`.
    """
    found = _measured(models, picture)
    check()
    if not found:
        found = _search_tiles(models, picture, check)
    if not found:
        raise TaskError(
            "face_not_found",
            "No face was found in the picture. Use a photo or drawing that shows one face from the front.",
        )
    large = [face for face in found if face.size_px >= MIN_FACE_PX]
    if not large:
        raise TaskError(
            "face_too_small",
            f"The face is only {found[0].size_px:.0f} pixels wide. "
            f"Crop the picture around it, or use one where it is at least {2 * MIN_FACE_PX} pixels wide.",
        )
    return large[:MAX_FACES]


def choose(faces: list[Face], index: int | None) -> Face:
    """The face to animate: the one asked for, else the first (largest)."""
    if index is None:
        return faces[0]
    if not 0 <= index < len(faces):
        raise TaskError(
            "validation_failed",
            f"Face number {index} was asked for, but the picture shows {len(faces)}. Choose 0 to {len(faces) - 1}.",
        )
    return faces[index]


def _measured(models: Models, picture: Image) -> list[Face]:
    faces: list[Face] = []
    for box in find_boxes(models, picture)[:MAX_FACES]:
        first = landmarks.measure(models, picture, landmarks.region_of_box(box))
        second = landmarks.measure(models, picture, landmarks.region_of_points(first.points))
        presence = min(first.presence, second.presence)
        if presence >= PRESENCE_FLOOR:
            _add_new(faces, Face(second.points, box.score, presence))
    return sorted(faces, key=lambda face: -face.size_px)


def _search_tiles(models: Models, picture: Image, check: Callable[[], None]) -> list[Face]:
    shrink = min(1.0, _TILE_SIDE_LIMIT / max(picture.shape[:2]))
    small = picture
    if shrink < 1:
        small = resize_image(picture, round(picture.shape[1] * shrink), round(picture.shape[0] * shrink))
    for count in _TILINGS:
        faces: list[Face] = []
        for x, y, tile in _tiles(small, count):
            check()
            for face in _measured(models, tile):
                if face.score < _TILE_SCORE_FLOOR or face.size_px > _TILE_FACE_LIMIT * max(small.shape[:2]):
                    continue
                points = face.points.copy()
                points[:, 0] += x
                points[:, 1] += y
                _add_new(faces, Face(points / shrink, face.score, face.presence))
        if faces:
            return sorted(faces, key=lambda face: -face.size_px)
    return []


def _tiles(picture: Image, count: int) -> Iterator[tuple[int, int, Image]]:
    height, width = picture.shape[:2]
    tile_h, tile_w = int(height / count * _TILE_OVERLAP), int(width / count * _TILE_OVERLAP)
    for y in np.linspace(0, height - tile_h, 2 * count - 1).astype(int):
        for x in np.linspace(0, width - tile_w, 2 * count - 1).astype(int):
            yield int(x), int(y), np.ascontiguousarray(picture[y : y + tile_h, x : x + tile_w])


def _add_new(faces: list[Face], face: Face) -> None:
    """Add a face unless it is one already known, seen again from another tile or box."""
    if all(np.linalg.norm(face.centre - known.centre) > 0.5 * face.size_px for known in faces):
        faces.append(face)
