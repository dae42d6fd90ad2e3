"""Tiny checkpoints in every format that the weights of Wan and InfiniteTalk are published in.

Each writer takes official keys with fp32 weights, and writes what the real publisher would have written;
the names of the scales in `fp8_scaled` files are not verified against published files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import gguf
import torch
from gguf import quants
from safetensors.torch import save_file

from tests.infinitetalk import tiny
from workers.infinitetalk.config import ModelConfig
from workers.infinitetalk.weights.mapping import is_audio_key, official_to_ours, split_audio

State = Mapping[str, torch.Tensor]
FP8 = torch.float8_e4m3fn

# Smaller than the golden model wherever the dimensions are free: 400 thousand numbers.
SMALL = ModelConfig(
    heads=2,
    head_dim=32,
    layers=2,
    ffn_dim=128,
    text_dim=32,
    image_dim=64,
    audio_layers=2,
    audio_width=32,
    audio_hidden=16,
    audio_dim=32,
    audio_tokens=4,
)


@cache
def small_weights() -> dict[str, torch.Tensor]:
    """Official key -> fp32 weights of the small model; not to be changed."""
    return tiny.official_weights(SMALL)


def small_model() -> torch.nn.Module:
    return tiny.build(SMALL, small_weights())


def velocity(model: torch.nn.Module) -> torch.Tensor:
    """What the small model makes of two latent frames of 8 x 8, one speaker."""
    inputs = {
        "hidden_states": tiny.named_input("x", 1, 36, 2, 8, 8),
        "timestep": torch.tensor([637.5]),
        "encoder_hidden_states": tiny.named_input("text", 1, 512, SMALL.text_dim),
        "encoder_hidden_states_image": tiny.named_input("clip", 1, 257, SMALL.image_dim),
        "audio": tiny.named_input("audio", 1, 5, 5, SMALL.audio_layers, SMALL.audio_width),
    }
    with torch.no_grad():
        return model(**inputs, ref_masks=None, return_dict=False)[0].float()


def save(state: State, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def halves(state: State) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    return split_audio(state)


def write_shards(state: State, folder: Path, count: int = 3) -> Path:
    """`diffusion_pytorch_model-0000k-of-0000n.safetensors` and their index."""
    keys = list(state)
    table = {}
    for number in range(count):
        name = f"diffusion_pytorch_model-{number + 1:05d}-of-{count:05d}.safetensors"
        own = keys[number::count]
        save({key: state[key] for key in own}, folder / name)
        table.update(dict.fromkeys(own, name))
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": table}), "utf-8")
    return folder


def scaled(
    state: State, suffix: str = ".scale_weight", shape: tuple[int, ...] = ()
) -> dict[str, torch.Tensor]:
    """Linear weights of the blocks as fp8 with a scale a tensor, the rest fp16."""
    made: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        if key.endswith(".weight") and value.ndim == 2 and ".blocks." in f".{key}":
            scale = value.abs().max() / 448
            made[key] = (value / scale).to(FP8)
            made[key.removesuffix(".weight") + suffix] = scale.reshape(shape)
        else:
            made[key] = value if is_audio_key(key) else value.to(torch.float16)
    return made


def cast(state: State, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """2-D weights in `dtype`, everything else in fp32, as repackers do it for fp16 and fp8."""
    return {key: value.to(dtype) if value.ndim >= 2 else value for key, value in state.items()}


def prefixed(state: State, prefix: str = "model.diffusion_model.") -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


def write_gguf(state: State, path: Path, kind: gguf.GGMLQuantizationType) -> Path:
    """Block weights quantised, the rest fp32; five dimensions are folded into four, as GGUF wants."""
    writer = gguf.GGUFWriter(path, "wan")
    for key, value in state.items():
        array = value.float().numpy()
        if array.ndim > 4:
            array = array.reshape(*array.shape[:3], -1)
        if array.ndim == 2 and key.startswith("blocks.") and array.shape[1] % 32 == 0:
            writer.add_tensor(key, quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(key, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_diffusers(state: State, folder: Path) -> Path:
    """A pipeline's folder: the transformer below `transformer`, with diffusers' names."""
    write_shards(official_to_ours(state), folder / "transformer", 2)
    return folder


def official(state: State, folder: Path) -> list[Path]:
    base, audio = halves(state)
    return [write_shards(base, folder / "base"), save(audio, folder / "infinitetalk.safetensors")]


def diffusers(state: State, folder: Path) -> list[Path]:
    base, audio = halves(state)
    return [write_diffusers(base, folder / "base"), save(audio, folder / "infinitetalk.safetensors")]


def comfy(dtype: torch.dtype) -> Callable[[State, Path], list[Path]]:
    def write(state: State, folder: Path) -> list[Path]:
        base, audio = halves(state)
        return [
            save(prefixed(cast(base, dtype)), folder / "wan2.1_i2v.safetensors"),
            save(cast(audio, torch.float16), folder / "infiniteTalk_fp16.safetensors"),
        ]

    return write


def comfy_scaled(state: State, folder: Path) -> list[Path]:
    base, audio = halves(state)
    mark = {"scaled_fp8": torch.empty(2).to(FP8)}
    return [
        save(prefixed(scaled(base) | mark), folder / "wan2.1_i2v_fp8_scaled.safetensors"),
        save(scaled(audio, shape=(1,)) | mark, folder / "InfiniteTalk_fp8_e4m3fn_scaled_KJ.safetensors"),
    ]


def comfy_scaled_new(state: State, folder: Path) -> list[Path]:
    """The newer spelling, with the scales of activations that nobody here uses."""
    base, audio = halves(state)
    base = scaled(base, ".weight_scale")
    unused = {
        key.replace(".weight_scale", ".input_scale"): torch.ones(()) for key in base if key.endswith("_scale")
    }
    return [save(base | unused, folder / "wan.safetensors"), save(audio, folder / "audio.safetensors")]


def gguf_q8(state: State, folder: Path) -> list[Path]:
    base, audio = halves(state)
    folder.mkdir(parents=True, exist_ok=True)
    kind = gguf.GGMLQuantizationType.Q8_0
    return [
        write_gguf(base, folder / "wan-Q8_0.gguf", kind),
        write_gguf(audio, folder / "audio-Q8_0.gguf", kind),
    ]
