"""Frames that are looked at: lips shut and open when they must, eyes blink, the background stands still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.draft.conftest import spell, voiced
from workers.draft import eyes, landmarks, mouth_track, phonemes
from workers.draft import topology as topo
from workers.draft.audio_features import features_of
from workers.draft.framing import Framing
from workers.draft.matte import person_matte
from workers.draft.motion import REST, Pose, plan_motion
from workers.draft.renderer import Scene
from workers.draft.rig import build_head
from workers.draft.sessions import Models

Frame = NDArray[np.uint8]
FPS = 25


@pytest.fixture(scope="module")
def matte(models: Models, framing: Framing) -> Frame:
    found = person_matte(models, framing.frame, build_head(framing.points, models.triangles))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def scene(models: Models, framing: Framing, matte: Frame) -> Scene:
    return Scene(framing.frame, models.triangles, [framing.points], [matte])


def pose(**channels: float) -> Pose:
    return REST._replace(**channels)


def look(models: Models, framing: Framing, frame: Frame) -> NDArray[np.float64]:
    """Landmarks of a rendered frame, measured anew."""
    rgb = np.ascontiguousarray(frame[:, :, 2::-1])
    return landmarks.measure(models, rgb, landmarks.region_of_points(framing.points)).points


def aperture(points: NDArray[np.float64]) -> float:
    """Gap between the inner lips over the mouth's width."""
    pairs = ((13, 14), (82, 87), (312, 317))
    gap = np.mean([points[b, 1] - points[a, 1] for a, b in pairs])
    return float(gap / np.linalg.norm(points[topo.LEFT_CORNER, :2] - points[topo.RIGHT_CORNER, :2]))


def eye_opening(points: NDArray[np.float64]) -> float:
    return float(np.mean([points[145, 1] - points[159, 1], points[374, 1] - points[386, 1]]))


def test_lips_close_on_p_b_and_m_and_in_silence_and_open_on_vowels(
    models: Models, framing: Framing, scene: Scene
) -> None:
    symbols = spell("pɑbɑmɑpɔbæm", each_s=0.20)
    heard = features_of(voiced(3.0, rate=16_000).astype(np.float32))
    rows = mouth_track.from_segments(phonemes.segments_of(symbols), heard, FPS)
    motion = plan_motion(rows, heard, FPS, seed=11, amount=1.0)
    seen: dict[str, list[float]] = {"shut": [], "open": []}
    for symbol, start, end in symbols:
        index = round(((start + end) / 2 - mouth_track.LEAD_S) * FPS)
        points = look(models, framing, scene.render([motion.pose(index)]))
        seen["shut" if symbol in "pbm" else "open"].append(aperture(points))
    for quiet in (2, 4, len(motion) - 3):
        seen["shut"].append(aperture(look(models, framing, scene.render([motion.pose(quiet)]))))
    assert max(seen["shut"]) < 0.035, seen
    assert min(seen["open"]) > 0.12, seen


def test_the_mouth_opens_as_far_as_it_is_told(models: Models, framing: Framing, scene: Scene) -> None:
    asked = (0.0, 0.08, 0.16, 0.24, 0.32)
    got = [aperture(look(models, framing, scene.render([pose(open=value)]))) for value in asked]
    assert got == sorted(got)
    assert np.corrcoef(asked, got)[0, 1] > 0.98
    assert got[-1] > 0.2


def test_rounding_narrows_the_mouth_and_spreading_widens_it(
    models: Models, framing: Framing, scene: Scene
) -> None:
    def width(**channels: float) -> float:
        points = look(models, framing, scene.render([pose(open=0.12, **channels)]))
        return float(np.linalg.norm(points[topo.LEFT_CORNER, :2] - points[topo.RIGHT_CORNER, :2]))

    assert width(pucker=0.9) < 0.9 * width() < width() < width(spread=0.8)


def test_a_blink_shuts_the_eyes(models: Models, framing: Framing, scene: Scene) -> None:
    wide = eye_opening(look(models, framing, scene.render([REST])))
    half = eye_opening(look(models, framing, scene.render([pose(blink_right=0.5, blink_left=0.5)])))
    shut = eye_opening(look(models, framing, scene.render([pose(blink_right=1.0, blink_left=1.0)])))
    assert shut < 0.45 * wide
    assert shut < half < wide


