"""The catalogue's sets of InfiniteTalk's weights: what the default choice is, and that sets share their files."""

from __future__ import annotations

import pytest

from backend.models.model_catalogue import CatalogueModel
from backend.services.model_catalogue import ModelCatalogue, load_catalogue
from backend.utils.config import BUNDLE_DIR

GB = 10**9
# Folders below the engine's, one role each, as the worker reads them.
ROLES = {"base", "single", "multi", "text_encoder", "image_encoder", "vae", "wav2vec2", "lightx2v", "fusionx"}
ROLES |= {"t2v_1_3b", "t2v_14b"}
SETS = ("infinitetalk-single", "infinitetalk-multi", "infinitetalk-bf16", "infinitetalk-multi-bf16")


@pytest.fixture(scope="module")
def catalogue() -> ModelCatalogue:
    return load_catalogue(BUNDLE_DIR / "assets" / "catalogue")


def entry(catalogue: ModelCatalogue, model_id: str) -> CatalogueModel:
    found = catalogue.get(model_id)
    assert found is not None, model_id
    return found


def whole(catalogue: ModelCatalogue, model_id: str) -> list[CatalogueModel]:
    model = entry(catalogue, model_id)
    return [model, *catalogue.requirements(model)]


def roles(models: list[CatalogueModel]) -> set[str]:
    return {file.path.split("/")[0] for model in models for file in model.files}


def test_every_entry_lies_where_the_worker_looks(catalogue: ModelCatalogue) -> None:
    own = [model for model in catalogue.all() if model.engine == "infinitetalk"]
    assert len(own) == 10
    for model in own:
        assert (model.folder, model.purpose) == ("infinitetalk", "video")
        assert roles([model]) <= ROLES
        assert "main" in model.note or all(
            file.sources.huggingface is not None and len(file.sources.huggingface.revision) == 40
            for file in model.files
        )


def test_the_default_choice_is_28_gigabytes_of_fp8(catalogue: ModelCatalogue) -> None:
    models = whole(catalogue, "infinitetalk-single")
    assert 28 * GB <= sum(model.expected_bytes for model in models) < 29 * GB
    heavy = [file for model in models for file in model.files if file.expected_bytes > 2 * GB]
    assert len(heavy) == 3
    assert all("fp8" in file.path and file.sha256 is not None and file.bytes is not None for file in heavy)


@pytest.mark.parametrize("model_id", SETS)
def test_a_set_is_all_that_a_film_needs(model_id: str, catalogue: ModelCatalogue) -> None:
    speakers = "multi" if "multi" in model_id else "single"
    needed = {"base", speakers, "text_encoder", "image_encoder", "vae", "wav2vec2", "lightx2v", "fusionx"}
    assert roles(whole(catalogue, model_id)) == needed
    names = {file.path for model in whole(catalogue, model_id) for file in model.files}
    assert {"text_encoder/tokenizer.json", "text_encoder/tokenizer_config.json"} <= names


def test_a_second_speaker_costs_one_more_file(catalogue: ModelCatalogue) -> None:
    one = {file.path for model in whole(catalogue, "infinitetalk-single") for file in model.files}
    two = {file.path for model in whole(catalogue, "infinitetalk-multi") for file in model.files}
    assert len(two - one) == 1


@pytest.mark.parametrize(("model_id", "role"), [("1.3b", "t2v_1_3b"), ("14b", "t2v_14b")])
def test_text_to_video_is_whole_by_itself_and_shares_its_encoders(
    model_id: str, role: str, catalogue: ModelCatalogue
) -> None:
    models = whole(catalogue, f"infinitetalk-t2v-{model_id}")
    assert roles(models) == {role, "text_encoder", "vae"}
    encoders = {file.path: file for file in entry(catalogue, "infinitetalk-encoders").files}
    shared = [file for model in models for file in model.files if not file.path.startswith(role)]
    assert all(file == encoders[file.path] for file in shared)
