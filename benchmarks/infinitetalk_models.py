"""Random weights and inputs of InfiniteTalk's size, made where they are used: nothing is downloaded or copied.

The weights are drawn on the device in the type they are used in, so that the full model (18.88 billion
numbers, 35.2 GiB in bf16) never exists twice. Their scale keeps activations near one, as real weights do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from torch import nn

from workers.infinitetalk.config import (
    AUDIO_LAYERS,
    AUDIO_WIDTH,
    AUDIO_WINDOW,
    CONDITION_CHANNELS,
    IMAGE_TOKENS,
    LATENT_CHANNELS,
    MOTION,
    TEXT_TOKENS,
    VAE_SPACE,
    WINDOW,
    ModelConfig,
    latent_frames,
)
from workers.infinitetalk.encoders import VaeCodec
from workers.infinitetalk.transformer import InfiniteTalkTransformer
from workers.infinitetalk.weights.scaled_fp8 import ScaledFp8Linear, quantise
from workers.infinitetalk.weights.stream import empty


@dataclass(frozen=True)
class Scale:
    """What is measured: the published model, or one that a CPU runs in a second."""

    model: ModelConfig
    sizes: dict[str, tuple[int, int]]  # name -> height, width
    window: int
    motion: int
    vae: dict[str, Any]
    matrix: tuple[tuple[int, int, int], ...]
    dtype: torch.dtype


# Square pictures are the largest of each size: 33 600 and 75 600 tokens.
FULL = Scale(
    ModelConfig.full(),
    {"480p": (640, 640), "720p": (960, 960)},
    WINDOW,
    MOTION,
    {},
    ((8192, 8192, 8192), (16384, 5120, 13824)),
    torch.bfloat16,
)
TINY = Scale(
    ModelConfig(heads=2, layers=2, ffn_dim=512, text_dim=32, audio_hidden=16, audio_dim=32, audio_tokens=4),
    {"480p": (32, 32), "720p": (32, 48)},
    9,
    5,
    {"base_dim": 4, "num_res_blocks": 1},
    ((256, 256, 256),),
    torch.float32,
)


def _fill(model: nn.Module, dtype: torch.dtype, device: torch.device, fp32: tuple[str, ...]) -> None:
    """Give every parameter of a model made by `empty` random numbers on the device."""
    for path, module in model.named_modules():
        for leaf, parameter in module._parameters.items():
            if parameter is None:
                continue
            name = f"{path}.{leaf}"
            kind = torch.float32 if any(part in name for part in fp32) else dtype
            value = torch.empty(parameter.shape, dtype=kind, device=device)
            if value.ndim > 1:
                value.normal_(std=(value[0].numel()) ** -0.5)
            else:
                value.fill_(1.0 if leaf in ("weight", "gamma") else 0.0)
            module._parameters[leaf] = nn.Parameter(value, requires_grad=False)
        for leaf, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[leaf] = buffer.to(device)


def random_transformer(scale: Scale, device: torch.device) -> InfiniteTalkTransformer:
    """The transformer with random weights on the device."""
    torch.manual_seed(0)
    model = empty(lambda: InfiniteTalkTransformer(**scale.model.transformer_kwargs()))
    _fill(model, scale.dtype, device, tuple(InfiniteTalkTransformer._keep_in_fp32_modules))
    return model


def random_vae(scale: Scale, device: torch.device) -> VaeCodec:
    """The VAE, fp32 as the engine runs it, with random weights on the device."""
    torch.manual_seed(0)
    vae = empty(lambda: AutoencoderKLWan(**scale.vae))
    _fill(vae, torch.float32, device, ())
    return VaeCodec(vae)


def to_scaled_fp8(model: InfiniteTalkTransformer) -> None:
    """Keep the blocks' linear weights in fp8 with a scale a row, as `fp8` weight files are kept."""
    for block in model.blocks:
        for path, module in list(block.named_modules()):
            if type(module) is nn.Linear:
                owner, _, leaf = path.rpartition(".")
                setattr(block.get_submodule(owner), leaf, ScaledFp8Linear(module, *quantise(module.weight)))


def pass_inputs(scale: Scale, height: int, width: int, speakers: int, device: torch.device) -> dict[str, Any]:
    """Arguments of one pass."""
    torch.manual_seed(1)
    rows, columns, times = height // VAE_SPACE, width // VAE_SPACE, latent_frames(scale.window)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=device, dtype=scale.dtype)

    return {
        "hidden_states": noise(1, LATENT_CHANNELS + CONDITION_CHANNELS, times, rows, columns),
        "timestep": torch.tensor([800.0], device=device),
        "encoder_hidden_states": noise(1, TEXT_TOKENS, scale.model.text_dim),
        "encoder_hidden_states_image": noise(1, IMAGE_TOKENS, scale.model.image_dim),
        "audio": noise(speakers, scale.window, AUDIO_WINDOW, AUDIO_LAYERS, AUDIO_WIDTH),
        "ref_masks": None if speakers == 1 else half_masks(rows, columns).to(device),
    }


def half_masks(rows: int, columns: int) -> torch.Tensor:
    """(3, rows, columns): a person on the left, one on the right, the rest."""
    masks = torch.zeros(3, rows, columns)
    middle, edge = columns // 2, columns // 8
    high = slice(rows // 8, rows - rows // 8)
    masks[0, high, edge : middle - edge] = 1
    masks[1, high, middle + edge : columns - edge] = 1
    masks[2] = 1 - masks[0] - masks[1]
    return masks
