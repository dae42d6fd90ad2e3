"""The parts of a video tile its speech exactly, are cut in pauses, and are made with settings upstream accepts."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from workers.handler import TaskError
from workers.wan2gp import cuts, parts
from workers.wan2gp.cuts import Cut, Loudness, Pause, Sentence, Span
from workers.wan2gp.framing import Face
from workers.wan2gp.parts import Facts, Part, Plan
from workers.wan2gp.table import load_table

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
TABLE = load_table(Path(__file__).resolve().parents[3] / "assets")
NAMES = [model.name for model in TABLE.models]
TALKING = [model.name for model in TABLE.models if model.drive == "speech"]
TWO = [model.name for model in TABLE.models if model.two_speakers]
RATE = 24_000
FACES = (Face(0.1, 0.2, 0.2, 0.3), Face(0.65, 0.25, 0.2, 0.3))


def never() -> None:
    """Nobody asks to stop."""


def speech(path: Path, spoken: Sequence[tuple[float, float]], *, total_s: float, level: float = 0.2) -> Path:
    """A WAV with sound in the given stretches and silence elsewhere."""
    samples = np.zeros(round(total_s * RATE))
    for start, end in spoken:
        begin, stop = round(start * RATE), min(samples.size, round(end * RATE))
        samples[begin:stop] = level * np.sin(np.arange(stop - begin) * 0.06)
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes((samples * 32_000).astype("<i2").tobytes())
    return path


def talk(count: int, *, sentence_s: float = 2.6, pause_s: float = 0.4) -> list[tuple[float, float]]:
    """Sentences one after the other with pauses between."""
    return [(i * (sentence_s + pause_s), i * (sentence_s + pause_s) + sentence_s) for i in range(count)]


def timings(path: Path, spoken: Sequence[tuple[float, float]], texts: Sequence[str]) -> Path:
    entries = [
        {"index": i, "text": text, "start_s": start, "end_s": end, "words": [], "phonemes": []}
        for i, ((start, end), text) in enumerate(zip(spoken, texts, strict=True))
    ]
    path.write_text(json.dumps({"version": 1, "sentences": entries, "duration_s": 1.0}), encoding="utf-8")
    return path


def facts(tmp_path: Path, name: str, spoken: Sequence[tuple[float, float]], **changes: Any) -> Facts:
    total = changes.pop("total_s", spoken[-1][1] if spoken else 1.0)
    portrait = tmp_path / "portrait-in.png"
    Image.new("RGB", (400, 300), (120, 90, 70)).save(portrait)
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    base = Facts(
        model=TABLE.video(name),
        resolution="512p",
        aspect="1:1",
        prompt="",
        script="One. Two. Three.",
        portrait=portrait,
        portrait_size=(400, 300),
        audio=speech(tmp_path / "audio.wav", spoken, total_s=total),
        audio_s=total,
        timings=None,
        tracks=(),
        faces=(),
        rung=0,
        steps=None,
        seed=42,
        scratch=scratch,
        ffmpeg=FFMPEG,
    )
    return replace(base, **changes)


def two_tracks(tmp_path: Path, spoken: Sequence[tuple[float, float]], total_s: float) -> tuple[Path, Path]:
    return (
        speech(tmp_path / "t1.wav", spoken[::2], total_s=total_s),
        # Shorter than the first, as a track may be when its speaker falls silent early.
        speech(tmp_path / "t2.wav", spoken[1::2], total_s=total_s - 0.3),
    )


def samples_of(path: str) -> int:
    with wave.open(path, "rb") as reader:
        return reader.getnframes()


def assert_tiles(plan: Plan) -> None:
    ends = 0
    for part in plan.parts:
        assert part.first_frame == ends
        assert part.frames > 0
        ends += part.frames
    assert ends == plan.total_frames


class TestSplitting:
    @given(
        frames=st.integers(1, 4000),
        marks=st.lists(st.integers(1, 3999), unique=True, max_size=60),
        limit=st.integers(40, 800),
        fps=st.sampled_from([16, 23, 25]),
    )
    @settings(deadline=None)
    def test_spans_tile_the_speech_and_none_is_longer_than_the_model_can_make(
        self, frames: int, marks: list[int], limit: int, fps: int
    ) -> None:
        pauses = [Pause(mark / fps - 0.1, mark / fps + 0.1) for mark in sorted(marks)]
        levels = np.full(int(frames / fps / 0.02) + 5, -10.0)
        found = cuts.places(pauses, (), Loudness(levels), frames=frames, fps=fps, limit=limit)
        spans = cuts.split(frames, found, limit=limit, shortest=32)
        assert spans[0].first == 0
        for one, other in pairwise(spans):
            assert one.first + one.frames == other.first
        assert spans[-1].first + spans[-1].frames == frames
        assert all(0 < span.frames <= limit for span in spans)

    @given(
        # None shorter than the shortest part: of several short parts, a cut at a quiet place may be the lesser evil.
        gaps=st.lists(st.integers(50, 90), min_size=2, max_size=60),
        limit=st.integers(100, 400),
    )
    @settings(deadline=None)
    def test_every_cut_lies_in_a_pause_when_pauses_lie_well(self, gaps: list[int], limit: int) -> None:
        """From pause to pause is a part that is neither too short nor too long: nobody has to be cut off."""
        fps = 25
        marks = list(np.cumsum(gaps))
        frames = int(marks[-1])
        pauses = [Pause(mark / fps - 0.15, mark / fps + 0.15) for mark in marks[:-1]]
        levels = np.full(int(frames / fps / 0.02) + 5, -10.0)
        found = cuts.places(pauses, (), Loudness(levels), frames=frames, fps=fps, limit=limit)
        for span in cuts.split(frames, found, limit=limit, shortest=50)[1:]:
            moment = span.first / fps
            assert any(pause.start_s <= moment <= pause.end_s for pause in pauses)

    def test_what_fits_is_one_part_however_many_pauses_it_has(self) -> None:
        assert cuts.split(100, [Cut(50, 0.0)], limit=100, shortest=10) == [Span(0, 100)]

    def test_a_sentences_end_is_better_than_a_breath_inside_a_sentence(self) -> None:
        pauses = [Pause(9.8, 10.2), Pause(11.8, 12.2)]
        sentences = [Sentence("One.", 0, 11.9), Sentence("Two.", 12.1, 20)]
        levels = np.full(1010, -10.0)
        found = cuts.places(pauses, sentences, Loudness(levels), frames=500, fps=25, limit=320)
        assert cuts.split(500, found, limit=320, shortest=50)[1].first == 300

    def test_a_stub_at_the_end_is_avoided(self) -> None:
        found = [Cut(150, 0.0), Cut(300, 0.0)]
        assert [s.frames for s in cuts.split(310, found, limit=300, shortest=50)] == [150, 160]

    @given(frames=st.integers(371, 2000), mark=st.integers(1, 1999))
    @settings(deadline=None)
    def test_no_part_is_too_short_to_be_continued_or_faded(self, frames: int, mark: int) -> None:
        """However temptingly a pause lies just before an end."""
        pauses = [Pause(mark / 25 - 0.1, mark / 25 + 0.1)]
        loudness = Loudness(np.full(int(frames / 25 / 0.02) + 5, -10.0))
        found = cuts.places(pauses, (), loudness, frames=frames, fps=25, limit=370)
        assert all(span.frames > 12 for span in cuts.split(frames, found, limit=370, shortest=50))

    def test_without_any_pause_the_quietest_moment_is_chosen(self) -> None:
        levels = np.full(1010, -10.0)
        levels[505] = -20.0  # at 10.1 s
        found = cuts.places([], (), Loudness(levels), frames=500, fps=25, limit=400)
        assert min(abs(cut.frame / 25 - 10.1) for cut in found) < 0.03

    def test_a_stretch_without_places_is_told_and_not_exceeded(self) -> None:
        with pytest.raises(ValueError, match="no place for a cut"):
            cuts.split(500, [Cut(100, 0.0)], limit=300, shortest=10)


class TestPauses:
    def test_the_pauses_are_where_nothing_is_said(self, tmp_path: Path) -> None:
        spoken = [(0.0, 2.0), (2.5, 4.0), (4.05, 6.0)]
        found = cuts.measure(speech(tmp_path / "a.wav", spoken, total_s=6.0)).pauses()
        assert [(round(p.start_s, 1), round(p.end_s, 1)) for p in found] == [(2.0, 2.5)]

    def test_room_noise_between_the_sentences_is_a_pause_too(self, tmp_path: Path) -> None:
        loud = speech(tmp_path / "a.wav", talk(3), total_s=8.6)
        rng = np.random.default_rng(1)
        with wave.open(str(loud), "rb") as reader:
            data = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(np.float64)
        data += rng.normal(0, 32_768 * 10 ** (-52 / 20), data.size)
        with wave.open(str(loud), "wb") as writer:
            writer.setparams((1, 2, RATE, 0, "NONE", ""))
            writer.writeframes(np.clip(data, -32_768, 32_767).astype("<i2").tobytes())
        assert [round(p.start_s, 1) for p in cuts.measure(loud).pauses()] == [2.6, 5.6]

    @pytest.mark.parametrize("bits", [8, 16, 24, 32])
    def test_every_usual_depth_is_heard_alike(self, tmp_path: Path, bits: int) -> None:
        wanted = np.concatenate([np.sin(np.arange(RATE) * 0.06) * 0.5, np.zeros(RATE // 2)])
        path = tmp_path / "a.wav"
        with wave.open(str(path), "wb") as writer:
            writer.setparams((1, bits // 8, RATE, 0, "NONE", ""))
            if bits == 8:
                writer.writeframes((wanted * 127 + 128).astype(np.uint8).tobytes())
            else:
                whole = (wanted * (2.0 ** (bits - 1) - 1)).astype(np.int64)
                data = whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, : bits // 8]
                writer.writeframes(data.tobytes())
        loudness = cuts.measure(path)
        assert loudness.levels[10] == pytest.approx(-9.0, abs=0.3)
        assert [(round(p.start_s, 2), round(p.end_s, 2)) for p in loudness.pauses()] == [(1.0, 1.5)]

    def test_a_speech_that_never_rests_has_no_pause(self, tmp_path: Path) -> None:
        assert cuts.measure(speech(tmp_path / "a.wav", [(0, 5)], total_s=5)).pauses() == []

    def test_timings_that_are_not_timings_are_told(self, tmp_path: Path) -> None:
        path = tmp_path / "t.json"
        path.write_text('{"sentences": [{"text": "a"}]}', encoding="utf-8")
        with pytest.raises(TaskError) as refused:
            cuts.read_sentences(path)
        assert refused.value.code == "internal_error"


class TestPlans:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("total_s", [0.4, 3.0, 61.37, 130.0])
    def test_a_speech_of_any_length_is_tiled_exactly(self, tmp_path: Path, name: str, total_s: float) -> None:
        spoken = [(a, min(b, total_s)) for a, b in talk(50) if a < total_s]
        plan = parts.plan(facts(tmp_path, name, spoken, total_s=total_s), check=never)
        assert_tiles(plan)
        assert (plan.total_frames - 1) / plan.fps < total_s <= plan.total_frames / plan.fps + 1e-9
        limit = TABLE.video(name).frames_max_part
        assert all(part.lead + part.frames <= limit + part.lead for part in plan.parts)
        if total_s > 100:
            assert len(plan.parts) > 1

    @given(total_ms=st.integers(50, 45_000), name=st.sampled_from(NAMES), seed=st.integers(0, 2**31 - 1))
    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_every_generation_is_legal_and_holds_its_part(
        self, tmp_path: Path, total_ms: int, name: str, seed: int
    ) -> None:
        spoken = [(a, min(b, total_ms / 1000)) for a, b in talk(20) if a < total_ms / 1000]
        asked = facts(tmp_path, name, spoken, total_s=total_ms / 1000, seed=seed)
        asked = replace(asked, audio_s=samples_of(str(asked.audio)) / RATE)
        plan = parts.plan(asked, check=never)
        assert_tiles(plan)
        for part in plan.parts:
            length = part.settings["video_length"]
            assert length % 4 == 1
            assert length >= part.lead + part.frames
            assert 0 <= part.settings["seed"] < 2**31
            if asked.model.drive == "speech":
                heard = samples_of(part.settings["audio_guide"]) / RATE
                assert length >= np.ceil(heard * plan.fps) + 5
                # What upstream itself makes of the sound: the part must fit into it.
                by_sound = -(-(int(plan.fps * heard) + 4 - 1) // 4) * 4 + 1
                assert min(by_sound, length) >= part.lead + part.frames
                if part.chained and part.lead > 1:
                    # Continued under a command: as many new frames as asked for, cut where the sound ends.
                    assert int(heard * plan.fps) >= part.lead + part.frames

    def test_the_pieces_of_sound_follow_each_other_without_gap_or_drift(self, tmp_path: Path) -> None:
        asked = facts(tmp_path, "Fantasy", talk(50))
        plan = parts.plan(asked, check=never)
        assert len(plan.parts) > 3
        for part in plan.parts:
            begin = (part.first_frame - part.lead) / 23
            last = part is plan.parts[-1]
            end = asked.audio_s if last else (part.first_frame + part.frames) / 23
            assert samples_of(part.settings["audio_guide"]) == round(end * RATE) - round(begin * RATE)

    def test_cuts_lie_in_the_pauses_of_the_speech(self, tmp_path: Path) -> None:
        spoken = talk(50, sentence_s=4.1, pause_s=0.3)
        for name in TALKING:
            plan = parts.plan(facts(tmp_path, name, spoken), check=never)
            assert len(plan.parts) > 5
            for part in plan.parts[1:]:
                moment = part.first_frame / plan.fps
                assert not any(start < moment < end for start, end in spoken)

    @pytest.mark.parametrize("name", NAMES)
    def test_the_same_request_is_planned_the_same(self, tmp_path: Path, name: str) -> None:
        asked = facts(tmp_path, name, talk(30))
        assert parts.plan(asked, check=never) == parts.plan(asked, check=never)
        json.dumps([dict(part.settings) for part in parts.plan(asked, check=never).parts])

    def test_a_cancel_ends_the_planning(self, tmp_path: Path) -> None:
        class Stopped(BaseException):
            pass

        def stop() -> None:
            raise Stopped

        with pytest.raises(Stopped):
            parts.plan(facts(tmp_path, "Fantasy", talk(3)), check=stop)


class TestSettings:
    def one(self, tmp_path: Path, name: str, **changes: Any) -> Part:
        return parts.plan(facts(tmp_path, name, talk(1), **changes), check=never).parts[0]

    @pytest.mark.parametrize("name", NAMES)
    def test_a_part_names_all_its_files_and_each_exists(self, tmp_path: Path, name: str) -> None:
        part = self.one(tmp_path, name)
        found = {
            key
            for key, value in part.settings.items()
            if any(str(tmp_path) in str(item) for item in (value if isinstance(value, list) else [value]))
        }
        assert found == set(part.media)
        for key in part.media:
            value = part.settings[key]
            for item in value if isinstance(value, list) else [value]:
                assert Path(item).is_absolute()
                assert Path(item).is_file()

    @pytest.mark.parametrize("name", TALKING)
    def test_one_speaker_drives_with_one_voice(self, tmp_path: Path, name: str) -> None:
        part = self.one(tmp_path, name)
        assert part.settings["audio_prompt_type"] == "A"
        assert "audio_guide2" not in part.settings
        assert "speakers_locations" not in part.settings
        assert ("image_start" in part.settings) != ("image_refs" in part.settings)

    @pytest.mark.parametrize("name", TWO)
    def test_two_speakers_have_a_voice_and_a_place_each(self, tmp_path: Path, name: str) -> None:
        spoken = talk(6)
        asked = facts(
            tmp_path,
            name,
            spoken,
            tracks=two_tracks(tmp_path, spoken, spoken[-1][1]),
            faces=FACES,
            aspect="source",
        )
        plan = parts.plan(asked, check=never)
        part = plan.parts[0]
        assert plan.model_type == TABLE.video(name).types[2]
        assert part.settings["audio_prompt_type"] == "PAB"
        lengths = {samples_of(part.settings[key]) for key in ("audio_guide", "audio_guide2")}
        assert lengths == {round(asked.audio_s * RATE)}
        left, right = part.settings["speakers_locations"].split(" ")
        assert float(left.split(":")[2]) < float(right.split(":")[0])
        assert part.settings["prompt"].startswith("Two people")

    @pytest.mark.parametrize("name", [name for name in NAMES if name not in TWO])
    def test_a_model_for_one_refuses_two(self, tmp_path: Path, name: str) -> None:
        spoken = talk(2)
        asked = facts(tmp_path, name, spoken, tracks=two_tracks(tmp_path, spoken, spoken[-1][1]), faces=FACES)
        with pytest.raises(TaskError, match="cannot animate two speakers") as refused:
            parts.plan(asked, check=never)
        assert refused.value.code == "validation_failed"

    @pytest.mark.parametrize("name", TALKING)
    def test_a_talking_model_without_a_portrait_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(TaskError, match="Add one") as refused:
            self.one(tmp_path, name, portrait=None, portrait_size=None)
        assert refused.value.code == "validation_failed"

    @pytest.mark.parametrize("name", NAMES)
    def test_a_prompt_is_used_as_it_is_and_every_line_belongs_to_it(self, tmp_path: Path, name: str) -> None:
        part = self.one(tmp_path, name, prompt="A quiet room.\nWarm light.")
        assert part.settings["prompt"] == "A quiet room.\nWarm light."
        assert part.settings["multi_prompts_gen_type"] == "FG"

    @pytest.mark.parametrize("name", TALKING)
    def test_a_talking_model_without_a_prompt_gets_a_person_who_speaks(
        self, tmp_path: Path, name: str
    ) -> None:
        assert "speaks to the camera" in self.one(tmp_path, name).settings["prompt"]

    def test_steps_are_the_models_own_unless_asked_for(self, tmp_path: Path) -> None:
        assert self.one(tmp_path, "LongCat Avatar 1.5").steps == 8
        assert self.one(tmp_path, "Fantasy").settings["num_inference_steps"] == 30
        part = self.one(tmp_path, "Fantasy", steps=12)
        assert (part.steps, part.settings["num_inference_steps"]) == (12, 12)

    def test_the_high_resolution_has_weights_of_its_own_where_there_are_some(self, tmp_path: Path) -> None:
        asked = facts(tmp_path, "Wan Multitalk", talk(1), resolution="720p", aspect="16:9")
        plan = parts.plan(asked, check=never)
        assert (plan.model_type, plan.width, plan.height) == ("multitalk_720p", 1280, 720)

    @pytest.mark.parametrize(
        "change",
        [{"resolution": "4k"}, {"aspect": "4:5"}, {"rung": 9}, {"steps": 0}, {"faces": FACES}],
        ids=str,
    )
    def test_what_no_model_can_do_is_refused(self, tmp_path: Path, change: dict[str, Any]) -> None:
        with pytest.raises(TaskError) as refused:
            self.one(tmp_path, "Wan Multitalk", **change)
        assert refused.value.code == "validation_failed"


class TestContinuing:
    def test_a_windowed_model_continues_where_the_part_before_ended(self, tmp_path: Path) -> None:
        for name, lead in [("Wan Multitalk", 5), ("InfiniteTalk (Wan2GP)", 9), ("LongCat Avatar 1.5", 13)]:
            plan = parts.plan(facts(tmp_path, name, talk(30)), check=never)
            first, second, *_ = plan.parts
            assert (first.chained, first.lead) == (False, 0)
            assert (second.chained, second.lead, second.fade) == (True, lead, 0)
            assert second.source_end == first.lead + first.frames
            assert "image_start" not in second.settings
            assert ("image_refs" in second.settings) == (name != "Wan Multitalk")

    def test_a_continued_part_hears_the_speech_from_the_frames_it_shares(self, tmp_path: Path) -> None:
        """And a little beyond its end, because upstream ends a continued video with its sound."""
        asked = facts(tmp_path, "LongCat Avatar 1.5", talk(30))
        plan = parts.plan(asked, check=never)
        second = plan.parts[1]
        heard = samples_of(second.settings["audio_guide"])
        assert heard == pytest.approx((13 + second.frames + 5) / 25 * RATE, abs=1)
        with (
            wave.open(str(asked.audio), "rb") as whole,
            wave.open(second.settings["audio_guide"], "rb") as piece,
        ):
            whole.setpos(round((second.first_frame - 13) / 25 * RATE))
            wanted = whole.readframes(heard)
            assert piece.readframes(heard)[: len(wanted)] == wanted

    def test_a_model_that_knows_only_the_portrait_begins_anew_and_is_faded_in(self, tmp_path: Path) -> None:
        plan = parts.plan(facts(tmp_path, "Hunyuan Avatar", talk(15)), check=never)
        assert len(plan.parts) > 2
        assert [part.chained for part in plan.parts] == [False] * len(plan.parts)
        assert [part.fade for part in plan.parts] == [0, *[5] * (len(plan.parts) - 1)]
        assert len({part.settings["image_refs"][0] for part in plan.parts}) == 1
        # Never more than three of the model's segments.
        assert all(part.settings["video_length"] <= 3 * 128 + 1 for part in plan.parts)

    @pytest.mark.parametrize("name", ["Wan t2v 1.3B", "Wan t2v 14B"])
    def test_a_text_model_makes_scene_after_scene_and_never_the_same_twice(
        self, tmp_path: Path, name: str
    ) -> None:
        spoken = talk(10, sentence_s=3.6, pause_s=0.4)
        texts = [f"Sentence number {i}." for i in range(10)]
        asked = facts(tmp_path, name, spoken, timings=timings(tmp_path / "t.json", spoken, texts))
        plan = parts.plan(asked, check=never)
        assert len({part.settings["seed"] for part in plan.parts}) == len(plan.parts) >= 8
        assert all(part.settings["video_length"] <= 81 for part in plan.parts)
        assert all(part.media == () for part in plan.parts)
        assert [part.settings["prompt"] for part in plan.parts] == texts
        for part in plan.parts[1:]:
            assert not any(a < part.first_frame / 16 < b for a, b in spoken)

    def test_a_script_without_times_is_spread_over_its_scenes(self, tmp_path: Path) -> None:
        script = "A ship leaves the harbour. It sails for days. An island comes into sight."
        asked = facts(tmp_path, "Wan t2v 1.3B", talk(5), script=script)
        prompts = [part.settings["prompt"] for part in parts.plan(asked, check=never).parts]
        assert prompts[0].startswith("A ship")
        assert prompts[-1].endswith("island comes into sight.")
        assert all(len(prompt) < len(script) for prompt in prompts)

    def test_a_text_model_without_any_words_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError, match="needs a prompt or a script"):
            parts.plan(facts(tmp_path, "Wan t2v 14B", talk(1), script=""), check=never)

    def test_markup_in_a_spoken_sentence_never_reaches_upstream(self, tmp_path: Path) -> None:
        spoken = talk(2)
        told = timings(tmp_path / "t.json", spoken, ["# {a} [/duration 3s] b", "!{x}"])
        asked = facts(tmp_path, "Wan t2v 1.3B", spoken, timings=told)
        for part in parts.plan(asked, check=never).parts:
            prompt = part.settings["prompt"]
            assert not prompt.startswith(("#", "!"))
            assert not set("{}") & set(prompt)
            assert "[/" not in prompt


class TestLadder:
    @pytest.mark.parametrize("name", NAMES)
    def test_each_rung_adds_to_those_before_and_says_what_it_changed(self, tmp_path: Path, name: str) -> None:
        model = TABLE.video(name)
        plans = [
            parts.plan(facts(tmp_path, name, talk(30), rung=rung), check=never)
            for rung in range(len(model.rungs) + 1)
        ]
        for rung, plan in enumerate(plans):
            assert plan.changes == tuple(step.change for step in model.rungs[:rung])
            assert plan.parts[0].steps == plans[0].parts[0].steps
        last = plans[-1]
        assert (last.width, last.height) == (464, 464)
        assert all(part.settings["override_profile"] == 5 for part in last.parts)

    @pytest.mark.parametrize("name", TALKING)
    def test_no_rung_moves_a_cut_so_finished_parts_can_be_kept(self, tmp_path: Path, name: str) -> None:
        rungs = range(len(TABLE.video(name).rungs) + 1)
        spans = {
            tuple(
                (part.first_frame, part.frames, part.lead)
                for part in parts.plan(facts(tmp_path, name, talk(40), rung=rung), check=never).parts
            )
            for rung in rungs
        }
        assert len(spans) == 1

    @pytest.mark.parametrize(
        ("name", "seconds", "windows"),
        [
            # Counted at upstream with its real planning of windows.
            ("Wan Multitalk", 12.0, 3),
            ("Fantasy", 12.0, 3),
            ("LongCat Avatar 1.5", 12.0, 4),
            ("Wan Multitalk", 3.0, 1),
            ("Hunyuan Avatar", 3.0, 1),
        ],
    )
    def test_the_windows_of_a_part_are_known_beforehand(
        self, tmp_path: Path, name: str, seconds: float, windows: int
    ) -> None:
        plan = parts.plan(facts(tmp_path, name, [(0, seconds)]), check=never)
        assert [part.windows for part in plan.parts] == [windows]
