"""The tiny models, request and inputs of the whole-loop golden numbers, put together by hand.

VAE and CLIP are the libraries' own, converted here; the picture is prepared by the steps the study of
the official loop names. Nothing of the engine but the transformer, the sampler and its parts is used, so
the loop is held to the golden numbers without the engine's own conditioning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from PIL import Image
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel

from tests.infinitetalk.tiny import loop_golden, loop_model, loop_weights
from workers.infinitetalk.guidance import Guidance
from workers.infinitetalk.sampler import Models, Request

SIZES = {1.00: (64, 64), 0.67: (64, 96)}
WINDOW, MOTION, FRAMES = 13, 5, 29
AUDIO_SEED, SEED = 33, 42
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Condition:
    """What the sampler asks of a reference picture."""

    y: torch.Tensor
    clip: torch.Tensor


@cache
def vae() -> AutoencoderKLWan:
    model = AutoencoderKLWan(base_dim=8)
    model.load_state_dict(convert_wan_vae_to_diffusers(loop_weights("vae")))
    return model.eval().requires_grad_(False)


def _statistics() -> tuple[torch.Tensor, torch.Tensor]:
    mean, std = (torch.tensor(getattr(vae().config, f"latents_{name}")) for name in ("mean", "std"))
    return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)


def encode(pixels: torch.Tensor) -> torch.Tensor:
    """(1, 3, F, H, W) -> (1, 16, T, h, w), normalised."""
    mean, std = _statistics()
    with torch.no_grad():
        return (vae().encode(pixels).latent_dist.mode() - mean) / std


def decode(latents: torch.Tensor) -> torch.Tensor:
    mean, std = _statistics()
    with torch.no_grad():
        return vae().decode(latents * std + mean).sample.clamp(-1, 1)


@cache
def _clip() -> CLIPVisionModel:
    official = {key.removeprefix("visual."): value for key, value in loop_weights("clip").items()}
    ours = {
        "embeddings.class_embedding": official["cls_embedding"][0, 0],
        "embeddings.position_embedding.weight": official["pos_embedding"][0],
        "embeddings.patch_embedding.weight": official["patch_embedding.weight"],
    }
    for part in ("weight", "bias"):
        ours[f"pre_layrnorm.{part}"] = official[f"pre_norm.{part}"]
        ours[f"post_layernorm.{part}"] = official[f"post_norm.{part}"]
        for layer in range(3):
            theirs, mine = f"transformer.{layer}.", f"encoder.layers.{layer}."
            for name, fused in zip("qkv", official[f"{theirs}attn.to_qkv.{part}"].chunk(3), strict=True):
                ours[f"{mine}self_attn.{name}_proj.{part}"] = fused
            ours[f"{mine}self_attn.out_proj.{part}"] = official[f"{theirs}attn.proj.{part}"]
            ours[f"{mine}layer_norm1.{part}"] = official[f"{theirs}norm1.{part}"]
            ours[f"{mine}layer_norm2.{part}"] = official[f"{theirs}norm2.{part}"]
            ours[f"{mine}mlp.fc1.{part}"] = official[f"{theirs}mlp.0.{part}"]
            ours[f"{mine}mlp.fc2.{part}"] = official[f"{theirs}mlp.2.{part}"]
    model = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=1280,
            intermediate_size=5120,
            num_hidden_layers=3,
            num_attention_heads=16,
            image_size=224,
            patch_size=14,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
        )
    )
    prefix = "vision_model." if any(key.startswith("vision_model.") for key in model.state_dict()) else ""
    model.load_state_dict({prefix + key: value for key, value in ours.items()}, strict=False)
    missing = set(model.state_dict()) - {prefix + key for key in ours}
    assert not {key for key in missing if "position_ids" not in key}, missing
    return model.eval().requires_grad_(False)


def reference() -> torch.Tensor:
    """The reference picture (3, 64, 96) in [-1, 1]: covered by bilinear resizing, centre cut out."""
    picture = Image.fromarray(loop_golden()["frame/0"].numpy())
    ratio = picture.height / picture.width
    height, width = SIZES[min(SIZES, key=lambda key: abs(key - ratio))]
    scale = max(height / picture.height, width / picture.width)
    size = math.ceil(scale * picture.width), math.ceil(scale * picture.height)
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(size[1], size[0], 3)
    top, left = round((size[1] - height) / 2), round((size[0] - width) / 2)
    return pixels[top : top + height, left : left + width].permute(2, 0, 1).float() / 255 * 2 - 1


def clip_tokens(picture: torch.Tensor) -> torch.Tensor:
    """(3, H, W) in [-1, 1] -> (1, 257, 1280)."""
    small = functional.interpolate(picture[None], (224, 224), mode="bicubic", align_corners=False)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_CLIP_MEAN, _CLIP_STD))
    with torch.no_grad():
        return _clip()((small / 2 + 0.5 - mean) / std, output_hidden_states=True).hidden_states[-2]


@cache
def condition(_frame: int) -> Condition:
    """The same picture for every window."""
    picture = reference()
    clip = clip_tokens(picture)
    latents = encode(functional.pad(picture[None, :, None], (0, 0, 0, 0, 0, WINDOW - 1)))
    mask = torch.zeros(1, 4, *latents.shape[2:])
    mask[:, :, 0] = 1
    return Condition(torch.cat([mask, latents], 1), clip)


def speech_windows(features: torch.Tensor, first: int, frames: int) -> torch.Tensor:
    """Features (P, N, 12, 768) -> (P, F, 5, 12, 768): two on each side; beyond the end they run backwards."""
    last = features.shape[1] - 1
    index = torch.arange(first, first + frames)[:, None] + torch.arange(-2, 3)
    index = torch.where(index > last, 2 * last + 1 - index, index).clamp(min=0)
    return features[:, index]


def default_masks() -> torch.Tensor:
    """Two speakers side by side, five per cent off every edge of their halves, then the background."""
    height, width = loop_golden()["frame/0"].shape[:2]
    masks = torch.zeros(3, height, width)
    rows = slice(int(height * 0.05), int(height * 0.95))
    half = width // 2
    masks[0, rows, int(half * 0.05) : int(half * 0.95)] = 1
    masks[1, rows, int(half * 0.05 + half) : int(half * 0.95 + half)] = 1
    masks[2] = 1 - masks[0] - masks[1]
    picture = reference()
    scale = max(picture.shape[1] / height, picture.shape[2] / width)
    masks = functional.interpolate(masks[None], (math.ceil(scale * height), math.ceil(scale * width)))[0]
    masks = masks[:, : picture.shape[1], : picture.shape[2]]
    return functional.interpolate(masks[None], (picture.shape[1] // 8, picture.shape[2] // 8))[0]


def models(**changes: Any) -> Models:
    return Models(**{"transformer": loop_model(), "encode_video": encode, "decode_video": decode} | changes)


def request(speakers: int = 1, **changes: Any) -> Request:
    """The golden case; `changes` replace fields."""
    generator = torch.Generator().manual_seed(AUDIO_SEED)
    features = torch.stack([torch.randn(FRAMES, 12, 768, generator=generator) for _ in range(speakers)])
    golden = loop_golden()
    fields = {
        "speech": partial(speech_windows, features),
        "condition": condition,
        "reference": reference,
        "text": golden["ctx"][None],
        "null_text": golden["ctx_null"][None],
        "masks": default_masks() if speakers == 2 else None,
        "frames": FRAMES,
        "seed": SEED,
        "steps": 4,
        "shift": 7.0,
        "guidance": Guidance(5.0, 4.0),
        "window": WINDOW,
        "motion": MOTION,
        "official_noise": True,
    }
    return Request(**fields | changes)
