"""LoRAs do to the model what their arithmetic says, at every strength, and leave no trace behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.infinitetalk import tiny, weight_files
from tests.infinitetalk.weight_files import SMALL, small_model, small_weights, velocity
from workers.handler import TaskError
from workers.infinitetalk.weights.lora import LoraFile, apply_lora, merging, read_lora
from workers.infinitetalk.weights.mapping import official_to_ours
from workers.infinitetalk.weights.stream import LoadPlan, load_transformer

State = dict[str, torch.Tensor]


def lora_state(*, alpha: bool, rank: int = 4, halves: tuple[str, str] = ("lora_down", "lora_up")) -> State:
    """In the manner of lightx2v: every linear layer low-rank, norms and biases whole; FusionX has alphas."""
    state: State = {}
    for number, (key, value) in enumerate(small_weights().items()):
        layer = key.removesuffix(".weight")
        if "audio" in key or "norm_x" in key or key.startswith("patch_embedding"):
            continue
        own = rank + number % 3  # ranks differ between layers
        if key.endswith(".weight") and value.ndim == 2:
            state[f"{layer}.{halves[0]}.weight"] = 0.05 * tiny.named_input(key + "down", own, value.shape[1])
            state[f"{layer}.{halves[1]}.weight"] = 0.05 * tiny.named_input(key + "up", value.shape[0], own)
            if alpha:
                state[f"{layer}.alpha"] = torch.tensor(own / 2 + number % 5)
        elif key.endswith(".weight"):
            state[f"{layer}.diff"] = 0.05 * tiny.named_input(key + "diff", *value.shape)
        elif key.endswith(".bias"):
            state[f"{key.removesuffix('.bias')}.diff_b"] = 0.05 * tiny.named_input(
                key + "diff_b", *value.shape
            )
        else:
            state[f"{key}.diff"] = 0.05 * tiny.named_input(key + "diff", *value.shape)
    return {f"diffusion_model.{key}": value for key, value in state.items()}


def merged(lora: State, strength: float) -> State:
    """Official weights with the LoRA added by hand, in fp64."""
    weights = {key: value.double() for key, value in small_weights().items()}
    plain = {key.removeprefix("diffusion_model."): value.double() for key, value in lora.items()}
    for key, value in plain.items():
        layer, _, part = key.rpartition(".")
        if part == "diff":
            target = layer if layer in weights else f"{layer}.weight"
            weights[target] = weights[target] + strength * value
        elif part == "diff_b":
            weights[f"{layer}.bias"] = weights[f"{layer}.bias"] + strength * value
        elif key.endswith((".lora_up.weight", ".lora_B.weight")):
            stem, up, _ = key.rsplit(".", 2)
            down = plain[f"{stem}.{'lora_down' if up == 'lora_up' else 'lora_A'}.weight"]
            factor = plain[f"{stem}.alpha"] / down.shape[0] if f"{stem}.alpha" in plain else 1.0
            weights[f"{stem}.weight"] = weights[f"{stem}.weight"] + strength * factor * value @ down
    return {key: value.float() for key, value in weights.items()}


def written(state: State, folder: Path) -> LoraFile:
    return read_lora(weight_files.save(state, folder / "lora.safetensors"))


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


def bits(model: torch.nn.Module) -> State:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("strength", [1.0, 0.7])
def test_a_lora_is_the_arithmetic_merge(alpha: bool, strength: float, tmp_path: Path) -> None:
    state = lora_state(alpha=alpha)
    model = small_model()
    before = velocity(model)
    adapter = apply_lora(model, written(state, tmp_path), strength=strength)
    wanted = velocity(tiny.build(SMALL, merged(state, strength)))
    assert adapter.skipped == ()
    assert relative(velocity(model), wanted) <= 1e-5
    assert relative(before, wanted) > 0.05  # it does change the picture


def test_the_other_names_of_the_halves_mean_the_same(tmp_path: Path) -> None:
    state = lora_state(alpha=False, halves=("lora_A", "lora_B"))
    model = small_model()
    apply_lora(model, written(state, tmp_path))
    assert relative(velocity(model), velocity(tiny.build(SMALL, merged(state, 1.0)))) <= 1e-5


@pytest.mark.parametrize("only", [".diff", ".diff_b", "weight"])
def test_each_kind_of_change_counts(only: str, tmp_path: Path) -> None:
    """Norms' `.diff` are what diffusers drops."""
    state = {key: value for key, value in lora_state(alpha=False).items() if key.endswith(only)}
    model = small_model()
    before = velocity(model)
    apply_lora(model, written(state, tmp_path))
    wanted = velocity(tiny.build(SMALL, merged(state, 1.0)))
    assert relative(velocity(model), wanted) <= 1e-5
    assert relative(before, wanted) > 1e-3


