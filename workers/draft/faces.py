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
# Faces narrower than this have no mouth that could be opened believably: its lips are 15 pixels wide.
MIN_FACE_PX = 48
# A small picture that is mostly face is what its owner has: it is taken down to this width, with a warning.
MIN_CLOSE_UP_PX = 32
CLOSE_UP_FRACTION = 0.05
# More than this many faces is a crowd; the largest are kept.
MAX_FACES = 16
# Tiles are searched in this many rows and columns, overlapping by half: 9, then 49 looks of 10 ms.
_TILINGS = (2, 4)
# A tile shows a detail without its surroundings, in which fur and folds look like faces: be stricter there. And
# a face wider than this part of the picture would have been seen in the whole picture.
_TILE_SCORE_FLOOR = 0.65
_TILE_FACE_LIMIT = 0.10
# The picture is shrunk to this side before tiling: a face of MIN_FACE_PX still fills a detector's cell.
_TILE_SIDE_LIMIT = 3072
_TILE_OVERLAP = 1.5
# The last look: square tiles of the picture's own pixels, in which a face of 20 pixels still fills a cell. It
# finds faces that are too small to speak, so that the answer can say so. Tiles overlap by more than such a face.
_CLOSE_TILE_PX = 384
_CLOSE_STEP_PX = 288
# Without surroundings and with hundreds of looks noise scores up to 0.62; tiny true faces have 0.7 and more.
_CLOSE_SCORE_FLOOR = 0.66
_CLOSE_FACE_PX = 96.0


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

    @property
    def roll_deg(self) -> float:
        """How far the face leans from upright, degrees, clockwise positive; 180 is upside down."""
        eyes = self.points[[topo.RIGHT_EYE_OUTER, topo.LEFT_EYE_OUTER], :2].mean(axis=0)
        mouth = self.points[[topo.RIGHT_CORNER, topo.LEFT_CORNER], :2].mean(axis=0)
        down = mouth - eyes
        return float(np.degrees(np.arctan2(-down[0], down[1])))


def find_faces(models: Models, picture: Image, check: Callable[[], None]) -> list[Face]:
    """All faces of an RGB picture, the largest first. `check` is called between steps and may raise.

    Raises `TaskError`: `face_not_found`, or `face_too_small` when the only faces are below `MIN_FACE_PX`.
    """
    found = whole_picture_faces(models, picture)
    check()
    return usable_faces(found or search_tiles(models, picture, check), max(picture.shape[:2]))


def not_found() -> TaskError:
    """The answer to a picture without a face."""
    return TaskError(
        "face_not_found",
        "No face was found in the picture. Use a photo or drawing that shows one face from the front.",
    )


def is_large_enough(face: Face, side_px: int) -> bool:
    """Whether a face can be made to speak, in a picture whose longest side is `side_px`."""
    is_close_up = face.size_px >= CLOSE_UP_FRACTION * side_px
    return face.size_px >= (MIN_CLOSE_UP_PX if is_close_up else MIN_FACE_PX)


def usable_faces(found: list[Face], side_px: int) -> list[Face]:
    """The faces that are large enough for a picture of that size. Raises `TaskError` as `find_faces` does."""
    if not found:
        raise not_found()
    large = [face for face in found if is_large_enough(face, side_px)]
    if not large:
        raise TaskError(
            "face_too_small",
            f"The face is only {found[0].size_px:.0f} pixels wide. "
            f"Crop the picture around it, or use one where it is at least {MIN_FACE_PX} pixels wide.",
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


def whole_picture_faces(models: Models, picture: Image) -> list[Face]:
    """All faces that the detectors see in the picture as a whole, of any size, the largest first."""
    faces: list[Face] = []
    for box in find_boxes(models, picture)[:MAX_FACES]:
        first = landmarks.measure(models, picture, landmarks.region_of_box(box))
        second = landmarks.measure(models, picture, landmarks.region_of_points(first.points))
        presence = min(first.presence, second.presence)
        if presence >= PRESENCE_FLOOR:
            _add_new(faces, Face(second.points, box.score, presence))
    return sorted(faces, key=lambda face: -face.size_px)


def search_tiles(models: Models, picture: Image, check: Callable[[], None]) -> list[Face]:
    """Small faces, of any size, the largest first. `check` is called between tiles and may raise."""
    shrink = min(1.0, _TILE_SIDE_LIMIT / max(picture.shape[:2]))
    small = picture
    if shrink < 1:
        small = resize_image(picture, round(picture.shape[1] * shrink), round(picture.shape[0] * shrink))
    limit = _TILE_FACE_LIMIT * max(small.shape[:2])
    for count in _TILINGS:
        faces = _faces_in(models, _tiles(small, count), check, _TILE_SCORE_FLOOR, limit)
        if faces:
            return [Face(face.points / shrink, face.score, face.presence) for face in faces]
    return _faces_in(models, _close_tiles(picture), check, _CLOSE_SCORE_FLOOR, _CLOSE_FACE_PX)


def _faces_in(
    models: Models,
    tiles: Iterator[tuple[int, int, Image]],
    check: Callable[[], None],
    score_floor: float,
    widest_px: float,
) -> list[Face]:
    faces: list[Face] = []
    for x, y, tile in tiles:
        check()
        for face in whole_picture_faces(models, tile):
            if face.score < score_floor or face.size_px > widest_px:
                continue
            points = face.points.copy()
            points[:, 0] += x
            points[:, 1] += y
            _add_new(faces, Face(points, face.score, face.presence))
    return sorted(faces, key=lambda face: -face.size_px)


def _close_tiles(picture: Image) -> Iterator[tuple[int, int, Image]]:
    height, width = picture.shape[:2]
    side = _CLOSE_TILE_PX
    for y in _starts(height):
        for x in _starts(width):
            yield x, y, np.ascontiguousarray(picture[y : y + side, x : x + side])


def _starts(length: int) -> list[int]:
    """Where tiles begin along a side of `length` pixels, evenly spread, the last one at the very end."""
    room = max(0, length - _CLOSE_TILE_PX)
    return [int(start) for start in np.linspace(0, room, -(-room // _CLOSE_STEP_PX) + 1)]


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
