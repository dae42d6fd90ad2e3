"""Which two faces of a picture speak, and whose is whose. Runs in the draft worker.

Flow: the task's `speakers` (a box or none for each) + the faces that were found -> two faces in the speakers' order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from workers.draft.arrays import F64
from workers.draft.faces import Face
from workers.handler import Task, TaskError

SPEAKERS = 2
# Names of the tasks' inputs: what each of them says, in the length of the whole.
TRACKS = ("track_1", "track_2")


@dataclass(frozen=True)
class Box:
    """A part of the picture, as fractions of it."""

    x: float
    y: float
    w: float
    h: float


def read_speakers(task: Task) -> tuple[Box | None, ...]:
    """Where the two speakers' faces are said to be; empty for one speaker. Raises `TaskError` validation_failed."""
    given = task.params.get("speakers") or []
    if not isinstance(given, list) or len(given) not in (0, SPEAKERS):
        raise TaskError("validation_failed", "speakers must be a list of two, or empty.")
    if not given:
        return ()
    missing = [name for name in TRACKS if name not in task.inputs]
    if missing:
        raise TaskError(
            "validation_failed", f"Two speakers need their tracks; missing: {', '.join(missing)}."
        )
    return tuple(_box(speaker) for speaker in given)


def choose_two(faces: list[Face], boxes: tuple[Box | None, ...], width: int, height: int) -> list[Face]:
    """The speakers' faces, in the order of `boxes`, of a picture of that size.

    Who has a box gets the face in it. The others get the largest faces that are left, from left to right. Raises
    `TaskError` face_not_found.
    """
    if len(faces) < SPEAKERS:
        raise TaskError(
            "face_not_found",
            "Two people speak, but only one face was found in the picture. Use a picture that shows both of them "
            "from the front, at least 48 pixels wide, or leave out the speakers.",
        )
    boxed = [place for place, box in enumerate(boxes) if box is not None]
    chosen: dict[int, Face] = {}
    if boxed:
        wanted = [_in_pixels(boxes[place], width, height) for place in boxed]
        best = max(permutations(faces, len(boxed)), key=lambda some: _fit(wanted, list(some)))
        for place, area, face in zip(boxed, wanted, best, strict=True):
            if _nearness(area, face) <= 0:
                raise TaskError(
                    "face_not_found",
                    f"No face was found in the area that was marked for speaker {place + 1}. "
                    "Mark the whole face, or leave the marks out: then the faces are taken from left to right.",
                )
            chosen[place] = face
    rest = [face for face in faces if not any(face is taken for taken in chosen.values())]
    open_places = [place for place in range(SPEAKERS) if place not in chosen]
    others = sorted(rest[: len(open_places)], key=lambda face: float(face.centre[0]))
    chosen.update(zip(open_places, others, strict=True))
    return [chosen[place] for place in range(SPEAKERS)]


def _box(speaker: object) -> Box | None:
    box = speaker.get("face") if isinstance(speaker, Mapping) else None
    if box is None:
        return None
    try:
        found = Box(*(_fraction(box[name]) for name in ("x", "y", "w", "h")))
    except (KeyError, TypeError, ValueError) as error:
        raise TaskError("validation_failed", "A face needs x, y, w and h, each from 0 to 1.") from error
    if found.w <= 0 or found.h <= 0:
        raise TaskError("validation_failed", "The area of a face is empty.")
    return found


def _fraction(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(value)
    return number


def _in_pixels(box: Box | None, width: int, height: int) -> F64:
    """x0, y0, x1, y1."""
    assert box is not None  # noqa: S101 - only speakers with a box are asked
    return np.array([box.x * width, box.y * height, (box.x + box.w) * width, (box.y + box.h) * height])


def _fit(areas: list[F64], faces: list[Face]) -> float:
    return sum(_nearness(area, face) for area, face in zip(areas, faces, strict=True))


def _nearness(area: F64, face: Face) -> float:
    """1 for the same box, positive when they overlap at all, else below 0 and less the further away."""
    mesh = np.array(face.box)
    low, high = np.maximum(area[:2], mesh[:2]), np.minimum(area[2:], mesh[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    sizes = float(np.prod(area[2:] - area[:2]) + np.prod(mesh[2:] - mesh[:2]))
    if shared > 0:
        return shared / (sizes - shared)
    away = float(np.linalg.norm((area[:2] + area[2:] - mesh[:2] - mesh[2:]) / 2))
    return -away / max(1.0, float(np.linalg.norm(area[2:] - area[:2])))
