"""Pictures of two people, composed of the bundled portraits, which were drawn for this project."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.draft.faces import find_faces
from workers.draft.matte import person_matte
from workers.draft.rig import build_head
from workers.draft.sessions import Models

PORTRAITS = Path(__file__).resolve().parents[3] / "assets" / "portraits"
Picture = NDArray[np.uint8]


def portrait(name: str) -> Picture:
    """A bundled portrait, RGB 512x512."""
    loaded = cv2.imread(str(PORTRAITS / f"{name}_512.jpg"))
    assert loaded is not None
    return np.asarray(loaded[:, :, ::-1], np.uint8)


def side_by_side(*, apart_px: int = 0) -> Picture:
    """Aria at the left, Leo at the right, a wall of `apart_px` between them."""
    left, right = portrait("aria")[:, 75:437], portrait("leo")[:, 75:437]
    wall = np.full((512, apart_px, 3), 150, np.uint8)
    return np.ascontiguousarray(np.hstack([left, wall, right]))


def shoulder_to_shoulder(models: Models) -> Picture:
    """Leo before Aria, his shoulder over hers: one region to whoever cuts people out."""
    canvas = np.full((512, 650, 3), 140, np.uint8)
    for name, x in (("aria", -60), ("leo", 165)):
        picture = portrait(name)
        face = find_faces(models, picture, lambda: None)[0]
        matte = person_matte(models, picture[:, :, ::-1].copy(), build_head(face.points, models.triangles))
        assert matte is not None
        left, right = max(0, x), min(650, x + 512)
        share = (matte[:, left - x : right - x].astype(float) / 255)[..., None]
        part = canvas[:, left:right] * (1 - share) + picture[:, left - x : right - x] * share
        canvas[:, left:right] = part.astype(np.uint8)
    return canvas
