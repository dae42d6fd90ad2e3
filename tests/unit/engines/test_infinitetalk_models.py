"""InfiniteTalk's presets, sets of weights and steps down, held to the worker and to the catalogue."""

from __future__ import annotations

import pytest

from backend.engines.diffusers_text import CATALOGUE as TEXT_CATALOGUE
from backend.engines.infinitetalk_models import (
    ENCODERS,
    PRESETS,
    RUNGS,
    SETS,
    WINDOW_S,
    any_ready,
    demand,
    missing,
)
from backend.services.model_catalogue import load_catalogue
from backend.utils.config import BUNDLE_DIR
from workers.infinitetalk import config
from workers.infinitetalk.inputs import DEFAULT_PRESET

ONE = {"infinitetalk-single", "infinitetalk-base", ENCODERS}


def test_the_presets_are_the_workers() -> None:
    assert {
        name: (preset.steps - preset.skip_last_step, preset.passes) for name, preset in config.PRESETS.items()
    } == {name: (preset.steps, preset.passes) for name, preset in PRESETS.items()}
    assert {name: preset.lora for name, preset in config.PRESETS.items()} == {
        name: preset.lora and preset.lora.removeprefix("infinitetalk-") for name, preset in PRESETS.items()
    }
    assert DEFAULT_PRESET in PRESETS
    assert WINDOW_S == (config.WINDOW - config.MOTION) / config.FPS


def test_every_entry_is_in_the_catalogue() -> None:
    catalogue = load_catalogue(BUNDLE_DIR / "assets" / "catalogue")
    named = {entry for sets in SETS.values() for entries in sets for entry in entries}
    named |= {
        ENCODERS,
        *TEXT_CATALOGUE.values(),
        *(preset.lora for preset in PRESETS.values() if preset.lora),
    }
    assert all(catalogue.get(entry) is not None for entry in named), named


def test_what_the_recommended_set_requires_is_enough_for_a_film() -> None:
    catalogue = load_catalogue(BUNDLE_DIR / "assets" / "catalogue")
    for speakers, sets in SETS.items():
        for first, *_ in sets:
            model = catalogue.get(first)
            assert model is not None
            here = {first, *(one.id for one in catalogue.requirements(model))}
            assert missing(PRESETS["balanced"], speakers, here.__contains__) == (), (first, here)
            assert missing(PRESETS["fast"], speakers, here.__contains__) == ()


@pytest.mark.parametrize(
    ("preset", "speakers", "here", "lacking"),
    [
        ("quality", 1, ONE, ()),
        ("balanced", 1, ONE, ("infinitetalk-fusionx",)),
        ("turbo", 1, ONE, ("infinitetalk-lightx2v",)),
        ("quality", 2, ONE, ("infinitetalk-multi",)),
        ("quality", 1, set(), ("infinitetalk-single", "infinitetalk-base", ENCODERS)),
        ("quality", 1, {"infinitetalk-bf16", ENCODERS}, ()),
        ("quality", 2, {"infinitetalk-bf16", ENCODERS}, ("infinitetalk-multi-bf16",)),
        ("quality", 1, {"infinitetalk-base", ENCODERS}, ("infinitetalk-single",)),
    ],
)
def test_what_is_missing_is_named(
    preset: str, speakers: int, here: set[str], lacking: tuple[str, ...]
) -> None:
    assert missing(PRESETS[preset], speakers, here.__contains__) == lacking  # type: ignore[index]


def test_it_is_ready_with_any_set_for_any_preset() -> None:
    assert any_ready(ONE.__contains__)
    assert any_ready({"infinitetalk-multi-bf16", ENCODERS}.__contains__)
    assert not any_ready({"infinitetalk-single", ENCODERS}.__contains__)


def test_a_dearer_preset_takes_longer_and_a_larger_picture_too() -> None:
    seconds = [preset.s_per_video_s("512p") for preset in PRESETS.values()]
    assert seconds == sorted(seconds, reverse=True)
    assert all(preset.s_per_video_s("720p") > preset.s_per_video_s("512p") for preset in PRESETS.values())


def test_the_plan_is_stepped_down_before_the_picture() -> None:
    assert [demand("720p", rung) for rung in range(7)] == [
        ("720p", 0),
        ("720p", 1),
        ("720p", 2),
        ("512p", 0),
        ("512p", 1),
        ("512p", 2),
        ("512p", 2),
    ]
    assert [demand("512p", rung) for rung in range(4)] == [("512p", 0), ("512p", 1), ("512p", 2), ("512p", 3)]
    assert all(len({rung.change for rung in rungs}) == len(rungs) for rungs in RUNGS.values())
