"""Text, picture, video and speech encoders from the publishers' files, on tiny random models.

Where a class of transformers must mean what the official network means, the official network is written
out here from its parameter names, and both must agree.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from torch.nn import functional
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    UMT5Config,
    Wav2Vec2Config,
    Wav2Vec2Model,
)
from transformers.models.umt5.modeling_umt5 import UMT5Attention

from tests.infinitetalk import tiny, weight_files
from workers.handler import TaskError
from workers.infinitetalk.weights import encoders
from workers.infinitetalk.weights.scaled_fp8 import ScaledFp8Linear
from workers.infinitetalk.weights.stream import LoadPlan, LoadReport, empty

State = dict[str, torch.Tensor]

TEXT = UMT5Config(
    vocab_size=60, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu"
)
IMAGE = CLIPVisionConfig(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=3,
    num_attention_heads=4,
    patch_size=14,
    image_size=28,
    hidden_act="gelu",
)
SPEECH = Wav2Vec2Config(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    conv_dim=(16, 16),
    conv_stride=(5, 2),
    conv_kernel=(10, 3),
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=2,
)
VAE = {"base_dim": 8}  # as in the golden loop; everything else as published


def random_state(shapes: dict[str, tuple[int, ...]]) -> State:
    return {key: 0.3 * tiny.named_input(key, *shape) + ("norm" in key) for key, shape in shapes.items()}


def official_umt5() -> State:
    shapes: dict[str, tuple[int, ...]] = {"token_embedding.weight": (60, 32), "norm.weight": (32,)}
    for block in ("blocks.0", "blocks.1"):
        shapes |= {f"{block}.norm1.weight": (32,), f"{block}.norm2.weight": (32,)}
        shapes |= {f"{block}.attn.{letter}.weight": (32, 32) for letter in "qkvo"}
        shapes |= {f"{block}.ffn.gate.0.weight": (64, 32), f"{block}.ffn.fc1.weight": (64, 32)}
        shapes |= {f"{block}.ffn.fc2.weight": (32, 64), f"{block}.pos_embedding.embedding.weight": (32, 4)}
    return random_state(shapes)


def umt5_by_hand(state: State, ids: torch.Tensor) -> torch.Tensor:
    """The official encoder, (tokens,) -> (tokens, 32): RMS norms, unscaled attention, a gated GELU."""

    def norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight

    count = len(ids)
    distance = torch.arange(count)[None] - torch.arange(count)[:, None]
    bucket = UMT5Attention(TEXT)._relative_position_bucket(distance)
    x = state["token_embedding.weight"][ids]
    for block in ("blocks.0.", "blocks.1."):
        own = {key.removeprefix(block): value for key, value in state.items() if key.startswith(block)}
        y = norm(x, own["norm1.weight"])
        q, k, v = ((y @ own[f"attn.{letter}.weight"].T).view(count, 4, 8).transpose(0, 1) for letter in "qkv")
        bias = own["pos_embedding.embedding.weight"][bucket].permute(2, 0, 1)
        attended = ((q @ k.transpose(1, 2) + bias).softmax(-1) @ v).transpose(0, 1).reshape(count, 32)
        x = x + attended @ own["attn.o.weight"].T
        y = norm(x, own["norm2.weight"])
        gate = functional.gelu(y @ own["ffn.gate.0.weight"].T, approximate="tanh")
        x = x + (gate * (y @ own["ffn.fc1.weight"].T)) @ own["ffn.fc2.weight"].T
    return norm(x, state["norm.weight"])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_umt5_under_its_official_names_is_the_official_encoder(suffix: str, tmp_path: Path) -> None:
    state = official_umt5()
    path = tmp_path / f"models_t5{suffix}"
    torch.save(state, path) if suffix == ".pth" else weight_files.save(state, path)
    model = encoders.load_text_encoder(path, torch.float32, "cpu", config=TEXT)
    ids = torch.tensor([3, 17, 59, 0, 8, 8, 21])
    with torch.no_grad():
        got = model(ids[None]).last_hidden_state[0]
    assert torch.allclose(got, umt5_by_hand(state, ids), atol=1e-5)
    assert model.encoder.embed_tokens.weight is model.shared.weight


def comfy_umt5(state: State) -> State:
    """ComfyUI's repack: transformers' names, fp8 with scales, and the tokenizer as bytes."""
    made: State = {
        "spiece_model": torch.zeros(100, dtype=torch.uint8),
        "scaled_fp8": torch.zeros(2).to(weight_files.FP8),
    }
    names = encoders.umt5(dict.fromkeys(state, None))  # type: ignore[arg-type]
    for key, name in zip(state, names, strict=True):
        value = state[key]
        if ".layer." in name and value.ndim == 2 and "bias" not in name:
            scale = value.abs().max() / 448
            made |= {
                name: (value / scale).to(weight_files.FP8),
                name.replace(".weight", ".scale_weight"): scale,
            }
            made[name.replace(".weight", ".scale_input")] = torch.ones(())
        else:
            made[name] = value.to(torch.float16)
    return made


def test_umt5_in_fp8_with_scales_stays_fp8_and_close(tmp_path: Path) -> None:
    state = official_umt5()
    path = weight_files.save(comfy_umt5(state), tmp_path / "umt5_xxl_fp8_e4m3fn_scaled.safetensors")
    reports: list[LoadReport] = []
    kept = encoders.load_text_encoder(path, torch.float32, "cpu", config=TEXT, on_report=reports.append)
    full = encoders.load_text_encoder(path, torch.float32, "cpu", config=TEXT, plan=LoadPlan("full"))
    ids = torch.tensor([3, 17, 59, 0, 8, 8, 21])
    with torch.no_grad():
        got, dequantised = kept(ids[None]).last_hidden_state[0], full(ids[None]).last_hidden_state[0]
    wanted = umt5_by_hand(state, ids)
    assert torch.allclose(got, dequantised, atol=1e-5)
    assert 0 < (got - wanted).norm() / wanted.norm() < 0.2  # 3 bits of mantissa, logits of 10
    assert reports[0].storage == "fp8"
    assert isinstance(kept.encoder.block[0].layer[0].SelfAttention.q, ScaledFp8Linear)
    # transformers casts this layer's input to its weight's type: fp8 would be noise.
    assert kept.encoder.block[0].layer[1].DenseReluDense.wo.weight.dtype == torch.float32


def test_umt5_runs_in_bf16(tmp_path: Path) -> None:
    path = weight_files.save(comfy_umt5(official_umt5()), tmp_path / "t5.safetensors")
    model = encoders.load_text_encoder(path, torch.bfloat16, "cpu", config=TEXT)
    with torch.no_grad():
        assert model(torch.tensor([[3, 17]])).last_hidden_state.dtype == torch.bfloat16


def official_clip() -> State:
    shapes: dict[str, tuple[int, ...]] = {
        "log_scale": (),
        "visual.cls_embedding": (1, 1, 32),
        "visual.pos_embedding": (1, 5, 32),
        "visual.head": (32, 8),
        "visual.patch_embedding.weight": (32, 3, 14, 14),
        "textual.token_embedding.weight": (50, 32),
        "textual.blocks.0.attn.q.weight": (32, 32),
    }
    for name in ("visual.pre_norm", "visual.post_norm"):
        shapes |= {f"{name}.weight": (32,), f"{name}.bias": (32,)}
    for block in (f"visual.transformer.{index}" for index in range(3)):
        for name, rows, columns in (
            ("attn.to_qkv", 96, 32),
            ("attn.proj", 32, 32),
            ("mlp.0", 64, 32),
            ("mlp.2", 32, 64),
        ):
            shapes |= {f"{block}.{name}.weight": (rows, columns), f"{block}.{name}.bias": (rows,)}
        for name in ("norm1", "norm2"):
            shapes |= {f"{block}.{name}.weight": (32,), f"{block}.{name}.bias": (32,)}
    return random_state(shapes)


def clip_by_hand(state: State, pixels: torch.Tensor, layers: int) -> torch.Tensor:
    """The official vision tower after `layers` blocks, (1, 3, 28, 28) -> (5, 32)."""
    state = {key.removeprefix("visual."): value for key, value in state.items()}

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(x, (32,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-5)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    patches = functional.conv2d(pixels, state["patch_embedding.weight"], stride=14).flatten(2)[0].T
    x = norm(torch.cat([state["cls_embedding"][0], patches]) + state["pos_embedding"][0], "pre_norm")
    for block in (f"transformer.{index}" for index in range(layers)):
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.to_qkv").view(5, 3, 4, 8)
        q, k, v = qkv.permute(1, 2, 0, 3)
        attended = (q @ k.transpose(1, 2) / math.sqrt(8)).softmax(-1) @ v
        x = x + linear(attended.transpose(0, 1).reshape(5, 32), f"{block}.attn.proj")
        x = x + linear(functional.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.0")), f"{block}.mlp.2")
    return x


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_clip_with_joined_query_key_and_value_is_the_official_tower(suffix: str, tmp_path: Path) -> None:
    state = official_clip()
    path = tmp_path / f"models_clip{suffix}"
    torch.save(state, path) if suffix == ".pth" else weight_files.save(state, path)
    model = encoders.load_image_encoder(path, torch.float32, "cpu", config=IMAGE)
    pixels = tiny.named_input("pixels", 1, 3, 28, 28)
    with torch.no_grad():
        got = model(pixels, output_hidden_states=True).hidden_states
    assert torch.allclose(got[-2][0], clip_by_hand(state, pixels, 2), atol=1e-5)
    assert torch.allclose(got[-1][0], clip_by_hand(state, pixels, 3), atol=1e-5)
    # Three parameters of one tensor: none keeps the others' memory alive.
    weight = model.get_parameter(
        next(name for name, _ in model.named_parameters() if "q_proj.weight" in name)
    )
    assert weight.untyped_storage().nbytes() == 4 * weight.numel()


def test_clip_under_transformers_names_with_and_without_their_prefix(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = CLIPVisionModel(IMAGE).eval()
    bare = {key.removeprefix("vision_model."): value for key, value in original.state_dict().items()}
    extra = {
        "visual_projection.weight": torch.ones(8, 32),
        "vision_model.embeddings.position_ids": torch.arange(5)[None],
    }
    for prefix in ("", "vision_model."):
        state = {prefix + key: value for key, value in bare.items()} | extra
        path = weight_files.save(state, tmp_path / "clip_vision_h.safetensors")
        model = encoders.load_image_encoder(path, torch.float32, "cpu", config=IMAGE)
        pixels = tiny.named_input("pixels", 1, 3, 28, 28)
        with torch.no_grad():
            assert torch.equal(model(pixels).last_hidden_state, original(pixels).last_hidden_state)


def test_the_vae_is_the_one_that_diffusers_converter_makes(tmp_path: Path) -> None:
    state = tiny.loop_weights("vae")
    original = AutoencoderKLWan(**VAE).eval()
    converted = convert_wan_vae_to_diffusers(dict(state))
    original.load_state_dict(converted)
    video = tiny.named_input("video", 1, 3, 5, 16, 24)
    pickled = tmp_path / "Wan2.1_VAE.pth"
    torch.save(state, pickled)
    paths = [
        pickled,
        weight_files.save(state, tmp_path / "wan_2.1_vae.safetensors"),
        weight_files.save(converted, tmp_path / "diffusion_pytorch_model.safetensors"),
    ]
    with torch.no_grad():
        wanted = original.encode(video).latent_dist.mode()
        for path in paths:
            model = encoders.load_vae(path, torch.float32, "cpu", config=VAE)
            assert torch.equal(model.encode(video).latent_dist.mode(), wanted)
        assert torch.equal(model.decode(wanted).sample, original.decode(wanted).sample)


def speech_state(original: Wav2Vec2Model) -> State:
    """As a model for pre-training is published: a prefix, the older names of the weight norm, more heads."""
    state = {
        "wav2vec2."
        + key.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for key, value in original.state_dict().items()
        if key != "masked_spec_embed"
    }
    return state | {"quantizer.codevectors": torch.ones(1, 4, 4), "project_q.weight": torch.ones(4, 4)}


@pytest.mark.parametrize("form", ["pre-training", "pickle", "plain"])
def test_wav2vec2_in_each_of_its_forms(form: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = Wav2Vec2Model(SPEECH).eval()
    if form == "pickle":
        path = tmp_path / "pytorch_model.bin"
        torch.save(speech_state(original), path)
    else:
        state = speech_state(original) if form == "pre-training" else dict(original.state_dict())
        path = weight_files.save(state, tmp_path / "model.safetensors")
    SPEECH.to_json_file(tmp_path / "config.json", use_diff=False)
    model = encoders.load_audio_encoder(path, torch.float32, "cpu")
    sound = tiny.named_input("sound", 1, 800)
    with torch.no_grad():
        got = model(sound, output_hidden_states=True).hidden_states
        wanted = original(sound, output_hidden_states=True).hidden_states
    assert len(got) == 3
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))


def test_an_encoder_with_a_part_missing_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    state = official_umt5()
    del state["blocks.1.attn.k.weight"]
    path = weight_files.save(state, tmp_path / "t5.safetensors")
    with pytest.raises(TaskError, match="not complete") as caught:
        encoders.load_text_encoder(path, torch.float32, "cpu", config=TEXT)
    assert "encoder.block.1.layer.0.SelfAttention.k.weight" in caught.value.detail
    with pytest.raises(TaskError, match="not complete"):
        encoders.load_image_encoder(path, torch.float32, "cpu", config=IMAGE)
    wide = weight_files.save(official_umt5() | {"norm.weight": torch.ones(64)}, tmp_path / "wide.safetensors")
    with pytest.raises(TaskError, match="another size"):
        encoders.load_text_encoder(wide, torch.float32, "cpu", config=TEXT)


def test_the_published_sizes_are_those_of_the_default_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters by shape alone: nothing is loaded."""
    counts: list[int] = []

    class Built(Exception): ...

    def build(make: object) -> None:
        model = empty(make)  # type: ignore[arg-type]
        tied = "encoder.embed_tokens.weight"
        counts.append(sum(value.numel() for name, value in model.named_parameters() if name != tied))
        raise Built

    monkeypatch.setattr(encoders, "empty", build)
    for load in (
        encoders.load_text_encoder,
        encoders.load_image_encoder,
        encoders.load_vae,
        encoders.load_audio_encoder,
    ):
        with pytest.raises(Built):
            load(Path("nowhere.safetensors"), torch.float32, "cpu")
    assert [round(count / 1e9, 2) for count in counts[:2]] == [5.68, 0.63]
    assert [round(count / 1e6) for count in counts[2:]] == [127, 94]
