"""Tiny models and inputs made from names, and the official implementation's numbers to hold them against.

The rules are those of tests/fixtures/infinitetalk/README.md. Shapes: T latent frames, H x W latent
pixels, F = 4 (T - 1) + 1 pixel frames, P speakers.
"""

from __future__ import annotations

import json
import math
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from workers.infinitetalk.config import ModelConfig
from workers.infinitetalk.transformer import InfiniteTalkTransformer
from workers.infinitetalk.weights.mapping import official_to_ours, ours_to_official

FIXTURES = Path(__file__).parent.parent / "fixtures" / "infinitetalk"

TINY = ModelConfig(heads=2, layers=2, ffn_dim=512, text_dim=32, audio_hidden=16, audio_dim=32, audio_tokens=4)
TINY_LOOP = ModelConfig(
    heads=2, layers=3, ffn_dim=512, text_dim=64, audio_hidden=32, audio_dim=48, audio_tokens=8
)
LOOP_SEEDS = {"dit": 0, "vae": 11, "clip": 12}

FRAMES, HEIGHT, WIDTH = 4, 8, 12
PIXEL_FRAMES = 13


@cache
def golden() -> dict[str, torch.Tensor]:
    """Outputs of the parts: `dit/*`, `audio_proj/two`, `refmap`, `apg`, `colour/*`, `timesteps/*`."""
    return load_file(FIXTURES / "infinitetalk_golden.safetensors")


@cache
def loop_golden() -> dict[str, torch.Tensor]:
    """Two runs of the whole loop, the reference picture and the text embeddings."""
    return load_file(FIXTURES / "infinitetalk_loop.safetensors")


@cache
def loop_params() -> dict[str, list[tuple[str, list[int]]]]:
    """Official parameter names and shapes, in the order they were drawn, of `dit`, `vae` and `clip`."""
    return json.loads((FIXTURES / "infinitetalk_loop_params.json").read_text("utf-8"))


def named_input(name: str, *shape: int) -> torch.Tensor:
    """Standard normal numbers that depend on the name alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def _transformer_scale(key: str, r: torch.Tensor) -> torch.Tensor:
    if "norm" in key and key.endswith("weight"):
        return 1 + 0.1 * r
    if "modulation" in key:
        return 0.3 * r
    return r * 1.2 / math.sqrt(r[0].numel()) if r.ndim >= 2 else 0.05 * r


def _encoder_scale(key: str, r: torch.Tensor) -> torch.Tensor:
    if "gamma" in key or ("norm" in key and key.endswith("weight")):
        return 1 + 0.1 * r
    return r / math.sqrt(r[0].numel()) if r.ndim >= 2 else 0.02 * r


def official_shapes(config: ModelConfig = TINY) -> dict[str, tuple[int, ...]]:
    """Official key -> shape, for a model of these dimensions."""
    with torch.device("meta"):
        model = InfiniteTalkTransformer(**config.transformer_kwargs())
    return {key: tuple(value.shape) for key, value in ours_to_official(model.state_dict()).items()}


def official_weights(config: ModelConfig = TINY) -> dict[str, torch.Tensor]:
    """Official key -> fp32 weights, each from its name."""
    return {key: _transformer_scale(key, named_input(key, *s)) for key, s in official_shapes(config).items()}


def loop_weights(which: str) -> dict[str, torch.Tensor]:
    """Official key -> fp32 weights of `dit`, `vae` or `clip`, drawn in order from one generator."""
    generator = torch.Generator().manual_seed(LOOP_SEEDS[which])
    scale = _transformer_scale if which == "dit" else _encoder_scale
    return {key: scale(key, torch.randn(shape, generator=generator)) for key, shape in loop_params()[which]}


def build(config: ModelConfig, official: dict[str, torch.Tensor]) -> InfiniteTalkTransformer:
    """The native model with these official weights, fp32, ready to run."""
    model = InfiniteTalkTransformer(**config.transformer_kwargs())
    model.load_state_dict(official_to_ours(official))
    return model.eval().requires_grad_(False)


def tiny_model() -> InfiniteTalkTransformer:
    """The model of `golden()`."""
    return build(TINY, official_weights())


def loop_model() -> InfiniteTalkTransformer:
    """The model of `loop_golden()`."""
    return build(TINY_LOOP, loop_weights("dit"))


def speaker_masks(height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    """(3, H, W): person 1, person 2 and the background of the two-speaker case."""
    masks = torch.zeros(3, height, width)
    masks[0, 1:7, 1:5] = 1
    masks[1, 1:7, 7:11] = 1
    masks[2] = 1 - masks[0] - masks[1]
    return masks


def tiny_inputs(speakers: int = 1, timestep: float = 637.5, *, null: bool = False) -> dict[str, Any]:
    """Arguments of the transformer for the golden cases; `null` is one silent speaker."""
    latents = torch.cat(
        [named_input("x", 16, FRAMES, HEIGHT, WIDTH)[None], named_input("y", 1, 20, FRAMES, HEIGHT, WIDTH)], 1
    )
    text = torch.zeros(1, 512, TINY.text_dim)
    text[0, :37] = named_input("ctx", 37, TINY.text_dim)
    audio = named_input("audio", speakers, PIXEL_FRAMES, 5, 12, 768)
    return {
        "hidden_states": latents,
        "timestep": torch.tensor([timestep]),
        "encoder_hidden_states": text,
        "encoder_hidden_states_image": named_input("clip", 1, 257, 1280),
        "audio": torch.zeros_like(audio[:1]) if null else audio,
        "ref_masks": speaker_masks() if speakers == 2 and not null else None,
    }
