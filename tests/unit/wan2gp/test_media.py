"""Pictures, WAVs and videos are known by decoding them, and the portrait is brought into the video's shape."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers import ffmpeg as ff
from workers.handler import TaskError
from workers.wan2gp import framing
from workers.wan2gp.framing import Box, Face
from workers.wan2gp.media import audio_seconds, cut_wave, portrait_size, probe_video
from workers.wan2gp.table import load_table

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SIZES = load_table(Path(__file__).resolve().parents[3] / "assets").models[0].sizes


def never() -> None:
    """Nobody asks to stop."""


def write_wave(path: Path, samples: list[int], rate: int = 24_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def read_wave(path: Path) -> list[int]:
    with wave.open(str(path), "rb") as reader:
        data = reader.readframes(reader.getnframes())
    return list(struct.unpack(f"<{len(data) // 2}h", data))


def picture(path: Path, width: int, height: int) -> Path:
    """Red grows to the right, green grows downwards: every pixel tells where it came from."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    Image.merge("RGB", (red, green, Image.new("L", (width, height), 128))).save(path)
    return path


class TestPortraits:
    def test_the_size_of_a_picture_is_that_of_its_pixels(self, tmp_path: Path) -> None:
        assert portrait_size(picture(tmp_path / "p.png", 300, 200)) == (300, 200)

    def test_a_picture_that_breaks_off_is_refused_although_its_header_is_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "p.png"
        Image.effect_noise((300, 200), 80).save(path)
        path.write_bytes(path.read_bytes()[:9000])
        with pytest.raises(TaskError, match="damaged or cut off") as refused:
            portrait_size(path)
        assert refused.value.code == "image_unreadable"

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(50)])
    def test_what_is_no_picture_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "p.png"
        path.write_bytes(content)
        with pytest.raises(TaskError) as refused:
            portrait_size(path)
        assert refused.value.code == "image_unreadable"

    def test_a_header_that_declares_a_giant_is_refused_without_decoding_it(self, tmp_path: Path) -> None:
        path = tmp_path / "p.png"
        Image.new("1", (12_000, 9_000)).save(path)
        with pytest.raises(TaskError, match="12000x9000"):
            portrait_size(path)


class TestSound:
    def test_a_speech_is_as_long_as_its_samples(self, tmp_path: Path) -> None:
        path = write_wave(tmp_path / "a.wav", [0] * 36_000)
        assert audio_seconds(path) == 1.5

    def test_a_header_that_promises_more_than_there_is_does_not_lengthen_the_speech(
        self, tmp_path: Path
    ) -> None:
        path = write_wave(tmp_path / "a.wav", [1] * 24_000)
        path.write_bytes(path.read_bytes()[: 44 + 24_000])
        assert audio_seconds(path) == 0.5

    @pytest.mark.parametrize("content", [b"", b"RIFF", b"ID3" + bytes(100)])
    def test_what_is_no_wave_file_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(content)
        with pytest.raises(TaskError) as refused:
            audio_seconds(path)
        assert refused.value.code == "audio_unreadable"

    def test_a_speech_without_sound_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError, match="no sound"):
            audio_seconds(write_wave(tmp_path / "a.wav", []))

    @pytest.mark.parametrize("fps", [16, 23, 25])
    def test_neighbouring_pieces_put_together_are_the_whole(self, tmp_path: Path, fps: int) -> None:
        samples = [(i * 7919) % 20_011 - 10_000 for i in range(50_021)]
        source = write_wave(tmp_path / "a.wav", samples)
        bounds = [0, 7, 8, 20, 33]
        pieces: list[int] = []
        for index in range(len(bounds)):
            target = tmp_path / f"{index}.wav"
            end = bounds[index + 1] / fps if index + 1 < len(bounds) else len(samples) / 24_000
            cut_wave(source, target, start_s=bounds[index] / fps, end_s=end)
            pieces += read_wave(target)
        assert pieces == samples

    def test_a_piece_beyond_the_end_is_filled_with_silence(self, tmp_path: Path) -> None:
        source = write_wave(tmp_path / "a.wav", [5] * 24_000)
        target = tmp_path / "b.wav"
        cut_wave(source, target, start_s=0.75, end_s=1.25)
        assert read_wave(target) == [5] * 6000 + [0] * 6000

    def test_both_channels_of_a_piece_stay_together(self, tmp_path: Path) -> None:
        source = write_wave(tmp_path / "a.wav", [1, -1] * 24_000, channels=2)
        target = tmp_path / "b.wav"
        cut_wave(source, target, start_s=0.1, end_s=0.2)
        assert read_wave(target) == [1, -1] * 2400

    def test_an_empty_piece_is_a_mistake_of_the_caller(self, tmp_path: Path) -> None:
        source = write_wave(tmp_path / "a.wav", [1] * 100)
        with pytest.raises(ValueError, match="empty piece"):
            cut_wave(source, tmp_path / "b.wav", start_s=1.0, end_s=1.0)


