"""The frame: even sizes, the face inside it, and its points where the face is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from workers.draft import landmarks
from workers.draft.faces import Face, find_faces
from workers.draft.framing import ASPECTS, WIDE_LIMIT, frame_portrait
from workers.draft.sessions import Models
from workers.handler import TaskError

Photo = NDArray[np.uint8]


@pytest.fixture(scope="module")
def face(models: Models, photo: Photo) -> Face:
    return find_faces(models, photo, lambda: None)[0]


@pytest.mark.parametrize("aspect", ASPECTS)
def test_every_aspect_gives_even_sizes_of_its_shape_with_the_whole_face(
    photo: Photo, face: Face, aspect: str
) -> None:
    framing = frame_portrait(photo, face, aspect, 512)
    height, width = framing.frame.shape[:2]
    assert width % 2 == height % 2 == 0
    assert max(width, height) <= WIDE_LIMIT[0]
    assert min(width, height) <= WIDE_LIMIT[1]
    if aspect != "source":
        across, down = (int(part) for part in aspect.split(":"))
        assert abs(width / height - across / down) < 0.02
    inside = framing.points[:468, :2]
    assert (inside > 0).all()
    assert (inside < (width, height)).all()


def test_a_flat_frame_leaves_room_for_hair_and_chin(photo: Photo, face: Face) -> None:
    framing = frame_portrait(photo, face, "16:9", 512)
    top, bottom = framing.points[:468, 1].min(), framing.points[:468, 1].max()
    below = framing.frame.shape[0] - bottom
    assert below > 0
    assert top > min(0.4 * (bottom - top), 2 * below)


def test_the_points_fit_the_frame(models: Models, photo: Photo, face: Face) -> None:
    framing = frame_portrait(photo, face, "1:1", 512)
    region = landmarks.region_of_points(framing.points)
    seen = landmarks.measure(models, np.ascontiguousarray(framing.frame[:, :, ::-1]), region)
    error = np.linalg.norm(seen.points[:468, :2] - framing.points[:468, :2], axis=1)
    assert np.median(error) < 3


@pytest.mark.parametrize("size", [128, 256, 512, 720])
def test_a_square_has_the_size_asked_for(photo: Photo, face: Face, size: int) -> None:
    assert frame_portrait(photo, face, "1:1", size).frame.shape == (size, size, 3)


def test_the_source_aspect_keeps_the_picture_whole(photo: Photo, face: Face) -> None:
    wide = np.asarray(cv2.copyMakeBorder(photo, 0, 1, 300, 301, cv2.BORDER_REPLICATE), np.uint8)
    moved = Face(face.points + np.array([300.0, 0, 0]), face.score, face.presence)
    framing = frame_portrait(wide, moved, "source", 512)
    assert framing.frame.shape == (512, 1112, 3)


@pytest.mark.parametrize(("aspect", "size"), [("4:3", 512), ("", 512), ("1:1", 64), ("1:1", 4000)])
def test_an_impossible_frame_is_refused(photo: Photo, face: Face, aspect: str, size: int) -> None:
    with pytest.raises(TaskError) as caught:
        frame_portrait(photo, face, aspect, size)
    assert caught.value.code == "validation_failed"
