"""No face, a tiny face, several faces, a profile: each gets its own answer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from workers.draft import topology as topo
from workers.draft.arrays import F64
from workers.draft.faces import Face, choose, find_faces, usable_faces
from workers.draft.orientation import find_upright
from workers.draft.portrait_checks import check_portrait
from workers.draft.sessions import Models
from workers.handler import TaskCancelled, TaskError

Photo = NDArray[np.uint8]


def codes(models: Models, picture: Photo) -> list[str]:
    faces = find_faces(models, picture, lambda: None)
    return [warning["code"] for warning in check_portrait(picture, faces, faces[0])]


def drawn_face() -> Photo:
    drawing = np.full((512, 512, 3), 255, np.uint8)
    cv2.circle(drawing, (256, 256), 180, (255, 210, 180), -1)
    for x in (190, 322):
        cv2.circle(drawing, (x, 220), 22, (0, 0, 0), -1)
    cv2.ellipse(drawing, (256, 330), (70, 35), 0, 0, 180, (200, 40, 40), -1)
    return drawing


def turned(points: F64, degrees: float) -> F64:
    """Landmarks of a head turned about its vertical axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    centre = points.mean(axis=0)
    rotation = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    return np.asarray((points - centre) @ rotation.T + centre, np.float64)


def test_the_face_of_a_photo_is_found_where_it_is(models: Models, photo: Photo) -> None:
    faces = find_faces(models, photo, lambda: None)
    assert len(faces) == 1
    x0, y0, x1, y1 = faces[0].box
    assert 150 < x0 < x1 < 290
    assert 50 < y0 < y1 < 220
    assert abs(faces[0].yaw_deg) < 10
    mouth = faces[0].points[[topo.RIGHT_CORNER, topo.LEFT_CORNER], :2]
    eyes = faces[0].points[[topo.RIGHT_EYE_OUTER, topo.LEFT_EYE_OUTER], :2]
    assert mouth[:, 1].min() > eyes[:, 1].max()
    assert mouth[0, 0] < mouth[1, 0]


def test_a_good_photo_has_no_warnings(models: Models, photo: Photo) -> None:
    assert codes(models, photo) == []


@pytest.mark.parametrize("name", ["coffee", "chelsea"])
def test_a_picture_without_a_person_has_no_face(models: Models, name: str) -> None:
    import skimage.data

    picture = np.ascontiguousarray(getattr(skimage.data, name)())
    with pytest.raises(TaskError) as caught:
        find_faces(models, picture, lambda: None)
    assert caught.value.code == "face_not_found"
    assert "one face" in caught.value.message


def test_a_tiny_face_is_refused_with_its_size(models: Models, photo: Photo) -> None:
    small = cv2.resize(photo, (120, 120), interpolation=cv2.INTER_AREA)
    with pytest.raises(TaskError) as caught:
        find_faces(models, np.asarray(small, np.uint8), lambda: None)
    assert caught.value.code == "face_too_small"
    assert "pixels wide" in caught.value.message


def test_a_small_face_is_animated_with_a_warning(models: Models, photo: Photo) -> None:
    small = np.asarray(cv2.resize(photo, (300, 300), interpolation=cv2.INTER_AREA), np.uint8)
    assert codes(models, small) == ["small_face"]


def test_a_small_face_in_a_large_scene_is_found_in_tiles(models: Models, photo: Photo) -> None:
    scene = np.full((1500, 2000, 3), 120, np.uint8)
    scene[900:1220, 300:620] = cv2.resize(photo, (320, 320), interpolation=cv2.INTER_AREA)
    faces = find_faces(models, scene, lambda: None)
    assert len(faces) == 1
    assert 300 < faces[0].centre[0] < 620
    assert 900 < faces[0].centre[1] < 1220


@pytest.mark.parametrize(("width", "height", "side"), [(3840, 2160, 256), (1920, 1080, 128)])
def test_a_tiny_face_in_a_large_scene_is_called_too_small_and_not_absent(
    models: Models, photo: Photo, width: int, height: int, side: int
) -> None:
    scene = np.full((height, width, 3), 120, np.uint8)
    x, y = width * 2 // 3, height // 3
    scene[y : y + side, x : x + side] = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    with pytest.raises(TaskError) as caught:
        find_faces(models, scene, lambda: None)
    assert caught.value.code == "face_too_small"


def square(width: float) -> Face:
    """A face of this width, with nothing in it."""
    points = np.zeros((478, 3))
    points[1] = (width, width, 0)
    return Face(points, 0.9, 1.0)