class TestVideos:
    def make(self, path: Path, *, frames: int, fps: int, size: str = "64x48") -> Path:
        source = ("-f", "lavfi", "-i", f"testsrc=size={size}:rate={fps}")
        ff.run(
            ff.command(FFMPEG, *source, "-frames:v", str(frames), "-pix_fmt", "yuv420p", str(path)),
            deadline_s=60,
        )
        return path

    @pytest.mark.parametrize(("frames", "fps"), [(1, 25), (37, 23), (81, 16)])
    def test_frames_are_counted(self, tmp_path: Path, frames: int, fps: int) -> None:
        info = probe_video(self.make(tmp_path / "v.mp4", frames=frames, fps=fps), ffmpeg=FFMPEG, check=never)
        assert (info.width, info.height, info.frames) == (64, 48, frames)
        assert info.fps == pytest.approx(fps)
        assert info.duration_s == pytest.approx(frames / fps)

    def test_a_video_that_breaks_off_is_no_result(self, tmp_path: Path) -> None:
        path = self.make(tmp_path / "v.mp4", frames=50, fps=25)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(TaskError) as refused:
            probe_video(path, ffmpeg=FFMPEG, check=never)
        assert refused.value.code == "no_output"

    def test_sound_alone_is_no_result(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError) as refused:
            probe_video(write_wave(tmp_path / "a.wav", [1] * 2400), ffmpeg=FFMPEG, check=never)
        assert refused.value.code == "no_output"

    def test_a_cancel_ends_the_look(self, tmp_path: Path) -> None:
        class Stopped(BaseException):
            pass

        def stop() -> None:
            raise Stopped

        path = self.make(tmp_path / "v.mp4", frames=5, fps=25)
        with pytest.raises(Stopped):
            probe_video(path, ffmpeg=FFMPEG, check=stop)


class TestFrameSizes:
    @pytest.mark.parametrize(
        ("resolution", "aspect", "scale", "size"),
        [
            ("512p", "16:9", 1.0, (832, 480)),
            ("512p", "9:16", 1.0, (480, 832)),
            ("512p", "1:1", 1.0, (624, 624)),
            ("720p", "16:9", 1.0, (1280, 720)),
            ("720p", "9:16", 1.0, (720, 1280)),
            ("512p", "16:9", 0.75, (624, 352)),
            ("720p", "1:1", 0.75, (720, 720)),
        ],
    )
    def test_each_aspect_has_its_size(
        self, resolution: str, aspect: str, scale: float, size: tuple[int, int]
    ) -> None:
        assert framing.frame_size(SIZES[resolution], aspect, (100, 100), scale) == size

    @given(width=st.integers(64, 6000), height=st.integers(64, 6000), scale=st.sampled_from([1.0, 0.75]))
    def test_a_free_aspect_keeps_to_the_pixels_and_nearly_to_the_shape(
        self, width: int, height: int, scale: float
    ) -> None:
        across, down = framing.frame_size(SIZES["512p"], "source", (width, height), scale)
        assert across % 16 == 0
        assert down % 16 == 0
        assert across * down <= SIZES["512p"].pixels * scale**2
        ratio = min(21 / 9, max(9 / 21, width / height))
        # Two lengths rounded down to 16 pixels.
        assert across / down == pytest.approx(ratio, rel=16 / min(across, down))

    def test_an_unknown_aspect_is_refused(self) -> None:
        with pytest.raises(TaskError, match="4:5"):
            framing.frame_size(SIZES["512p"], "4:5", (100, 100), 1.0)


