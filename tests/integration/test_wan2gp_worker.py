"""The worker of Wan2GP, a real process, on the stand-in of its engine: every model, speakers, windows, parts, previews."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.engines.supervisor import TaskResult
from backend.engines.worker_types import ProgressUpdate
from backend.models.errors import EngineFailure
from tests.media_samples import FFMPEG
from tests.support.wan2gp_rig import until, wan2gp_rig, write_portrait
from workers.wan2gp.media import VideoInfo, probe_video

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform == "win32",
        reason="the stand-in is laid out as on POSIX, and some of its faults are signals",
    ),
]

# wire name: model type for one and for two speakers, frames per second
MODELS: dict[str, tuple[str, str | None, int]] = {
    "Wan t2v 1.3B": ("t2v_1.3B", None, 16),
    "Wan t2v 14B": ("t2v", None, 16),
    "Hunyuan Avatar": ("hunyuan_avatar", None, 25),
    "Wan Multitalk": ("multitalk", "multitalk", 25),
    "Fantasy": ("fantasy", None, 23),
    "InfiniteTalk (Wan2GP)": ("infinitetalk", "infinitetalk_multi", 25),
    "LongCat Avatar 1.5": ("longcat_avatar_v1_5", "longcat_avatar_v1_5", 25),
}


def film(result: TaskResult) -> VideoInfo:
    (artifact,) = result.artifacts
    assert (artifact.role, artifact.media_type) == ("video", "video/mp4")
    return probe_video(artifact.path, ffmpeg=str(FFMPEG.binary), check=lambda: None)


def rising(updates: list[ProgressUpdate]) -> bool:
    shares = [update.fraction for update in updates if update.fraction is not None]
    return shares == sorted(shares) and all(0 <= share <= 1 for share in shares)


@pytest.mark.parametrize("name", MODELS)
async def test_every_model_makes_a_film_as_long_as_the_speech(tmp_path: Path, name: str) -> None:
    model_type, _, fps = MODELS[name]
    async with wan2gp_rig(tmp_path) as rig:
        result = await rig.make(rig.request(name, spoken=(0.3, -0.2, 0.6)))
        info = film(result)
        assert (info.frames, info.fps) == (math.ceil(1.1 * fps), fps)
        assert (info.width, info.height) == (result.data["width"], result.data["height"]) == (624, 624)
        assert {
            "model": name,
            "model_type": model_type,
            "parts": 1,
            "rung": 0,
            "seed": 7,
        }.items() <= result.data.items()
        assert rising(rig.updates)
        (task,) = rig.fake.notes("task")
        assert task["dropped"] == [], "upstream drops these without a word"
        (settings,) = rig.fake.tasks()
        assert settings["model_type"] == model_type
        assert settings["multi_prompts_gen_type"] == "FG"
        assert settings["seed"] == 7
        (call,) = rig.fake.notes("call")
        assert (call["width"], call["height"], call["fps"]) == (624, 624, fps)
        assert call["frame_num"] >= info.frames
        speaks = name.startswith("Wan t2v")
        assert bool(call["audio_guide"]) is not speaks, "the sound drives the picture"
        assert bool(call["image_start"] or call["image_refs"]) is not speaks


@pytest.mark.parametrize("name", [name for name, (_, two, _) in MODELS.items() if two])
async def test_two_speakers_get_a_track_and_a_place_each(tmp_path: Path, name: str) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        request = rig.request(name, spoken=(0.6, -0.2, 0.6), tracks=((0.6, -0.8), (-0.8, 0.6)))
        result = await rig.make(request)
        assert film(result).frames == 35
        assert result.data["model_type"] == MODELS[name][1]
        (call,) = rig.fake.notes("call")
        assert call["audio_prompt_type"] == "PAB"
        assert call["frame_num"] >= 35, "the shorter track would end the film"
        first, second = call["speakers_bboxes"]["human0"], call["speakers_bboxes"]["human1"]
        assert 0 <= first[0] < first[2] <= second[0] < second[2] <= 100, (first, second)
        assert 10 <= (first[0] + first[2]) / 2 <= 35
        assert 60 <= (second[0] + second[2]) / 2 <= 85


@pytest.mark.parametrize("name", [name for name, (_, two, _) in MODELS.items() if not two])
async def test_a_model_for_one_speaker_refuses_two_before_anything_is_loaded(
    tmp_path: Path, name: str
) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        failure = await rig.failure(rig.request(name, tracks=((1.0,), (-1.0,))))
        assert failure.code.value == "validation_failed"
        assert rig.fake.notes("load") == []


@pytest.mark.parametrize(
    "prompt",
    [
        "First line.\nSecond line.\n\nA new paragraph.",
        "Windows\r\nand\rMac line ends",
        '# a heading\n! {Name}="x\n{unfinished',
        "she says [/hello] and goes",
        "第一行\n第二行：你好。",
        "quotes \" and ' and | and * and a very long line " + "words " * 400,
    ],
)
async def test_any_prompt_is_taken_as_words(tmp_path: Path, prompt: str) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        for name in ("Wan t2v 1.3B", "Wan t2v 14B"):
            assert film(await rig.make(rig.request(name, prompt=prompt))).frames == 16
        assert all(task["prompt"].strip() for task in rig.fake.tasks())


async def test_the_script_is_the_prompt_of_a_text_model(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        await rig.make(rig.request("Wan t2v 1.3B", script="A lighthouse\nin the fog."))
        assert "lighthouse" in rig.fake.tasks()[0]["prompt"]


async def test_progress_runs_through_all_windows(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave(step_s=0.3)
        result = await rig.make(rig.request("InfiniteTalk (Wan2GP)", spoken=(6.4,), aspect="16:9"))
        assert film(result).frames == 160
        assert len(rig.fake.notes("call")) == 3
        assert rising(rig.updates)
        windows = [message for message in rig.messages() if message.startswith("Window ")]
        assert [
            w
            for w in ("Window 1 of 3", "Window 2 of 3", "Window 3 of 3")
            if any(m.startswith(w) for m in windows)
        ] == [
            "Window 1 of 3",
            "Window 2 of 3",
            "Window 3 of 3",
        ]
        seen = [update.fraction for update in rig.updates if update.message.startswith("Window 2 of 3")]
        assert all(share is not None and 0.3 < share < 0.7 for share in seen)
        leftovers = [path.name for path in rig.folder.glob("attempt-*/upstream/*")]
        assert leftovers == [], "upstream's own files are moved or gone"


async def test_a_long_speech_is_made_of_parts_and_cut_in_its_pauses(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        result = await rig.make(
            rig.request("Wan t2v 1.3B", spoken=(3.5, -0.5, 3.5, -0.5, 3.0), aspect="16:9")
        )
        assert film(result).frames == 176
        parts = result.data["parts"]
        assert parts == len(rig.fake.tasks()) >= 3
        assert len({task["seed"] for task in rig.fake.tasks()}) == parts, "not one clip again and again"
        assert any(message.startswith(f"Part 2 of {parts}") for message in rig.messages())
        assert rising(rig.updates)
        assert len(rig.fake.notes("load")) == 1


async def test_parts_that_are_finished_outlive_a_death_and_are_taken_up(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        first = {"do": "die", "when": {"seed": 8}, "times": 1}
        rig.fake.behave(first)
        spoken = (3.0, -0.5, 3.0)
        failure = await rig.failure(rig.request("Wan t2v 1.3B", spoken=spoken, aspect="16:9"))
        assert failure.code.value == "worker_killed"
        made_before = len(rig.fake.tasks())
        assert made_before == 2
        result = await rig.make(rig.request("Wan t2v 1.3B", spoken=spoken, aspect="16:9"))
        assert result.data["parts_reused"] == 1
        assert len(rig.fake.tasks()) - made_before == result.data["parts"] - 1
        assert film(result).frames == 104
        assert rising(rig.updates)


async def test_parts_of_a_better_try_serve_a_try_that_gave_something_up(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave({"do": "oom", "when": {"seed": 8, "override_profile": -1}})
        spoken = (3.0, -0.5, 3.0)
        failure = await rig.failure(rig.request("Wan t2v 1.3B", spoken=spoken, aspect="16:9"))
        assert (failure.code.value, failure.retryable) == ("gpu_oom", True)
        result = await rig.make(rig.request("Wan t2v 1.3B", spoken=spoken, aspect="16:9", rung=1))
        assert result.data["parts_reused"] == 1
        assert result.data["changes"] == ["stronger offloading to main memory (profile 5)"]
        assert rig.fake.tasks()[-1]["override_profile"] == 5
        assert film(result).frames == 104


@pytest.mark.parametrize("name", ["Wan Multitalk", "Hunyuan Avatar", "Wan t2v 14B"])
async def test_every_rung_changes_what_it_says(tmp_path: Path, name: str) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        tries: list[dict[str, Any]] = []
        for rung in range(4 if name != "Hunyuan Avatar" else 3):
            result = await rig.make(rig.request(name, rung=rung, seed=20 + rung, resolution="512p"))
            assert (result.data["rung"], len(result.data["changes"])) == (rung, rung)
            width = rig.fake.notes("call")[-1]["width"]
            settings = rig.fake.tasks()[-1]
            tries.append(
                {"width": width, **{k: settings[k] for k in ("sliding_window_size", "override_profile")}}
            )
        assert tries[0]["width"] > tries[-1]["width"]
        assert (tries[0]["override_profile"], tries[-1]["override_profile"]) == (-1, 5)
        if name == "Wan Multitalk":
            assert [one["sliding_window_size"] for one in tries] == [129, 81, 81, 81]
        too_far = await rig.failure(rig.request(name, rung=len(tries)))
        assert too_far.code.value == "validation_failed"


async def test_two_jobs_in_a_row_load_only_what_changes(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        for name in ("Wan Multitalk", "Wan Multitalk", "Hunyuan Avatar", "Wan Multitalk"):
            await rig.make(rig.request(name, seed=len(rig.fake.tasks())))
        assert [note["model_type"] for note in rig.fake.notes("load")] == [
            "multitalk",
            "hunyuan_avatar",
            "multitalk",
        ]
        assert len({note["pid"] for note in rig.fake.notes("task")}) == 1
        assert rig.supervisor.snapshot().restarts == 0


async def test_an_idle_worker_lets_go_of_the_model_and_the_next_job_loads_it_again(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path, idle_unload_s=0.5) as rig:
        await rig.make(rig.request())
        first = rig.supervisor.snapshot().pid
        await until(
            lambda: rig.supervisor.snapshot().pid != first or bool(rig.fake.notes("release")), "it is let go"
        )
        await rig.make(rig.request(seed=9))
        assert len(rig.fake.notes("load")) == 2


async def test_previews_are_small_pictures_that_are_whole_at_any_moment(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave(step_s=0.2)
        request = rig.request(steps=4)
        path = request.output_dir / "preview.jpg"
        sizes: list[tuple[int, int]] = []

        def look() -> bool:
            if path.is_file():
                with Image.open(path) as picture:
                    picture.load()
                    sizes.append(picture.size)
            return False

        await rig.make(request, cancel_when=look)
        assert sizes, "there was a picture while it drew"
        assert path.stat().st_size <= 60_000
        assert max(sizes[-1]) <= 512


async def test_the_engine_is_configured_by_us_and_kept_off_the_network(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        (rig.fake.root / "wgp_config.json").write_text('{"fit_canvas": 2, "attention_mode": "flash"}')
        await rig.make(rig.request(aspect="9:16"))
        (init,) = rig.fake.notes("init")
        assert init["config"]["checkpoints_paths"] == [str(tmp_path / "models" / "wan2gp")]
        assert init["config"]["keep_intermediate_sliding_windows"] == 0
        assert init["config"]["attention_mode"] == "auto"
        assert init["environment"]["HF_HUB_OFFLINE"] == "1"
        assert init["environment"]["CUDA_VISIBLE_DEVICES"] == "0"
        assert Path(init["argv"]["config"]).is_relative_to(tmp_path / "cache")
        call = rig.fake.notes("call")[-1]
        assert (call["width"], call["height"]) == (480, 832)


@pytest.mark.parametrize(
    ("aspect", "size"), [("1:1", (624, 624)), ("16:9", (832, 480)), ("9:16", (480, 832)), ("source", None)]
)
async def test_the_film_has_the_shape_that_was_asked_for(
    tmp_path: Path, aspect: str, size: tuple[int, int] | None
) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        portrait = write_portrait(tmp_path / "hoch.png", (200, 300))
        request = rig.request(aspect=aspect, inputs={"portrait": portrait})
        info = film(await rig.make(request))
        if size is not None:
            assert (info.width, info.height) == size
        else:
            assert info.width / info.height == pytest.approx(200 / 300, abs=0.05)
        assert info.width % 16 == info.height % 16 == 0


async def test_a_voice_speaks_and_the_film_follows_in_the_same_process(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        script = tmp_path / "script.json"
        script.write_text('{"text": "Hello there. How are you?", "language": "en"}', "utf-8")
        sample = rig.request(spoken=(3.0,)).inputs["audio"]
        spoken = await rig.make(
            rig.request(
                task="speech", inputs={"script": script, "reference": sample}, model="wan2gp_qwen3_tts"
            )
        )
        roles = {artifact.role: artifact.path for artifact in spoken.artifacts}
        assert {"speech", "timings"} <= roles.keys()
        result = await rig.make(
            rig.request("Wan Multitalk", inputs={"audio": roles["speech"], "timings": roles["timings"]})
        )
        assert film(result).frames >= 25
        assert [note["model_type"] for note in rig.fake.notes("load")] == ["qwen3_tts_base", "multitalk"]
        assert len({note["pid"] for note in rig.fake.notes("task")}) == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "rung"), [("Fantasy", 3), ("Wan Multitalk", 3), ("LongCat Avatar 1.5", 2)])
async def test_a_speech_beyond_the_models_limit_goes_on_where_it_was_cut(
    tmp_path: Path, name: str, rung: int
) -> None:
    fps = MODELS[name][2]
    async with wan2gp_rig(tmp_path) as rig:
        result = await rig.make(
            # The last rung has the smallest pictures.
            rig.request(name, spoken=(15.0, -0.5, 15.5), aspect="16:9", rung=rung, deadline_s=280.0)
        )
        assert film(result).frames == 31 * fps
        tasks = rig.fake.tasks()
        assert result.data["parts"] == len(tasks) >= 2
        assert not tasks[0].get("video_source")
        # The second part goes on from as many frames as the model's own windows share; Fantasy's share one picture.
        shared = {"Fantasy": 1, "Wan Multitalk": 5, "LongCat Avatar 1.5": 13}[name]
        continued = tasks[1].get("video_source") or tasks[1]["image_start"]
        assert "part-001" in continued
        call = next(
            one for one in rig.fake.notes("call") if continued in (one["video_source"], one["image_start"])
        )
        assert (call["window_no"], call["prefix_frames_count"]) == (1, shared)
        assert rising(rig.updates)


async def test_what_is_not_there_stops_a_task_before_the_engine_hears_of_it(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        torn = tmp_path / "torn.png"
        torn.write_bytes(write_portrait(tmp_path / "whole.png").read_bytes()[:300])
        silence = tmp_path / "empty.wav"
        silence.write_bytes(b"RIFF")
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"inputs": {"portrait": torn}}, "image_unreadable"),
            ({"inputs": {"portrait": tmp_path / "nowhere.png"}}, "image_unreadable"),
            ({"inputs": {"audio": silence}}, "audio_unreadable"),
            ({"inputs": {"audio": tmp_path / "nowhere.wav"}}, "audio_unreadable"),
            ({"resolution": "4k"}, "validation_failed"),
            ({"aspect": "3:1"}, "validation_failed"),
            ({"steps": 1000}, "validation_failed"),
            ({"steps": "abc"}, "validation_failed"),
            ({"model": "Wan 9"}, "validation_failed"),
        ]
        for changes, code in wrong:
            model = changes.pop("model", "Wan Multitalk")
            failure = await rig.failure(rig.request(model, **changes))
            assert failure.code.value == code, changes
        assert rig.fake.tasks() == []
        assert isinstance(failure, EngineFailure)
        assert np.isfinite(film(await rig.make(rig.request())).duration_s)
