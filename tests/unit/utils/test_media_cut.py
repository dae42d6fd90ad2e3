"""Which part of a picture is shown in another shape, and that the pixels are those."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.utils.media.cut import Cut, cut_around, cut_of, cut_picture, cut_video, png_size, shown_size
from backend.utils.media.probe import probe
from tests.media_samples import FFMPEG
from tests.support.twin_worker import write_video

LEFT = {"x": 0.1, "y": 0.2, "w": 0.2, "h": 0.3}
RIGHT = {"x": 0.7, "y": 0.2, "w": 0.2, "h": 0.3}


@pytest.mark.parametrize(
    ("picture", "ratio", "cut"),
    [
        ((600, 600), 1.0, Cut(0, 0, 600, 600)),
        # Where a face is guessed: above the middle.
        ((900, 1600), 1.0, Cut(0, 158, 900, 900)),
        ((600, 600), 16 / 9, Cut(0, 59, 600, 338)),
        ((1600, 900), 9 / 16, Cut(547, 0, 506, 900)),
    ],
)
def test_as_much_is_shown_as_fits(picture: tuple[int, int], ratio: float, cut: Cut) -> None:
    assert cut_of(picture, ratio) == cut


def test_faces_are_in_the_middle_and_never_cut_off() -> None:
    cut = cut_of((1600, 900), 1.0, [RIGHT])
    assert cut == Cut(700, 0, 900, 900), "as far to the right as the picture goes"
    both = cut_of((1600, 900), 1.0, [LEFT, RIGHT])
    assert both.width == both.height == 1440, "wider than the picture is high: it reaches beyond"
    assert both.top < 0 <= both.left
    faces = [both.face(face, (1600, 900)) for face in (LEFT, RIGHT)]
    assert all(face["x"] > 0 and face["x"] + face["w"] < 1 for face in faces)
    assert faces[0]["w"] * both.width == pytest.approx(LEFT["w"] * 1600)
    assert faces[0]["h"] * both.height == pytest.approx(LEFT["h"] * 900)


@pytest.mark.parametrize("ratio", [9 / 16, 1.0, 16 / 9])
@pytest.mark.parametrize("face", [LEFT, RIGHT])
def test_the_one_who_speaks_is_shown_and_the_cut_is_as_large_as_it_can_be(
    face: dict[str, float], ratio: float
) -> None:
    cut = cut_around((1600, 900), ratio, face)
    assert (cut.width, cut.height) == (round(min(1600, 900 * ratio)), round(min(900, 1600 / ratio)))
    assert cut.left >= 0
    assert cut.left + cut.width <= 1600
    shown = cut.face(face, (1600, 900))
    assert shown["w"] * cut.width == pytest.approx(face["w"] * 1600), "nothing of the face is cut off"
    assert shown["h"] * cut.height == pytest.approx(face["h"] * 900)


def test_a_close_face_in_a_flat_frame_keeps_chin_and_most_of_the_hair() -> None:
    cut = cut_around((1024, 1024), 16 / 9, {"x": 0.35, "y": 0.27, "w": 0.3, "h": 0.37})
    shown = cut.face({"x": 0.35, "y": 0.27, "w": 0.3, "h": 0.37}, (1024, 1024))
    assert shown["y"] > 0.2
    assert 0.05 < 1 - shown["y"] - shown["h"] < 0.12


def test_beyond_the_picture_its_edge_goes_on(tmp_path: Path) -> None:
    source, output = tmp_path / "in.png", tmp_path / "out.png"
    image = Image.new("RGB", (20, 10), (10, 200, 30))
    image.putpixel((5, 0), (250, 0, 0))
    image.save(source)
    cut_picture(FFMPEG, source, output, Cut(2, -4, 16, 18))
    assert png_size(output) == (16, 18)
    made = Image.open(output).convert("RGB")
    assert [made.getpixel((3, row)) for row in (0, 3, 4, 5)] == [*[(250, 0, 0)] * 3, (10, 200, 30)]
    assert made.getpixel((0, 17)) == (10, 200, 30)


def test_what_is_no_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\xff\xd8\xff\xe0 a picture of another kind")
    with pytest.raises(InputError) as refused:
        png_size(tmp_path / "x.png")
    assert refused.value.code is ErrorCode.IMAGE_UNREADABLE


@pytest.mark.parametrize(
    ("video", "ratio", "shown"),
    [
        ((896, 448), 16 / 9, (796, 448)),
        ((448, 832), 9 / 16, (448, 796)),
        ((1280, 704), 16 / 9, (1252, 704)),
        ((640, 640), 1.0, (640, 640)),
        ((704, 576), 4 / 3, (704, 528)),
    ],
)
def test_a_video_keeps_the_largest_part_of_a_shape(
    video: tuple[int, int], ratio: float, shown: tuple[int, int]
) -> None:
    assert shown_size(*video, ratio) == shown


def test_the_middle_of_a_video_stays_with_every_frame(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_video(source, 0.4, source="testsrc=size=96x64:rate=25")
    info = probe(FFMPEG, source).video
    assert info is not None
    cut_video(FFMPEG, source, info, output, (64, 64))
    made = probe(FFMPEG, output).video
    assert made is not None
    assert (made.width, made.height, made.frames, made.codec) == (64, 64, 10, "h264")
    assert made.duration_s == pytest.approx(info.duration_s)