faces = st.builds(
    lambda x, y, w, h: Face(x * (1 - w), y * (1 - h), w, h),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0.02, 0.4),
    st.floats(0.02, 0.4),
)
SHAPES = [(832, 480), (480, 832), (624, 624)]


class TestFraming:
    @pytest.mark.parametrize("size", SHAPES)
    @pytest.mark.parametrize("shape", [(400, 300), (300, 400), (1000, 200), (90, 90)])
    def test_the_framed_portrait_has_exactly_the_size_of_the_video(
        self, tmp_path: Path, size: tuple[int, int], shape: tuple[int, int]
    ) -> None:
        cut = framing.cut_of(shape, size, ())
        framing.write_framed(picture(tmp_path / "p.png", *shape), tmp_path / "f.png", cut, size)
        assert portrait_size(tmp_path / "f.png") == size

    def test_nothing_is_stretched_and_the_upper_part_is_kept(self, tmp_path: Path) -> None:
        cut = framing.cut_of((300, 600), (832, 480), ())
        assert cut.width / cut.height == pytest.approx(832 / 480)
        assert (cut.left, cut.right) == (0, 300)
        assert cut.top + cut.height / 2 == pytest.approx(600 * 0.38)

    @given(
        pair=st.tuples(faces, faces),
        shape=st.sampled_from([(400, 300), (300, 400), (1000, 250)]),
        size=st.sampled_from(SHAPES),
    )
    def test_both_faces_are_shown_whatever_the_aspect(
        self, pair: tuple[Face, Face], shape: tuple[int, int], size: tuple[int, int]
    ) -> None:
        cut = framing.cut_of(shape, size, pair)
        for face in pair:
            assert cut.left <= face.x * shape[0] + 1e-6
            assert cut.top <= face.y * shape[1] + 1e-6
            assert cut.right >= (face.x + face.w) * shape[0] - 1e-6
            assert cut.bottom >= (face.y + face.h) * shape[1] - 1e-6
        assert cut.width / cut.height == pytest.approx(size[0] / size[1])

    @pytest.mark.parametrize("size", SHAPES)
    @pytest.mark.parametrize("x", [0.1, 0.7])
    def test_the_one_who_speaks_is_shown_whoever_else_is_there(self, size: tuple[int, int], x: float) -> None:
        face = Face(x, 0.25, 0.15, 0.35)
        cut = framing.cut_around((2048, 1024), size, face)
        assert cut.left <= face.x * 2048
        assert cut.right >= (face.x + face.w) * 2048
        assert cut.top <= face.y * 1024
        assert cut.bottom >= (face.y + face.h) * 1024
        assert cut.left >= 0
        assert cut.top >= 0
        assert cut.right <= 2048 + 1e-6
        assert cut.bottom <= 1024 + 1e-6
        assert cut.width / cut.height == pytest.approx(size[0] / size[1])

    def test_a_picture_is_not_extended_for_room_around_the_faces(self) -> None:
        pair = (Face(0.155, 0.2, 0.19, 0.45), Face(0.655, 0.2, 0.19, 0.45))
        cut = framing.cut_of((2048, 1024), (832, 480), pair)
        assert (cut.top, cut.bottom) == (0, 1024)
        assert cut.left >= 0
        assert cut.right <= 2048

    def test_what_lies_beside_the_picture_gets_its_colours(self, tmp_path: Path) -> None:
        shape, size = (1000, 250), (480, 832)
        pair = (Face(0.05, 0.2, 0.1, 0.4), Face(0.85, 0.2, 0.1, 0.4))
        cut = framing.cut_of(shape, size, pair)
        assert cut.height > 250
        framing.write_framed(picture(tmp_path / "p.png", *shape), tmp_path / "f.png", cut, size)
        with Image.open(tmp_path / "f.png") as framed:
            assert framed.size == size
            # The middle row still runs from the left face's place to the right one's.
            reds = [framed.getpixel((x, 416))[0] for x in (5, 240, 474)]  # type: ignore[index]
            assert reds == sorted(reds)
            assert reds[2] - reds[0] > 150
            # Above the picture there is no black bar.
            assert framed.getpixel((240, 5))[0] > 80  # type: ignore[index]

    @given(
        pair=st.tuples(faces, faces),
        shape=st.sampled_from([(400, 300), (300, 400)]),
        size=st.sampled_from(SHAPES),
    )
    def test_the_speakers_boxes_are_apart_and_hold_cells_that_count(
        self, pair: tuple[Face, Face], shape: tuple[int, int], size: tuple[int, int]
    ) -> None:
        one, two = framing.speaker_boxes(pair, shape, framing.cut_of(shape, size, pair))
        for box in (one, two):
            assert 0 <= box.left < box.right <= 100
            assert 0 <= box.top < box.bottom <= 100
            assert box.left < 95
            assert box.right > 5
            assert box.top < 95
            assert box.bottom > 5
        same = math.dist(
            (one.left + one.right, one.top + one.bottom), (two.left + two.right, two.top + two.bottom)
        )
        overlap_x = min(one.right, two.right) - max(one.left, two.left)
        overlap_y = min(one.bottom, two.bottom) - max(one.top, two.top)
        assert same < 20 or overlap_x <= 0.11 or overlap_y <= 0.11

    def test_speaker_1_is_the_first_of_the_request_even_on_the_right(self) -> None:
        right, left = Face(0.7, 0.2, 0.15, 0.2), Face(0.15, 0.25, 0.15, 0.2)
        cut = framing.cut_of((800, 450), (832, 480), (right, left))
        one, two = framing.speaker_boxes((right, left), (800, 450), cut)
        assert one.left > two.right

    def test_the_boxes_follow_the_cut(self) -> None:
        """In a narrow cut of a wide picture the faces lie further out than in the picture."""
        pair = (Face(0.40, 0.3, 0.06, 0.2), Face(0.55, 0.3, 0.06, 0.2))
        cut = framing.cut_of((1600, 800), (480, 832), pair)
        one, two = framing.speaker_boxes(pair, (1600, 800), cut)
        for box, face in zip((one, two), pair, strict=True):
            centre = ((face.x + face.w / 2) * 1600 - cut.left) / cut.width * 100
            assert box.left < centre < box.right
            assert box.right - box.left > 100 * face.w

    def test_without_marked_faces_the_first_speaker_sits_on_the_left(self) -> None:
        boxes = framing.speaker_boxes((None, None), (800, 450), Box(0, 0, 800, 450))
        assert framing.locations(boxes) == "0:0:45:100 55:0:100:100"

    @pytest.mark.parametrize("first_known", [True, False])
    def test_an_unmarked_speaker_gets_the_side_beside_the_marked_one(self, first_known: bool) -> None:
        face = Face(0.1, 0.3, 0.2, 0.3)
        pair = (face, None) if first_known else (None, face)
        boxes = framing.speaker_boxes(pair, (800, 450), Box(0, 0, 800, 450))
        known, other = boxes if first_known else boxes[::-1]
        assert known.left < 20 < known.right
        assert other.left > known.right
        assert other.right == 100

    def test_upstream_reads_the_boxes_as_left_top_right_bottom(self) -> None:
        boxes = (Box(1.5, 2, 30, 40.25), Box(50, 5, 99, 100))
        assert framing.locations(boxes) == "1.5:2:30:40.2 50:5:99:100"
