"""Parts become one film: every frame in its place, no jump at a seam, exactly as long as the speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from workers import ffmpeg as ff
from workers.handler import TaskError
from workers.wan2gp import parts
from workers.wan2gp.clips import FrameWriter, frame_bytes, read_frames
from workers.wan2gp.join import join
from workers.wan2gp.media import probe_video
from workers.wan2gp.parts import Part, Plan

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SIZE = (64, 48)
# The films below are grey steps: frame n has brightness 20 + n, so that every frame tells its number.
DARKEST = 20


def never() -> None:
    """Nobody asks to stop."""


def clip(path: Path, greys: Sequence[float], *, size: tuple[int, int] = SIZE, fps: int = 25) -> Path:
    """A video of flat frames, encoded as upstream does: small losses included."""
    with FrameWriter(path, size, fps, ffmpeg=FFMPEG) as writer:
        for grey in greys:
            planes = [
                bytes([round(grey)]) * (size[0] * size[1]),
                bytes([128]) * (frame_bytes(size) - size[0] * size[1]),
            ]
            writer.write(b"".join(planes))
        writer.finish()
    return path


def greys(path: Path, size: tuple[int, int] = SIZE, count: int = 10_000) -> list[float]:
    """The mean brightness of every frame."""
    found = []
    for frame in read_frames(path, size, ffmpeg=FFMPEG, count=count, check=never):
        plane: NDArray[np.uint8] = np.frombuffer(frame, np.uint8)[: size[0] * size[1]]
        found.append(float(plane.mean()))
    return found


def part(index: int, first_frame: int, frames: int, *, lead: int = 0, fade: int = 0) -> Part:
    return Part(
        index=index,
        settings={
            "resolution": f"{SIZE[0]}x{SIZE[1]}",
            "image_prompt_type": "S",
            "prompt": "A person speaks.",
        },
        media=(),
        chained=lead > 0 and fade == 0,
        windows=1,
        steps=1,
        first_frame=first_frame,
        frames=frames,
        lead=lead,
        fade=fade,
        fps=25,
        source_end=first_frame,
    )


def film(*made: Part, fps: int = 25, size: tuple[int, int] = SIZE) -> Plan:
    total = sum(one.frames for one in made)
    return Plan(made, "multitalk", fps, *size, total, ())


def ramp(first: int, count: int) -> list[float]:
    return [DARKEST + first + i for i in range(count)]


def test_one_part_loses_what_upstream_added_behind_the_speech(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", ramp(0, 81))
    info = join(film(part(0, 0, 75)), [source], tmp_path / "v.mp4", audio_s=3.0, ffmpeg=FFMPEG, check=never)
    assert (info.width, info.height, info.frames, info.fps) == (64, 48, 75, 25)
    assert greys(tmp_path / "v.mp4") == pytest.approx(ramp(0, 75), abs=1.5)


def test_a_continued_part_is_joined_without_repeating_or_losing_a_frame(tmp_path: Path) -> None:
    """The second file begins with the last five frames of the first, as upstream's continuation does."""
    plan = film(part(0, 0, 40), part(1, 40, 50, lead=5), part(2, 90, 30, lead=5))
    files = [
        clip(tmp_path / "a.mp4", ramp(0, 45)),
        clip(tmp_path / "b.mp4", ramp(35, 61)),
        clip(tmp_path / "c.mp4", ramp(85, 41)),
    ]
    join(plan, files, tmp_path / "v.mp4", audio_s=120 / 25, ffmpeg=FFMPEG, check=never)
    found = greys(tmp_path / "v.mp4")
    assert found == pytest.approx(ramp(0, 120), abs=1.5)
    # The brightness rises by one a frame, also across the seams: no jump, no stop.
    steps = np.diff(found)
    assert steps[37:43] == pytest.approx(np.ones(6), abs=1.1)
    assert steps[87:93] == pytest.approx(np.ones(6), abs=1.1)


def test_parts_that_begin_anew_are_faded_into_each_other(tmp_path: Path) -> None:
    plan = film(part(0, 0, 40), part(1, 40, 30, lead=5, fade=5))
    files = [clip(tmp_path / "a.mp4", [50.0] * 41), clip(tmp_path / "b.mp4", [170.0] * 41)]
    join(plan, files, tmp_path / "v.mp4", audio_s=70 / 25, ffmpeg=FFMPEG, check=never)
    found = greys(tmp_path / "v.mp4")
    assert len(found) == 70
    assert found[:35] == pytest.approx([50.0] * 35, abs=1.5)
    assert found[35:40] == pytest.approx([70, 90, 110, 130, 150], abs=2)
    assert found[40:] == pytest.approx([170.0] * 30, abs=1.5)


