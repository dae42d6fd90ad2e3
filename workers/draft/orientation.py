"""Which way up a picture is, told by its faces. Runs in the draft worker.

Flow: RGB picture -> faces as it lies -> where they are weak or lie on their side, faces of the three quarter
turns -> the picture upright with its faces. A camera's own note of its orientation is obeyed before this;
pictures sent through chat programs have lost it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workers.draft import faces as face_search
from workers.draft.arrays import Image
from workers.draft.faces import Face
from workers.draft.sessions import Models

# The detectors know upright faces: those score 0.85 and more, the same faces upside down 0.5 to 0.6 (with the
# mouth found on the forehead). Drawings score as low while upright, so a low score only makes us look again.
_SURE_SCORE = 0.75
# A turn is believed only when it is this much better than the picture as it lies.
_BETTER_BY = 0.1
# A head leans less than this; beyond it the picture lies on its side.
_LYING_DEG = 60.0
# After the right quarter turn a head leans less than this.
_UPRIGHT_DEG = 45.0


@dataclass(frozen=True)
class UprightPicture:
    """A picture the right way up and its faces; `rotated` when it was given otherwise."""

    picture: Image
    faces: list[Face]
    rotated: bool


def find_upright(models: Models, picture: Image, check: Callable[[], None]) -> UprightPicture:
    """The picture turned so that its faces stand upright. `check` is called between steps and may raise.

    Raises `TaskError` as `faces.find_faces` does; a face that lies however the picture is turned is not found.
    """
    side_px = max(picture.shape[:2])
    found = face_search.whole_picture_faces(models, picture)
    check()
    if any(_sure(face, _LYING_DEG) for face in found):
        return UprightPicture(picture, face_search.usable_faces(found, side_px), rotated=False)
    best_score = (
        max((face.score for face in found if abs(face.roll_deg) < _LYING_DEG), default=0.0) + _BETTER_BY
    )
    best: tuple[Image, list[Face]] | None = None
    for turns in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(picture, turns))
        faces = face_search.whole_picture_faces(models, turned)
        check()
        # Noise of a few pixels turns no picture.
        score = max(
            (
                face.score
                for face in faces
                if _sure(face, _UPRIGHT_DEG) and face_search.is_large_enough(face, side_px)
            ),
            default=0.0,
        )
        if score > best_score:
            best, best_score = (turned, faces), score
    if best is not None:
        return UprightPicture(best[0], face_search.usable_faces(best[1], side_px), rotated=True)
    standing = [face for face in found if abs(face.roll_deg) < _LYING_DEG]
    if found and not standing:
        raise face_search.not_found()
    return UprightPicture(
        picture,
        face_search.usable_faces(standing or face_search.search_tiles(models, picture, check), side_px),
        rotated=False,
    )


def _sure(face: Face, limit_deg: float) -> bool:
    return face.score >= _SURE_SCORE and abs(face.roll_deg) < limit_deg
