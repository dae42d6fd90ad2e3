"""Names: official to ours and back, with nothing lost and nothing changed."""

from __future__ import annotations

import pytest
import torch
from diffusers import WanTransformer3DModel
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

from tests.infinitetalk import tiny
from workers.handler import TaskError
from workers.infinitetalk.weights import mapping


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model."])
def test_names_go_there_and_back_and_every_bit_stays(prefix: str) -> None:
    official = tiny.official_weights()
    ours = mapping.official_to_ours({prefix + key: value for key, value in official.items()})
    back = mapping.ours_to_official(ours, prefix=prefix)
    assert list(back) == [prefix + key for key in official]
    for key, value in official.items():
        assert torch.equal(back[prefix + key].view(torch.uint8), value.view(torch.uint8))


def test_our_names_are_those_of_the_model_and_ours_stay_as_they_are() -> None:
    ours = mapping.official_to_ours(tiny.official_weights())
    assert set(ours) == set(tiny.tiny_model().state_dict())
    assert mapping.official_to_ours(ours) == ours


def test_the_published_names_are_those_of_the_official_model() -> None:
    published = [key for key, _ in tiny.loop_params()["dit"]]
    assert set(published) == set(mapping.official_names(3))
    assert len(mapping.audio_names(40)) == 330


def test_the_base_is_named_by_diffusers_own_converter() -> None:
    base, audio = mapping.split_audio(tiny.official_weights())
    stock = convert_wan_transformer_to_diffusers(dict(base))
    assert {key: id(value) for key, value in mapping.official_to_ours(base).items()} == {
        key: id(value) for key, value in stock.items()
    }
    with torch.device("meta"):
        arguments = tiny.TINY.transformer_kwargs()
        model = WanTransformer3DModel(
            **{key: value for key, value in arguments.items() if not key.startswith("audio_")}
        )
    assert set(stock) == set(model.state_dict())
    # What the stock converter would do to the audio keys is why they go round it.
    assert any("audio_attn2" in key for key in convert_wan_transformer_to_diffusers(dict(audio)))


def test_two_names_never_become_one() -> None:
    names = mapping.names_to_ours(mapping.official_names(40))
    assert len(set(names.values())) == len(names) == 1303 + 330


@pytest.mark.parametrize(
    "stranger", ["blocks.0.vace.weight", "blocks.0.self_attn.q.weight2", "audio_proj.proj9.bias"]
)
def test_a_name_of_another_model_is_refused(stranger: str) -> None:
    with pytest.raises(TaskError, match="image-to-video") as caught:
        mapping.official_to_ours({**tiny.official_weights(), stranger: torch.ones(1)})
    assert caught.value.code == "model_missing"
    assert stranger in caught.value.detail


def test_a_parameter_that_stands_there_twice_is_refused() -> None:
    twice = {"head.head.bias": 1, "model.diffusion_model.head.head.bias": 2}
    with pytest.raises(TaskError, match="twice"):
        mapping.official_to_ours(twice)