def test_scenes_follow_each_other_with_a_plain_cut(tmp_path: Path) -> None:
    plan = film(part(0, 0, 20), part(1, 20, 33), fps=16)
    files = [
        clip(tmp_path / "a.mp4", [60.0] * 33, fps=16),
        clip(tmp_path / "b.mp4", [160.0] * 33, fps=16),
    ]
    info = join(plan, files, tmp_path / "v.mp4", audio_s=53 / 16, ffmpeg=FFMPEG, check=never)
    assert (info.fps, info.frames) == (16, 53)
    assert greys(tmp_path / "v.mp4") == pytest.approx([60.0] * 20 + [160.0] * 33, abs=2)


def test_many_parts_do_not_drift(tmp_path: Path) -> None:
    bounds = [0, 17, 45, 46, 80, 111, 150, 151, 199, 230]
    made, files = [], []
    for index, (first, end) in enumerate(pairwise(bounds)):
        lead = 5 if index and first >= 5 else 0
        made.append(part(index, first, end - first, lead=lead))
        files.append(clip(tmp_path / f"{index}.mp4", ramp(first - lead, end - first + lead + 3)))
    info = join(film(*made), files, tmp_path / "v.mp4", audio_s=230 / 25, ffmpeg=FFMPEG, check=never)
    assert info.frames == 230
    assert greys(tmp_path / "v.mp4") == pytest.approx(ramp(0, 230), abs=1.6)


def test_a_part_of_another_size_is_brought_to_the_films_size(tmp_path: Path) -> None:
    """The first part was kept from before a step down the ladder."""
    files = [
        clip(tmp_path / "a.mp4", ramp(0, 20), size=(128, 96)),
        clip(tmp_path / "b.mp4", ramp(15, 30)),
    ]
    plan = film(part(0, 0, 20), part(1, 20, 20, lead=5))
    info = join(plan, files, tmp_path / "v.mp4", audio_s=40 / 25, ffmpeg=FFMPEG, check=never)
    assert (info.width, info.height) == SIZE
    assert greys(tmp_path / "v.mp4") == pytest.approx(ramp(0, 40), abs=1.5)


def test_the_sound_of_a_part_does_not_shift_its_pictures(tmp_path: Path) -> None:
    """Upstream's files carry AAC, whose lead-in gives the pictures another beginning in time."""
    silent = clip(tmp_path / "s.mp4", ramp(0, 50))
    loud = tmp_path / "a.mp4"
    tone = ("-f", "lavfi", "-i", "sine=frequency=300:sample_rate=16000:duration=2")
    ff.run(
        ff.command(FFMPEG, "-i", str(silent), *tone, "-c:v", "copy", "-c:a", "aac", str(loud)), deadline_s=60
    )
    join(film(part(0, 0, 50)), [loud], tmp_path / "v.mp4", audio_s=2.0, ffmpeg=FFMPEG, check=never)
    assert greys(tmp_path / "v.mp4") == pytest.approx(ramp(0, 50), abs=1.5)


@pytest.mark.parametrize(("missing", "fits"), [(1, True), (6, True), (7, False), (40, False)])
def test_a_hair_short_is_held_and_a_lost_piece_is_told(tmp_path: Path, missing: int, fits: bool) -> None:
    source = clip(tmp_path / "a.mp4", ramp(0, 50 - missing))
    plan = film(part(0, 0, 50))
    if fits:
        join(plan, [source], tmp_path / "v.mp4", audio_s=2.0, ffmpeg=FFMPEG, check=never)
        last = DARKEST + 49 - missing
        expected = [*ramp(0, 50 - missing), *[last] * missing]
        assert greys(tmp_path / "v.mp4") == pytest.approx(expected, abs=1.5)
        return
    with pytest.raises(TaskError, match="Part 1 of the video is shorter") as refused:
        join(plan, [source], tmp_path / "v.mp4", audio_s=2.0, ffmpeg=FFMPEG, check=never)
    assert refused.value.code == "no_output"


def test_the_picture_lasts_at_least_as_long_as_the_speech(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", ramp(0, 81))
    plan = film(part(0, 0, 75))
    info = join(plan, [source], tmp_path / "v.mp4", audio_s=3.01, ffmpeg=FFMPEG, check=never)
    assert info.frames == 76
    assert info.duration_s >= 3.01


def test_a_part_that_is_no_video_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"nothing")
    with pytest.raises(TaskError) as refused:
        join(film(part(0, 0, 5)), [broken], tmp_path / "v.mp4", audio_s=0.2, ffmpeg=FFMPEG, check=never)
    assert refused.value.code == "no_output"


