"""The catalogue's entries for Wan2GP hold every file that upstream asks for, and no model names an entry that is not.

`tests/fixtures/catalogue/wan2gp_fetched.json` was recorded while upstream loaded each model type with an empty folder:
[repository, path there, path below the folder of the checkpoints] of every file it fetched; `core` is what it
fetched for all of them alike.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.models.model_catalogue import CatalogueModel
from backend.services.model_catalogue import ModelCatalogue, load_catalogue
from backend.utils.config import BUNDLE_DIR

ASSETS = BUNDLE_DIR / "assets"
CATALOGUE = load_catalogue(ASSETS / "catalogue")
FETCHED: dict[str, list[list[str]]] = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "catalogue" / "wan2gp_fetched.json").read_text(encoding="utf-8")
)
ENTRY_OF = {
    "core": "wan2gp-core",
    "t2v_1.3B": "wan2gp-t2v-1.3b",
    "t2v": "wan2gp-t2v-14b",
    "hunyuan_avatar": "wan2gp-hunyuan-avatar",
    "multitalk": "wan2gp-multitalk",
    "multitalk_720p": "wan2gp-multitalk-720p",
    "fantasy": "wan2gp-fantasy",
    "infinitetalk": "wan2gp-infinitetalk",
    "infinitetalk_multi": "wan2gp-infinitetalk-multi",
    "longcat_avatar_v1_5": "wan2gp-longcat-avatar-1.5",
    "qwen3_tts_base": "wan2gp-qwen3-tts",
    "index_tts25": "wan2gp-index-tts",
    "chatterbox": "wan2gp-chatterbox",
    "omnivoice": "wan2gp-omnivoice",
}


def entry(model_id: str) -> CatalogueModel:
    found = CATALOGUE.get(model_id)
    assert found is not None, f"{model_id} is not in the catalogue"
    return found


def table(name: str, part: str) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads((ASSETS / "wan2gp" / name).read_text(encoding="utf-8"))[part]
    return read


def test_every_entry_was_recorded_and_every_recording_has_its_entry() -> None:
    assert set(ENTRY_OF) == set(FETCHED)
    assert set(ENTRY_OF.values()) == {model.id for model in CATALOGUE.all() if model.engine == "wan2gp"}


@pytest.mark.parametrize("recorded", FETCHED)
def test_an_entry_holds_exactly_the_files_that_upstream_fetched(recorded: str) -> None:
    model = entry(ENTRY_OF[recorded])
    held = []
    for file in model.files:
        hub = model.places(file).huggingface
        assert hub is not None
        held.append([hub.repo, hub.path, file.path])
    assert sorted(held) == sorted(FETCHED[recorded])


@pytest.mark.parametrize(
    "model_id", [model_id for model_id in ENTRY_OF.values() if model_id != "wan2gp-core"]
)
def test_an_entry_brings_the_common_files_along_and_lies_in_the_folder_of_all(model_id: str) -> None:
    model = entry(model_id)
    assert model.requires == ("wan2gp-core",)
    assert model.folder == entry("wan2gp-core").folder == "wan2gp"
    own = {file.path for file in model.files}
    assert own.isdisjoint(file.path for file in entry("wan2gp-core").files)


@pytest.mark.parametrize("model", table("models.json", "video"), ids=lambda model: str(model["name"]))
def test_a_video_model_names_entries_that_are(model: dict[str, Any]) -> None:
    for key in ("catalogue", "catalogue_two", "catalogue_720p"):
        for model_id in model.get(key) or ():
            assert entry(model_id).engine == "wan2gp"
    named = {model_id for model_id in model["catalogue"] if model_id != "wan2gp-core"}
    recorded = {ENTRY_OF[model["model_type"]["1"]]}
    assert named == recorded, "the entry is not the one of the model type"


@pytest.mark.parametrize("voice", table("voices.json", "voices"), ids=lambda voice: str(voice["name"]))
def test_a_voice_names_the_entries_of_its_model_type(voice: dict[str, Any]) -> None:
    assert set(voice["catalogue"]) == {"wan2gp-core", ENTRY_OF[voice["model_type"]]}


def example(model_id: str, **changes: Any) -> CatalogueModel:
    return entry("wan2gp-core").model_copy(update={"id": model_id, "requires": (), **changes})


@pytest.mark.parametrize(
    "models",
    [
        (example("one", requires=("nothing",)),),
        (example("one", requires=("one",)),),
        (example("one", requires=("two",)), example("two", requires=("one",))),
        (example("one", requires=("two",)), example("two", requires=("three",)), example("three")),
    ],
    ids=["unknown", "itself", "a circle", "a chain"],
)
def test_what_cannot_be_required_is_refused(models: tuple[CatalogueModel, ...]) -> None:
    with pytest.raises(ValueError, match="cannot be required"):
        ModelCatalogue(models)
