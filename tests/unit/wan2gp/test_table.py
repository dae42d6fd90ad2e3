"""The table of Wan2GP's models: what it offers, and that a broken one is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.handler import TaskError
from workers.wan2gp.table import Table, VideoModel, load_table

ASSETS = Path(__file__).resolve().parents[3] / "assets"
TABLE = load_table(ASSETS)
MODELS = {model.name: model for model in TABLE.models}
RAW: dict[str, Any] = json.loads((ASSETS / "wan2gp" / "models.json").read_text(encoding="utf-8"))

# Read from upstream at the pin: type, frames a second, letters a start picture may use, window.
UPSTREAM_FPS = {
    "t2v_1.3B": 16,
    "t2v": 16,
    "hunyuan_avatar": 25,
    "multitalk": 25,
    "multitalk_720p": 25,
    "fantasy": 23,
    "infinitetalk": 25,
    "infinitetalk_multi": 25,
    "longcat_avatar_v1_5": 25,
}
# Upstream embeds at most this many frames of sound for one generation of the MultiTalk family.
EMBEDDED_FRAMES = 3000


def write_table(tmp_path: Path, change: Any) -> Path:
    raw = copy.deepcopy(RAW)
    change(raw)
    (tmp_path / "wan2gp").mkdir()
    (tmp_path / "wan2gp" / "models.json").write_text(json.dumps(raw), encoding="utf-8")
    return tmp_path


def test_the_table_offers_the_models_of_the_product_under_their_names() -> None:
    assert list(MODELS) == [
        "Wan t2v 1.3B",
        "Wan t2v 14B",
        "Hunyuan Avatar",
        "Wan Multitalk",
        "Fantasy",
        "InfiniteTalk (Wan2GP)",
        "LongCat Avatar 1.5",
    ]


def test_the_table_is_made_for_one_pinned_state_of_upstream() -> None:
    assert TABLE.upstream.commit == "8681e9f777f9f847f74a0bdefd13d5b9a6efe12d"
    assert (TABLE.upstream.version, TABLE.upstream.settings_version) == ("12.60", 2.74)


@pytest.mark.parametrize("model", TABLE.models, ids=lambda m: m.name)
def test_every_model_runs_at_the_rate_its_weights_were_trained_for(model: VideoModel) -> None:
    types = {*model.types.values(), *model.types_720p.values()}
    assert {UPSTREAM_FPS[name] for name in types} == {model.fps}
    assert model.settings["force_fps"] == ""


@pytest.mark.parametrize(
    ("name", "resolution", "one", "two"),
    [
        ("Wan t2v 1.3B", "512p", "t2v_1.3B", None),
        ("Wan t2v 14B", "512p", "t2v", None),
        ("Hunyuan Avatar", "512p", "hunyuan_avatar", None),
        ("Wan Multitalk", "512p", "multitalk", "multitalk"),
        ("Wan Multitalk", "720p", "multitalk_720p", "multitalk_720p"),
        ("Fantasy", "720p", "fantasy", None),
        ("InfiniteTalk (Wan2GP)", "512p", "infinitetalk", "infinitetalk_multi"),
        ("LongCat Avatar 1.5", "720p", "longcat_avatar_v1_5", "longcat_avatar_v1_5"),
    ],
)
def test_each_number_of_speakers_has_its_weights(
    name: str, resolution: str, one: str, two: str | None
) -> None:
    model = MODELS[name]
    assert model.model_type(1, resolution) == one
    if two is not None:
        assert model.model_type(2, resolution) == two
        return
    with pytest.raises(TaskError, match="cannot animate two speakers") as refused:
        model.model_type(2, resolution)
    assert refused.value.code == "validation_failed"


@pytest.mark.parametrize("model", TABLE.models, ids=lambda m: m.name)
def test_speech_is_never_dropped_for_want_of_a_flag(model: VideoModel) -> None:
    assert model.settings["audio_prompt_type"] == ("A" if model.drive == "speech" else "")


@pytest.mark.parametrize("model", TABLE.models, ids=lambda m: m.name)
def test_the_portrait_goes_under_the_key_and_the_letters_that_the_model_takes(model: VideoModel) -> None:
    letters = (model.settings["image_prompt_type"], model.settings["video_prompt_type"])
    assert letters == {"start": ("S", ""), "refs": ("", "KI"), "none": ("", "")}[model.portrait]


@pytest.mark.parametrize("model", TABLE.models, ids=lambda m: m.name)
def test_nothing_that_upstream_could_do_on_its_own_is_left_to_it(model: VideoModel) -> None:
    off = {
        "multi_prompts_gen_type": "FG",
        "repeat_generation": 1,
        "batch_size": 1,
        "image_mode": 0,
        "prompt_enhancer": "",
        "temporal_upsampling": "",
        "spatial_upsampling": "",
        "film_grain_intensity": 0,
        "postprocess_audio": "",
        "skip_steps_cache_type": "",
        "activated_loras": [],
        "loras_multipliers": "",
        "override_attention": "",
        "override_profile": -1,
        "settings_version": 2.74,
    }
    assert {key: model.settings[key] for key in off} == off


@pytest.mark.parametrize("model", TABLE.models, ids=lambda m: m.name)
def test_no_step_down_the_ladder_changes_the_number_of_steps(model: VideoModel) -> None:
    assert all("num_inference_steps" not in rung.settings for rung in model.rungs)
    order = [rung.code for rung in model.rungs]
    assert order[-1] == "resolution"
    assert "offload" in order
    assert len(set(order)) == len(order)


@pytest.mark.parametrize("model", TABLE.models, ids=lambda m: m.name)
def test_a_part_stays_below_what_the_model_can_hear_at_once(model: VideoModel) -> None:
    overlap = model.window.overlap if model.window else 0
    assert model.frames_max_part + overlap < EMBEDDED_FRAMES
    if model.continues == "portrait":
        # Three segments of 128 frames and one; five frames of silence are added to the sound.
        assert model.frames_max_part + 5 < 3 * 128


def test_windows_that_upstream_asks_to_keep_stay_as_they_are() -> None:
    infinite, longcat = MODELS["InfiniteTalk (Wan2GP)"].window, MODELS["LongCat Avatar 1.5"].window
    assert infinite is not None
    assert (infinite.size, infinite.overlap, infinite.fixed) == (81, 9, True)
    assert longcat is not None
    assert (longcat.size, longcat.overlap, longcat.fixed) == (93, 13, True)


def test_a_scene_of_the_large_text_model_fits_into_one_window() -> None:
    model = MODELS["Wan t2v 14B"]
    assert model.legal_frames(model.frames_max_part) <= model.settings["sliding_window_size"]


@given(frames=st.integers(min_value=-10, max_value=5000))
def test_a_legal_number_of_frames_holds_what_is_wanted_and_little_more(frames: int) -> None:
    legal = MODELS["Fantasy"].legal_frames(frames)
    assert legal % 4 == 1
    assert legal >= max(frames, 5)
    assert legal - max(frames, 5) < 4


def test_an_unknown_model_is_refused_with_the_names_that_are_known() -> None:
    with pytest.raises(TaskError, match=r"LongCat Avatar 1\.5") as refused:
        TABLE.video("Wan 9")
    assert refused.value.code == "validation_failed"


def speechless(raw: dict[str, Any]) -> None:
    raw["video"][3]["portrait"] = "none"


def other_version(raw: dict[str, Any]) -> None:
    raw["version"] = 2


def twice(raw: dict[str, Any]) -> None:
    raw["video"].append(raw["video"][0])


def odd_size(raw: dict[str, Any]) -> None:
    raw["sizes"]["512p"]["16:9"] = [854, 480]


def lost_window(raw: dict[str, Any]) -> None:
    raw["video"][3]["window"]["overlap"] = 9


def shorter_fixed_window(raw: dict[str, Any]) -> None:
    raw["video"][5]["rungs"].insert(0, {"code": "window", "change": "x", "settings": {}})


def no_fps(raw: dict[str, Any]) -> None:
    del raw["video"][0]["fps"]


def strange_drive(raw: dict[str, Any]) -> None:
    raw["video"][0]["drive"] = "music"


@pytest.mark.parametrize(
    "change",
    [speechless, other_version, twice, odd_size, lost_window, shorter_fixed_window, no_fps, strange_drive],
    ids=lambda change: change.__name__,
)
def test_a_table_that_contradicts_itself_is_refused_before_any_work(tmp_path: Path, change: Any) -> None:
    with pytest.raises(TaskError, match="Install the product again") as refused:
        load_table(write_table(tmp_path, change))
    assert refused.value.code == "internal_error"


def test_a_missing_table_is_refused_like_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as refused:
        load_table(tmp_path)
    assert refused.value.code == "internal_error"


def test_the_same_file_reads_to_the_same_table() -> None:
    again: Table = load_table(ASSETS)
    assert again == TABLE