def test_a_film_that_cannot_be_written_is_told_with_a_remedy(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", ramp(0, 30))
    target = tmp_path / "missing" / "v.mp4"
    with pytest.raises(TaskError, match="Start the job again") as refused:
        join(film(part(0, 0, 30)), [source], target, audio_s=1.2, ffmpeg=FFMPEG, check=never)
    assert refused.value.code == "internal_error"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_called_so(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", ramp(0, 30))
    target = tmp_path / "v.mp4"
    target.symlink_to("/dev/full")
    with pytest.raises(TaskError, match="Make room") as refused:
        join(film(part(0, 0, 30)), [source], target, audio_s=1.2, ffmpeg=FFMPEG, check=never)
    assert refused.value.code == "disk_full", "the queue waits, and no other engine takes over"


def test_a_cancel_ends_the_joining(tmp_path: Path) -> None:
    class Stopped(BaseException):
        pass

    def after(calls: int) -> Callable[[], None]:
        left = [calls]

        def stop() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Stopped

        return stop

    source = clip(tmp_path / "a.mp4", ramp(0, 40))
    with pytest.raises(Stopped):
        join(film(part(0, 0, 40)), [source], tmp_path / "v.mp4", audio_s=1.6, ffmpeg=FFMPEG, check=after(10))


def test_the_number_of_files_must_be_that_of_the_parts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 files for 2 parts"):
        join(
            film(part(0, 0, 5), part(1, 5, 5)),
            [tmp_path / "a.mp4"],
            tmp_path / "v.mp4",
            audio_s=0.4,
            ffmpeg=FFMPEG,
            check=never,
        )


class TestContinuing:
    def settings_of(self, made: Part, previous: Path | None, tmp_path: Path) -> dict[str, object]:
        return parts.settings_of(made, previous=previous, scratch=tmp_path, ffmpeg=FFMPEG, check=never)

    def test_the_last_used_frames_go_on_one_level_brighter_and_without_any_other_change(
        self, tmp_path: Path
    ) -> None:
        """Also those behind the part's end are left out: upstream makes a few too many."""
        source = clip(tmp_path / "a.mp4", ramp(0, 50))
        found = self.settings_of(part(1, 44, 20, lead=5), source, tmp_path)
        assert found["image_prompt_type"] == "V"
        # Without this command upstream's model would see the last frame only.
        assert found["prompt"] == "[/overlap=5] A person speaks."
        tail = Path(str(found["video_source"]))
        assert tail.is_absolute()
        info = probe_video(tail, ffmpeg=FFMPEG, check=never)
        assert (info.frames, info.width, info.height, info.fps) == (5, 64, 48, 25)
        expected = list(read_frames(source, SIZE, ffmpeg=FFMPEG, count=44, check=never))[39:]
        found_frames = list(read_frames(tail, SIZE, ffmpeg=FFMPEG, count=9, check=never))
        luma = SIZE[0] * SIZE[1]
        assert [frame[luma:] for frame in found_frames] == [frame[luma:] for frame in expected]
        for after, before in zip(found_frames, expected, strict=True):
            assert all(a == b + 1 for a, b in zip(after[:luma], before[:luma], strict=True))

    def test_a_single_shared_frame_is_a_start_picture(self, tmp_path: Path) -> None:
        source = clip(tmp_path / "a.mp4", ramp(0, 50))
        found = self.settings_of(part(1, 44, 20, lead=1), source, tmp_path)
        assert found["image_prompt_type"] == "S"
        assert found["prompt"] == "A person speaks."
        assert "video_source" not in found
        with Image.open(str(found["image_start"])) as picture:
            assert picture.size == SIZE
            assert picture.mode == "RGB"
            # 4:2:0 brightness 63 of the range 16..235, as RGB.
            assert np.asarray(picture).mean() == pytest.approx((DARKEST + 44 - 16) * 255 / 219, abs=2.5)

    def test_a_part_before_of_another_size_is_continued_in_the_new_one(self, tmp_path: Path) -> None:
        source = clip(tmp_path / "a.mp4", ramp(0, 50), size=(128, 96))
        found = self.settings_of(part(1, 44, 20, lead=5), source, tmp_path)
        info = probe_video(Path(str(found["video_source"])), ffmpeg=FFMPEG, check=never)
        assert (info.width, info.height) == SIZE

    def test_a_part_that_continues_nothing_is_left_as_it_is(self, tmp_path: Path) -> None:
        first = part(0, 0, 20)
        assert self.settings_of(first, None, tmp_path) == dict(first.settings)

    def test_a_part_before_that_is_not_there_is_a_mistake_of_the_caller(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="not there"):
            self.settings_of(part(1, 20, 20, lead=5), None, tmp_path)

    def test_a_part_before_that_is_too_short_is_told(self, tmp_path: Path) -> None:
        source = clip(tmp_path / "a.mp4", ramp(0, 3))
        with pytest.raises(TaskError, match="too short to be continued") as refused:
            self.settings_of(part(1, 20, 20, lead=5), source, tmp_path)
        assert refused.value.code == "no_output"
