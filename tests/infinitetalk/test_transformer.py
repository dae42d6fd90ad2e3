"""The transformer against the official implementation's numbers, and against diffusers' own model."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import FirstBlockCacheConfig, WanTransformer3DModel
from diffusers.hooks import apply_group_offloading

from tests.infinitetalk.tiny import TINY, golden, tiny_inputs, tiny_model
from workers.infinitetalk.config import ModelConfig
from workers.infinitetalk.timestep import Fp64Timesteps
from workers.infinitetalk.transformer import InfiniteTalkTransformer
from workers.infinitetalk.weights.mapping import is_audio_key

pytestmark = pytest.mark.usefixtures("no_gradients")

CASES = {
    "one": {},
    "one_t2": {"timestep": 2.0},
    "two": {"speakers": 2},
    "null": {"null": True},
}


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.mark.parametrize("case", CASES)
def test_velocity_is_the_official_one(model, case):
    velocity = model(**tiny_inputs(**CASES[case]))
    assert velocity.shape == (1, 16, 4, 8, 12)
    torch.testing.assert_close(velocity[0], golden()[f"dit/{case}"], rtol=0, atol=1e-5)


def test_audio_and_masks_change_the_picture(model):
    """Guards the tests above: a model that ignored its audio would be far off."""
    one, null = model(**tiny_inputs()), model(**tiny_inputs(null=True))
    assert (one - null).abs().max() > 1
    two = tiny_inputs(speakers=2)
    straight = model(**two)
    swapped = model(**{**two, "ref_masks": two["ref_masks"][[1, 0, 2]]})
    assert (straight - swapped).abs().max() > 0.1


def test_masks_do_not_count_with_one_speaker(model):
    masks = tiny_inputs(speakers=2)["ref_masks"]
    assert torch.equal(model(**tiny_inputs()), model(**{**tiny_inputs(), "ref_masks": masks}))


def test_without_audio_it_is_the_stock_model_exactly(model):
    stock = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=128,
        in_channels=36,
        text_dim=32,
        ffn_dim=512,
        num_layers=2,
        image_dim=1280,
        added_kv_proj_dim=256,
    ).eval()
    stock.condition_embedder.timesteps_proj = Fp64Timesteps(256)
    stock.load_state_dict({key: value for key, value in model.state_dict().items() if not is_audio_key(key)})
    inputs = {**tiny_inputs(), "audio": None}
    expected = stock(
        **{key: value for key, value in inputs.items() if key not in ("audio", "ref_masks")},
        return_dict=False,
    )[0]
    assert torch.equal(model(**inputs), expected)
    # In bf16 the two round at the same places too.
    half = torch.bfloat16
    lean, thick = tiny_model().to(half), stock.to(half)
    inputs = {k: v.to(half) if k != "timestep" and v is not None else v for k, v in inputs.items()}
    base = {key: value for key, value in inputs.items() if key not in ("audio", "ref_masks")}
    assert torch.equal(lean(**inputs), thick(**base, return_dict=False)[0])


def test_saving_keeps_the_configuration_and_fp32(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert config["_class_name"] == "InfiniteTalkTransformer"
    for name, value in TINY.transformer_kwargs().items():
        assert config[name] == value, name
    assert set(config) == {*TINY.transformer_kwargs(), "eps", "_class_name", "_diffusers_version"}
    again = InfiniteTalkTransformer.from_pretrained(tmp_path)
    assert len(again.blocks) == 2
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    # Not to the last bit: where a weight lies in memory decides the order in which it is added up.
    torch.testing.assert_close(again(**tiny_inputs()), model(**tiny_inputs()), rtol=0, atol=1e-5)
    half = InfiniteTalkTransformer.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    kinds = {name: value.dtype for name, value in half.named_parameters()}
    kept = ("time_embedder", "scale_shift_table", "norm1", "norm2", "norm3", "norm_x")
    for name, kind in kinds.items():
        assert kind == (torch.float32 if any(part in name for part in kept) else torch.bfloat16), name
    inputs = {k: v.bfloat16() if k == "hidden_states" else v for k, v in tiny_inputs().items()}
    velocity = half(**inputs)
    assert velocity.dtype == torch.bfloat16
    assert (velocity[0].float() - golden()["dit/one"]).pow(2).mean().sqrt() < 0.1


def test_attention_backends_agree(model):
    reached = []
    for backend in ("native", "_native_math", "flex"):
        model.set_attention_backend(backend)
        for block in model.blocks:
            for part in (block.attn1, block.attn2, block.audio_cross_attn):
                assert part.processor._attention_backend == backend
        reached.append([model(**tiny_inputs()), model(**tiny_inputs(speakers=2))])
    model.set_attention_backend("native")
    for one, two in reached[1:]:
        torch.testing.assert_close(one, reached[0][0], rtol=0, atol=1e-5)
        torch.testing.assert_close(two, reached[0][1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["block_level", "leaf_level"])
def test_group_offload_changes_nothing(kind):
    model, plain = tiny_model(), tiny_model()(**tiny_inputs(speakers=2))
    options = {"num_blocks_per_group": 1} if kind == "block_level" else {}
    apply_group_offloading(
        model,
        onload_device=torch.device("cpu"),
        offload_device=torch.device("cpu"),
        offload_type=kind,
        **options,
    )
    assert torch.equal(model(**tiny_inputs(speakers=2)), plain)


def test_first_block_cache_finds_the_blocks():
    model = tiny_model()
    plain = {"cond": model(**tiny_inputs()), "null": model(**tiny_inputs(null=True))}
    model.enable_cache(FirstBlockCacheConfig(threshold=0.01))
    seen = []
    model.blocks[1].ffn.register_forward_hook(lambda *_: seen.append(1))
    for name, inputs in (("cond", tiny_inputs()), ("null", tiny_inputs(null=True))) * 2:
        with model.cache_context(name):
            torch.testing.assert_close(model(**inputs), plain[name], rtol=0, atol=1e-5)
    # The second round found each branch unchanged and left out the last block.
    assert len(seen) == 2


def test_what_runs_around_the_blocks_sees_equal_shapes(model):
    seen = {}

    def around(tokens, temb, projection, run):
        out = run(tokens)
        seen.update(entering=tokens.shape, leaving=out.shape, temb=temb.shape, projection=projection.shape)
        return out

    plain = model(**tiny_inputs())
    assert torch.equal(model(**tiny_inputs(), around_blocks=around), plain)
    assert seen["entering"] == seen["leaving"] == (1, 96, 256)
    assert (seen["temb"], seen["projection"]) == ((1, 256), (1, 6, 256))
    assert torch.equal(model(**tiny_inputs(), return_dict=True).sample, plain)


def test_short_text_is_filled_up_with_zeros(model):
    inputs = tiny_inputs()
    short = {**inputs, "encoder_hidden_states": inputs["encoder_hidden_states"][:, :37]}
    assert torch.equal(model(**short), model(**inputs))


def test_what_cannot_be_is_refused(model):
    two = tiny_inputs(speakers=2)
    with pytest.raises(ValueError, match="who is where"):
        model(**{**two, "ref_masks": None})
    with pytest.raises(ValueError, match="3 latent frames for a picture of 4"):
        model(**{**tiny_inputs(), "audio": two["audio"][:1, :9]})
    pair = {**tiny_inputs(), "hidden_states": tiny_inputs()["hidden_states"].repeat(2, 1, 1, 1, 1)}
    with pytest.raises(ValueError, match="one sample at a time"):
        model(**pair)


def test_layerwise_fp8_leaves_the_small_weights_alone():
    model = tiny_model().to(torch.bfloat16)
    model.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    for name, value in model.named_parameters():
        kept = any(part in name for part in ("audio_proj", "norm", "table", "condition", "patch_embedding"))
        kept |= name.startswith("proj_out.")  # diffusers leaves the last layer alone, too
        assert (value.dtype == torch.float8_e4m3fn) is not kept, name
    inputs = {k: v.bfloat16() if k == "hidden_states" else v for k, v in tiny_inputs(speakers=2).items()}
    assert model(**inputs).isfinite().all()


def test_the_full_model_has_the_published_size():
    with torch.device("meta"):
        model = InfiniteTalkTransformer(**ModelConfig.full().transformer_kwargs())
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    added = {name: size for name, size in sizes.items() if is_audio_key(name)}
    assert (len(added), sum(added.values())) == (330, 2_487_168_000)
    assert sum(sizes.values()) - sum(added.values()) == 16_394_878_784


def test_the_timestep_is_exact_near_the_noisy_end():
    angles = torch.tensor([999.0], dtype=torch.float64) * 10000.0 ** (-torch.arange(128).double() / 128)
    expected = torch.cat([angles.cos(), angles.sin()]).float()
    assert torch.equal(Fp64Timesteps(256)(torch.tensor([999.0]))[0], expected)
