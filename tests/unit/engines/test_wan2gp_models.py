"""Which model of Wan2GP a job gets: named or the best that is here and fits, and what is said when there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from backend.engines.wan2gp_models import BEST_FIRST, Wan2GPModel, Wan2GPModels, load_wan2gp_models
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.models.job import WangpModel
from backend.utils.config import BUNDLE_DIR

MODELS = load_wan2gp_models(BUNDLE_DIR / "assets")
ALL = frozenset(
    model_id
    for model in MODELS.all
    for model_id in (*model.catalogue, *model.catalogue_two, *model.catalogue_720p)
)


def here(*model_ids: str) -> Callable[[str], bool]:
    return lambda model_id: model_id in {"wan2gp-core", *model_ids}


def choose(
    has_weights: Callable[[str], bool],
    named: str | None = None,
    *,
    speakers: int = 1,
    resolution: str = "512p",
    largest_mib: int | None = None,
) -> Wan2GPModel:
    return MODELS.choose(
        named, speakers=speakers, resolution=resolution, has_weights=has_weights, largest_mib=largest_mib
    )


def everything(model_id: str) -> bool:
    return model_id in ALL


def test_the_table_holds_every_model_that_a_request_may_name() -> None:
    assert {model.name for model in MODELS.all} == set(get_args(WangpModel))
    assert set(BEST_FIRST) == {model.name for model in MODELS.all if model.drive == "speech"}
    assert all(model.rungs and model.min_vram_mib > 0 for model in MODELS.all)


def test_without_a_name_the_best_that_is_here_is_taken_and_never_one_driven_by_text() -> None:
    assert choose(everything).name == BEST_FIRST[0]
    assert choose(here("wan2gp-fantasy", "wan2gp-hunyuan-avatar")).name == "Hunyuan Avatar"
    with pytest.raises(EngineFailure) as caught:
        choose(here("wan2gp-t2v-1.3b", "wan2gp-t2v-14b"))
    assert caught.value.code is ErrorCode.MODEL_MISSING
    assert choose(here("wan2gp-t2v-14b"), "Wan t2v 14B").name == "Wan t2v 14B"


def test_a_model_that_needs_more_memory_than_the_card_has_gives_way_to_one_that_fits() -> None:
    both = here("wan2gp-multitalk", "wan2gp-hunyuan-avatar")
    assert choose(both, largest_mib=24_000).name == "Wan Multitalk"
    assert choose(both, largest_mib=11_000).name == "Hunyuan Avatar"
    assert choose(both, largest_mib=4_000).name == "Hunyuan Avatar", "the least demanding one may still do it"
    assert choose(both, largest_mib=None).name == "Wan Multitalk"


def test_whoever_names_a_model_gets_it_whatever_the_card() -> None:
    assert choose(everything, "Fantasy", largest_mib=4_000).name == "Fantasy"


def test_two_speakers_get_a_model_whose_weights_for_two_are_here() -> None:
    assert choose(here("wan2gp-infinitetalk", "wan2gp-multitalk"), speakers=2).name == "Wan Multitalk"
    assert choose(here("wan2gp-infinitetalk-multi"), speakers=2).name == "InfiniteTalk (Wan2GP)"
    with pytest.raises(EngineFailure) as caught:
        choose(here("wan2gp-fantasy", "wan2gp-hunyuan-avatar"), speakers=2)
    assert caught.value.code is ErrorCode.MODEL_MISSING
    assert "two people" in caught.value.detail
    with pytest.raises(EngineFailure) as caught:
        choose(everything, "Hunyuan Avatar", speakers=2)
    assert caught.value.code is ErrorCode.ENGINE_UNAVAILABLE


def test_a_larger_picture_may_need_weights_of_its_own() -> None:
    small_only = here("wan2gp-multitalk")
    assert choose(small_only, "Wan Multitalk").name == "Wan Multitalk"
    with pytest.raises(EngineFailure) as caught:
        choose(small_only, "Wan Multitalk", resolution="720p")
    assert caught.value.code is ErrorCode.MODEL_MISSING
    assert "wan2gp-multitalk-720p" in (caught.value.hint or "")
    assert choose(here("wan2gp-multitalk-720p"), resolution="720p").name == "Wan Multitalk"


def test_the_hint_names_what_is_missing_and_nothing_else() -> None:
    with pytest.raises(EngineFailure) as caught:
        choose(here(), "Fantasy")
    assert "wan2gp-fantasy" in (caught.value.hint or "")
    assert "wan2gp-core" not in (caught.value.hint or "")
    with pytest.raises(EngineFailure) as caught:
        choose(lambda _: False, "Fantasy")
    assert "wan2gp-core, wan2gp-fantasy" in (caught.value.hint or "")


def test_any_model_is_enough_for_the_engine_to_be_ready() -> None:
    assert MODELS.any_ready(here("wan2gp-t2v-1.3b"))
    assert MODELS.any_ready(here("wan2gp-multitalk-720p"))
    assert not MODELS.any_ready(here())


def test_each_entry_is_looked_for_once() -> None:
    looked: list[str] = []

    def look(model_id: str) -> bool:
        looked.append(model_id)
        return False

    assert not MODELS.any_ready(look)
    assert len(looked) == len(set(looked))


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table.update(version=99),
        lambda table: table["video"].append(table["video"][0]),
        lambda table: table["video"][0].pop("min_vram_mib"),
        lambda table: table["video"][0].update(drive="steam"),
        lambda table: table.pop("upstream"),
    ],
)
def test_a_damaged_table_is_told_with_its_path(tmp_path: Path, damage: Callable[[object], object]) -> None:
    table = json.loads((BUNDLE_DIR / "assets" / "wan2gp" / "models.json").read_text("utf-8"))
    damage(table)
    (tmp_path / "wan2gp").mkdir()
    (tmp_path / "wan2gp" / "models.json").write_text(json.dumps(table), "utf-8")
    with pytest.raises(ValueError, match=r"models\.json|same name"):
        load_wan2gp_models(tmp_path)


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        Wan2GPModels(MODELS.upstream, (*MODELS.all, MODELS.all[0]))