@pytest.mark.parametrize("strength", [1.0, 0.7])
def test_a_lora_merged_while_loading_is_the_same(strength: float, tmp_path: Path) -> None:
    state = lora_state(alpha=True)
    paths = weight_files.official(small_weights(), tmp_path)
    change = merging([(written(state, tmp_path), strength)])
    model = load_transformer(SMALL, paths, torch.float32, "cpu", change=change)
    for name, wanted in official_to_ours(merged(state, strength)).items():
        assert torch.allclose(model.state_dict()[name], wanted, rtol=1e-5, atol=1e-6), name


def test_the_strength_changes_and_removal_restores_every_bit(tmp_path: Path) -> None:
    state = lora_state(alpha=True)
    model = small_model()
    before, velocity_before = bits(model), velocity(model)
    adapter = apply_lora(model, written(state, tmp_path), strength=1.0)
    adapter.set_strength(0.3)
    assert relative(velocity(model), velocity(tiny.build(SMALL, merged(state, 0.3)))) <= 1e-5
    adapter.set_strength(0.0)
    assert relative(velocity(model), velocity_before) <= 1e-6
    adapter.remove()
    after = bits(model)
    assert set(after) == set(before)
    assert all(torch.equal(after[name].view(torch.uint8), before[name].view(torch.uint8)) for name in before)
    assert torch.equal(velocity(model), velocity_before)


def test_one_after_the_other_and_two_at_once(tmp_path: Path) -> None:
    first, second = lora_state(alpha=True), lora_state(alpha=False, rank=2)
    model = small_model()
    one = apply_lora(model, written(first, tmp_path), name="one")
    wanted = velocity(model)
    one.remove()
    two = apply_lora(model, written(second, tmp_path), name="two")
    assert relative(velocity(model), velocity(tiny.build(SMALL, merged(second, 1.0)))) <= 1e-5
    two.remove()
    apply_lora(model, written(first, tmp_path), name="one")
    assert torch.equal(velocity(model), wanted)


@pytest.mark.parametrize("storage", ["fp8", "int8", "gguf"])
def test_a_lora_lies_on_quantised_weights(storage: str, tmp_path: Path) -> None:
    writer = weight_files.gguf_q8 if storage == "gguf" else weight_files.official
    paths = writer(small_weights(), tmp_path)
    plan = LoadPlan(storage)  # type: ignore[arg-type]
    model = load_transformer(SMALL, paths, torch.float32, "cpu", plan)
    before = velocity(model)
    state = lora_state(alpha=False)
    adapter = apply_lora(model, written(state, tmp_path))
    wanted = velocity(tiny.build(SMALL, merged(state, 1.0)))
    exact = velocity(small_model())
    # No further from the merge than the quantised model is from the exact one.
    assert (velocity(model) - wanted).norm() <= 1.5 * (before - exact).norm()
    adapter.remove()
    assert torch.equal(velocity(model), before)


def test_a_whole_change_of_another_shape_is_left_out_and_named(tmp_path: Path) -> None:
    state = {
        "diffusion_model.patch_embedding.diff": torch.ones(64, 16, 1, 2, 2),
        "diffusion_model.blocks.0.norm3.diff": torch.ones(64),
    }
    adapter = apply_lora(small_model(), written(state, tmp_path))
    assert adapter.skipped == ("patch_embedding.weight",)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"diffusion_model.blocks.0.self_attn.q.lora_down.weight": torch.ones(2, 64)}, "damaged"),
        (
            {
                "diffusion_model.blocks.0.self_attn.q.lora_down.weight": torch.ones(2, 64),
                "diffusion_model.blocks.0.self_attn.q.lora_up.weight": torch.ones(64, 3),
            },
            "damaged",
        ),
        ({"lora_unet_blocks_0_self_attn_q.lora_down.weight": torch.ones(2, 64)}, "does not belong"),
        ({"diffusion_model.double_blocks.0.diff": torch.ones(2)}, "does not belong"),
        ({"blocks.0.self_attn.q.weight": torch.ones(64, 64)}, "not supported"),
        ({}, "not supported"),
    ],
)
def test_a_file_that_is_no_lora_of_this_model_is_refused(state: State, words: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=words) as caught:
        written(state, tmp_path)
    assert caught.value.code == "model_missing"


def test_a_lora_of_another_size_is_refused_and_nothing_changed(tmp_path: Path) -> None:
    state = {
        "diffusion_model.blocks.0.norm3.diff": torch.ones(64),
        "diffusion_model.blocks.0.self_attn.q.lora_down.weight": torch.ones(2, 128),
        "diffusion_model.blocks.0.self_attn.q.lora_up.weight": torch.ones(128, 2),
    }
    model = small_model()
    before = bits(model)
    with pytest.raises(TaskError, match="another size"):
        apply_lora(model, written(state, tmp_path))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