def test_the_width_that_the_sentence_asks_for_is_the_width_that_is_accepted() -> None:
    with pytest.raises(TaskError) as caught:
        usable_faces([square(20)], 512)
    asked = int(caught.value.message.rsplit("at least ", 1)[1].split()[0])
    assert usable_faces([square(asked)], 4000)
    with pytest.raises(TaskError):
        usable_faces([square(asked - 1)], 4000)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_picture_on_its_side_or_head_is_turned_upright_with_a_warning(
    models: Models, photo: Photo, turns: int
) -> None:
    upright = find_upright(models, np.ascontiguousarray(np.rot90(photo, turns)), lambda: None)
    assert upright.rotated
    assert np.array_equal(upright.picture, photo)
    assert abs(upright.faces[0].roll_deg) < 15
    warnings = check_portrait(upright.picture, upright.faces, upright.faces[0], rotated=upright.rotated)
    assert [warning["code"] for warning in warnings] == ["rotated"]


def test_an_upright_picture_and_an_upright_drawing_stay_as_they_are(models: Models, photo: Photo) -> None:
    for picture in (photo, drawn_face()):
        upright = find_upright(models, picture, lambda: None)
        assert not upright.rotated
        assert upright.picture is picture


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket"])
def test_no_turn_of_a_picture_without_a_person_has_a_face(models: Models, name: str) -> None:
    import skimage.data

    picture = np.ascontiguousarray(getattr(skimage.data, name)())
    with pytest.raises(TaskError) as caught:
        find_upright(models, picture, lambda: None)
    assert caught.value.code == "face_not_found"


@pytest.mark.parametrize("degrees", [-30.0, 30.0])
def test_a_leaning_head_is_left_leaning(models: Models, photo: Photo, degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((224, 130), degrees, 1.0)
    leaning = np.asarray(cv2.warpAffine(photo, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    upright = find_upright(models, leaning, lambda: None)
    assert not upright.rotated
    assert abs(abs(upright.faces[0].roll_deg) - 30) < 10


def test_the_search_in_tiles_can_be_cancelled(models: Models) -> None:
    def cancel() -> None:
        raise TaskCancelled

    with pytest.raises(TaskCancelled):
        find_faces(models, np.full((1200, 1200, 3), 90, np.uint8), cancel)


def test_several_faces_are_offered_the_largest_first(models: Models, photo: Photo) -> None:
    small = cv2.resize(photo, (360, 360), interpolation=cv2.INTER_AREA)
    pair = np.full((512, 872, 3), 128, np.uint8)
    pair[:, :512] = photo
    pair[100:460, 512:] = small
    faces = find_faces(models, pair, lambda: None)
    assert len(faces) == 2
    assert faces[0].size_px > faces[1].size_px
    assert choose(faces, None) is faces[0]
    assert choose(faces, 1) is faces[1]
    assert [w["code"] for w in check_portrait(pair, faces, faces[0])] == ["several_faces"]


@pytest.mark.parametrize("index", [-1, 1, 7])
def test_a_face_that_is_not_there_cannot_be_chosen(models: Models, photo: Photo, index: int) -> None:
    faces = find_faces(models, photo, lambda: None)
    with pytest.raises(TaskError) as caught:
        choose(faces, index)
    assert caught.value.code == "validation_failed"


@pytest.mark.parametrize("degrees", [-60.0, 55.0])
def test_a_strong_profile_is_warned_about(models: Models, photo: Photo, degrees: float) -> None:
    frontal = find_faces(models, photo, lambda: None)[0]
    face = Face(turned(frontal.points, degrees), 0.9, 1.0)
    assert abs(abs(face.yaw_deg) - abs(degrees)) < 12
    assert "strong_profile" in [w["code"] for w in check_portrait(photo, [face], face)]


def test_a_dark_face_is_warned_about(models: Models, photo: Photo) -> None:
    assert codes(models, (photo * 0.12).astype(np.uint8)) == ["dark"]


def test_a_blurred_face_is_warned_about(models: Models, photo: Photo) -> None:
    assert codes(models, np.asarray(cv2.GaussianBlur(photo, (0, 0), 4), np.uint8)) == ["blurred"]


def test_a_drawn_face_is_animated_with_a_warning(models: Models) -> None:
    assert codes(models, drawn_face()) == ["drawn"]


def test_a_small_close_up_is_taken_and_the_same_face_lost_in_a_large_picture_is_not() -> None:
    assert usable_faces([square(46)], 256)
    with pytest.raises(TaskError) as caught:
        usable_faces([square(46)], 3840)
    assert caught.value.code == "face_too_small"
    with pytest.raises(TaskError):
        usable_faces([square(31)], 256)