def test_a_shut_lid_is_round(framing: Framing, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def rendered() -> NDArray[np.int16]:
        return scene.render([pose(blink_right=1.0, blink_left=1.0)])[..., :3].astype(np.int16)

    lit = rendered()
    monkeypatch.setattr(eyes, "_LID_LIGHT", 0.0)
    lighter = (lit - rendered()).mean(axis=2)
    for eye in (topo.RIGHT_EYE, topo.LEFT_EYE):
        upper, lower = framing.points[list(eye.upper), :2], framing.points[list(eye.lower), :2]
        x, y = ((upper + lower) / 2).round().astype(int).T
        light = lighter[y, x]
        assert light[3:6].mean() > 4, "it catches light where the eyeball comes nearest"
        assert light[[0, -1]].max() < 0.5 * light[3:6].mean(), "and not at the corners of the eye"


def test_a_smile_is_taken_back(models: Models, framing: Framing, scene: Scene) -> None:
    def lift(relax: float) -> float:
        points = look(models, framing, scene.render([pose(relax=relax)]))
        return float(points[[13, 14], 1].mean() - points[[61, 291], 1].mean())

    assert lift(1.0) < lift(0.0) - 1.0


def test_only_the_person_moves(scene: Scene, framing: Framing, matte: Frame) -> None:
    moved = scene.render([pose(yaw=0.06, shift_x=0.015, sway=0.01, open=0.2)]).copy()
    still = scene.render([REST]).copy()
    background = matte == 0
    # Far enough from the silhouette that the person never covers it.
    far = np.zeros_like(background)
    rows, columns = np.nonzero(background)
    reach = 14
    for y, x in zip(rows[::97], columns[::97], strict=True):
        window = background[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
        far[y, x] = window.all()
    assert far.sum() > 50
    assert np.array_equal(moved[far][:, :3], still[far][:, :3])
    assert np.array_equal(moved[far][:, :3], framing.frame[far])
    person = matte > 200
    assert np.abs(moved[person].astype(int) - still[person]).mean() > 1


def test_shoulders_sway_and_breathe(scene: Scene, framing: Framing, matte: Frame) -> None:
    chin = int(framing.points[topo.CHIN_BOTTOM, 1])
    body = (matte > 250) & (np.arange(len(matte))[:, None] > chin + 30)
    still = scene.render([REST]).copy().astype(int)
    for channel, value in (("sway", 0.02), ("breath", -0.02)):
        moved = scene.render([pose(**{channel: value})]).astype(int)
        assert np.abs(moved - still)[body].mean() > 0.5, channel


def test_the_same_pose_gives_the_same_pixels(
    models: Models, framing: Framing, matte: Frame, scene: Scene
) -> None:
    again = Scene(framing.frame, models.triangles, [framing.points], [matte])
    asked = pose(open=0.2, pucker=0.3, yaw=0.02, blink_left=0.4, relax=0.6)
    assert np.array_equal(scene.render([asked]).copy(), again.render([asked]))


def test_the_picture_at_rest_is_the_picture(models: Models, framing: Framing, matte: Frame) -> None:
    scene = Scene(framing.frame, models.triangles, [framing.points], [matte])
    head = scene.animators[0].head
    gap = head.local[topo.LOWER_LIP_MIDDLE, 1] - head.local[topo.UPPER_LIP_MIDDLE, 1]
    same = scene.render([pose(open=float(gap / head.mouth_unit))])
    difference = np.abs(same[:, :, :3].astype(int) - framing.frame)
    assert difference.mean() < 2.0
    assert np.percentile(difference, 99) < 25


def test_without_a_matte_the_head_moves_and_the_frame_is_whole(models: Models, framing: Framing) -> None:
    scene = Scene(framing.frame, models.triangles, [framing.points], [None])
    frame = scene.render([pose(open=0.2, yaw=0.03)])
    assert aperture(look(models, framing, frame)) > 0.1
    # Fetching through the doubled texture rounds; nothing moves in the corner.
    assert np.abs(frame[:4, :4, :3].astype(int) - framing.frame[:4, :4]).max() <= 6


def test_memory_holds_one_frame_however_many_are_drawn(scene: Scene) -> None:
    first = scene.render([REST])
    second = scene.render([pose(open=0.3)])
    assert np.shares_memory(first, second)


def test_two_people_share_a_frame_and_move_apart_from_each_other(models: Models, framing: Framing) -> None:
    side = framing.frame.shape[1]
    both = np.hstack([framing.frame, framing.frame])
    right = framing.points + np.array([float(side), 0, 0])
    scene = Scene(both, models.triangles, [framing.points, right], [None, None])
    frame = scene.render([pose(open=0.3), pose(open=0.0)])
    left_view = Framing(framing.frame, framing.points, 1.0)
    assert aperture(look(models, left_view, np.ascontiguousarray(frame[:, :side]))) > 0.15
    assert aperture(look(models, left_view, np.ascontiguousarray(frame[:, side:]))) < 0.035


def test_the_bundled_portrait_speaks_too(models: Models) -> None:
    from workers.draft.faces import find_faces
    from workers.draft.framing import frame_portrait
    from workers.draft.image_input import load_picture

    bundled = sorted((Path(__file__).resolve().parents[3] / "assets" / "portraits").glob("*.png"))
    for path in bundled:
        picture = load_picture(path)
        framed = frame_portrait(picture, find_faces(models, picture, lambda: None)[0], "1:1", 384)
        head = build_head(framed.points, models.triangles)
        matte = person_matte(models, framed.frame, head)
        assert matte is not None, path.name
        scene = Scene(framed.frame, models.triangles, [framed.points], [matte])
        assert aperture(look(models, framed, scene.render([pose(open=0.3)]))) > 0.15, path.name
        assert aperture(look(models, framed, scene.render([pose(press=0.8)]))) < 0.04, path.name
