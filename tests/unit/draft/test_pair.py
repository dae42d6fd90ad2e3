"""Two people in one picture: whose face is whose, a frame that shows both, and nobody moves the other one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.unit.draft.pictures import Picture, portrait, shoulder_to_shoulder, side_by_side
from tests.unit.draft.test_renderer import aperture, look, pose
from workers.draft import topology as topo
from workers.draft.faces import Face, find_faces
from workers.draft.framing import ASPECTS, Framing
from workers.draft.matte import person_matte
from workers.draft.motion import REST
from workers.draft.pair import Box, choose_two, read_speakers
from workers.draft.pair_framing import frame_pair
from workers.draft.portrait_checks import check_pair
from workers.draft.renderer import Scene
from workers.draft.rig import build_head
from workers.draft.sessions import Models
from workers.draft.territory import territories
from workers.handler import Task, TaskError

SIZE = (1000, 500)


def a_face(x: float, y: float = 250.0, half: float = 50.0) -> Face:
    points = np.zeros((478, 3))
    points[:, 0], points[:, 1] = x, y
    points[0, :2], points[1, :2] = (x - half, y - half), (x + half, y + half)
    return Face(points, 0.9, 1.0)


def around(face: Face, grow: float = 0.0) -> Box:
    x0, y0, x1, y1 = face.box
    return Box(
        (x0 - grow) / SIZE[0],
        (y0 - grow) / SIZE[1],
        (x1 - x0 + 2 * grow) / SIZE[0],
        (y1 - y0 + 2 * grow) / SIZE[1],
    )


LEFT, MIDDLE, RIGHT = a_face(150, half=60), a_face(500, half=40), a_face(850, half=70)
FOUND = sorted([LEFT, MIDDLE, RIGHT], key=lambda face: -face.size_px)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ((None, None), [LEFT, RIGHT]),
        ((around(RIGHT), around(LEFT)), [RIGHT, LEFT]),
        ((around(MIDDLE, 15), None), [MIDDLE, RIGHT]),
        ((None, around(LEFT)), [RIGHT, LEFT]),
        ((around(LEFT, 90), around(MIDDLE, 90)), [LEFT, MIDDLE]),
    ],
)
def test_faces_go_to_their_boxes_and_the_rest_from_left_to_right(
    boxes: tuple[Box | None, ...], expected: list[Face]
) -> None:
    chosen = choose_two(FOUND, boxes, *SIZE)
    assert [face.centre[0] for face in chosen] == [face.centre[0] for face in expected]


@pytest.mark.parametrize(
    ("faces", "boxes", "word"),
    [
        ([LEFT], (None, None), "only one face"),
        (FOUND, (Box(0.3, 0.0, 0.1, 0.1), None), "speaker 1"),
        (FOUND, (around(LEFT), around(LEFT)), "speaker 2"),
    ],
)
def test_too_few_faces_and_boxes_without_one_are_face_not_found_with_a_fix(
    faces: list[Face], boxes: tuple[Box | None, ...], word: str
) -> None:
    with pytest.raises(TaskError) as caught:
        choose_two(faces, boxes, *SIZE)
    assert caught.value.code == "face_not_found"
    assert word in caught.value.message
    assert "leave" in caught.value.message


@pytest.mark.parametrize(
    ("speakers", "inputs"),
    [
        ([{"face": None}], ("track_1", "track_2")),
        ([{"face": None}, {"face": None}], ("track_1",)),
        ([{"face": None}, {"face": {"x": 0.1, "y": 0.1, "w": 2, "h": 0.1}}], ("track_1", "track_2")),
        ([{"face": None}, {"face": {"x": 0.1}}], ("track_1", "track_2")),
        ([{"face": None}, {"face": {"x": 0.1, "y": 0.1, "w": 0, "h": 0.1}}], ("track_1", "track_2")),
        ("two", ("track_1", "track_2")),
    ],
)
def test_a_task_with_speakers_that_are_not_two_with_tracks_and_boxes_is_refused(
    speakers: Any, inputs: tuple[str, ...], tmp_path: Path
) -> None:
    paths = {name: tmp_path / name for name in inputs}
    task = Task("job_00000001", 1, "talking_avatar", None, paths, {"speakers": speakers}, tmp_path, 1)
    with pytest.raises(TaskError) as caught:
        read_speakers(task)
    assert caught.value.code == "validation_failed"


@pytest.fixture(scope="module")
def far_apart(models: Models) -> tuple[Picture, list[Face]]:
    picture = side_by_side(apart_px=500)
    return picture, choose_two(
        find_faces(models, picture, lambda: None), (None, None), picture.shape[1], picture.shape[0]
    )


@pytest.mark.parametrize("aspect", ASPECTS)
def test_every_aspect_shows_both_faces_whole(far_apart: tuple[Picture, list[Face]], aspect: str) -> None:
    picture, pair = far_apart
    framed = frame_pair(picture, pair, aspect, 256)
    height, width = framed.frame.shape[:2]
    whole = framed.mat.size if framed.mat else (width, height)
    assert whole[0] % 2 == whole[1] % 2 == 0
    if aspect == "1:1":
        assert whole == (256, 256)
    for points in framed.points:
        low, high = points[: topo.SKIN_POINTS, :2].min(axis=0), points[: topo.SKIN_POINTS, :2].max(axis=0)
        assert (low >= 0).all()
        assert (high <= (width, height)).all()
    # Nothing is squeezed: both faces keep their shape.
    for face, points in zip(pair, framed.points, strict=True):
        scale = np.ptp(points[:, :2], axis=0) / np.ptp(face.points[:, :2], axis=0)
        assert scale[0] == pytest.approx(scale[1], rel=0.03)
    if framed.mat is not None:
        moving = np.full((height, width, 4), 7, np.uint8)
        shown = framed.mat.around(moving)
        assert shown.shape[:2] == whole[::-1]
        assert int((shown == 7).all(axis=-1).sum()) >= height * width


def test_two_who_stand_close_fill_a_square_without_a_mat(models: Models) -> None:
    picture = shoulder_to_shoulder(models)
    pair = choose_two(
        find_faces(models, picture, lambda: None), (None, None), picture.shape[1], picture.shape[0]
    )
    assert frame_pair(picture, pair, "1:1", 256).mat is None
    with pytest.raises(TaskError):
        frame_pair(picture, pair, "4:3", 256)
    with pytest.raises(TaskError):
        frame_pair(picture, pair, "1:1", 2)


def test_warnings_of_two_name_a_third_face_and_each_kind_once(models: Models) -> None:
    picture = np.ascontiguousarray(np.hstack([side_by_side(), portrait("aria")]))
    found = find_faces(models, picture, lambda: None)
    codes = [warning["code"] for warning in check_pair(picture, found, found[:2], rotated=True)]
    assert sorted(codes) == ["rotated", "several_faces"]
    assert check_pair(picture, found[:2], found[:2]) == []


@pytest.fixture(scope="module")
def close_scene(models: Models) -> tuple[Scene, Framing, Framing, Picture]:
    picture = shoulder_to_shoulder(models)
    pair = choose_two(
        find_faces(models, picture, lambda: None), (None, None), picture.shape[1], picture.shape[0]
    )
    framed = frame_pair(picture, pair, "1:1", 384)
    mattes = [
        person_matte(models, framed.frame, build_head(points, models.triangles)) for points in framed.points
    ]
    assert all(matte is not None for matte in mattes)
    scene = Scene(framed.frame, models.triangles, list(framed.points), mattes)
    left, right = (Framing(framed.frame, points, 1.0) for points in framed.points)
    return scene, left, right, framed.frame


def test_of_two_who_touch_each_opens_only_its_own_mouth(
    models: Models, close_scene: tuple[Scene, Framing, Framing, Picture]
) -> None:
    scene, left, right, _ = close_scene
    for speaking in (0, 1):
        poses = [pose(open=0.3) if place == speaking else REST for place in range(2)]
        frame = scene.render(poses).copy()
        seen = [aperture(look(models, framing, frame)) for framing in (left, right)]
        assert seen[speaking] > 0.15, (speaking, seen)
        assert seen[1 - speaking] < 0.035, (speaking, seen)


def test_one_person_moves_without_a_pixel_of_the_other_and_no_seam_opens_between_them(
    models: Models, close_scene: tuple[Scene, Framing, Framing, Picture]
) -> None:
    scene, left, right, frame = close_scene
    still = scene.render([REST, REST]).copy()
    moved = scene.render([pose(yaw=0.05, roll=0.02, shift_x=0.01, sway=0.02, open=0.3), REST])
    changed = np.abs(moved[..., :3].astype(int) - still[..., :3]).max(axis=-1)
    heads = [build_head(framing.points, models.triangles) for framing in (left, right)]
    mine, other = territories(heads, (frame.shape[0], frame.shape[1]))
    assert changed[other.share > 0.99].max() == 0
    assert changed[mine.share > 0.99].max() > 40
    # On the border between them, inside of both, the picture stands as it was taken.
    mattes = [person_matte(models, frame, head) for head in heads]
    people = np.minimum.reduce([matte for matte in mattes if matte is not None])
    solid = cv2.erode(people, np.ones((9, 9), np.uint8)) == 255
    border = (mine.share > 0.05) & (mine.share < 0.95) & solid
    assert border.sum() > 200
    assert np.abs(moved[border][:, :3].astype(int) - frame[border]).max() <= 12


@pytest.mark.parametrize("centres", [((120.0, 150.0), (300.0, 170.0)), ((200.0, 90.0), (210.0, 290.0))])
def test_territories_share_out_every_pixel_and_give_each_face_its_own(
    models: Models, centres: tuple[tuple[float, float], ...]
) -> None:
    face = find_faces(models, portrait("aria"), lambda: None)[0]
    heads = []
    for x, y in centres:
        points = face.points * 0.7
        points[:, :2] += np.array([x, y]) - points[: topo.SKIN_POINTS, :2].mean(axis=0)
        heads.append(build_head(points, models.triangles))
    found = territories(heads, (400, 420))
    total = np.add.reduce([territory.share for territory in found])
    assert np.abs(total - 1).max() < 1e-5
    for territory, (x, y) in zip(found, centres, strict=True):
        assert territory.share[int(y), int(x)] == pytest.approx(1.0)
        assert territory.motion[int(y), int(x)] == pytest.approx(1.0, abs=0.05)
        # No motion where the other one begins.
        assert territory.motion[territory.share < 0.5].max() == pytest.approx(0.0, abs=1e-3)
