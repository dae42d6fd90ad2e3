"""A whole model folder of tiny random networks: the worker makes a film with it in seconds, on a processor too.

Runs in the InfiniteTalk worker's environment. The self-test of an installation and the engine's tests use it. Every
network is built from its own class with small dimensions and saved as the published one is: names of the official
transformer and its audio modules, diffusers' VAE, transformers' encoders. The film is noise; everything that makes
it is the code that makes a real one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
)

from workers.infinitetalk.config import ModelConfig
from workers.infinitetalk.model_folder import FOLDER
from workers.infinitetalk.transformer import InfiniteTalkTransformer
from workers.infinitetalk.weights.mapping import is_audio_key, ours_to_official

CONFIG = ModelConfig(
    heads=2,
    head_dim=16,
    layers=2,
    ffn_dim=64,
    text_dim=32,
    image_dim=32,
    audio_width=24,
    audio_hidden=16,
    audio_dim=32,
    audio_tokens=4,
)
# Pixel frames of a window, and how many of them the next one continues from: as small as the rule 4 n + 1 allows.
WINDOW, MOTION = 9, 5
# Of the picture, pixels: one token of 16.
SIDE = 16
_SEED = 7
_VAE = {"base_dim": 4, "num_res_blocks": 1}
_LORA_RANK = 4


def make_models(models_dir: Path) -> Path:
    """Write the folder that `model_folder.py` describes; returns `infinitetalk/` in it.

    The same bytes every time. The seed of torch's default generator is put back.
    """
    root = models_dir / FOLDER
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        _make_transformer(root)
        _make_encoders(root)
        _make_loras(root)
    return root


def _make_transformer(root: Path) -> None:
    with torch.device("meta"):
        model = InfiniteTalkTransformer(**CONFIG.transformer_kwargs())
    shapes = ours_to_official(model.state_dict())
    weights = {key: _drawn(key, tuple(value.shape)) for key, value in shapes.items()}
    audio = {key: value for key, value in weights.items() if is_audio_key(key)}
    _save(
        {key: value for key, value in weights.items() if key not in audio},
        root / "base" / "wan_tiny.safetensors",
    )
    description = {
        "transformer": asdict(CONFIG),
        "window": WINDOW,
        "motion": MOTION,
        "sides": {"480": [[SIDE, SIDE], [SIDE, 2 * SIDE]], "720": [[2 * SIDE, 2 * SIDE]]},
    }
    (root / "base" / "model.json").write_text(json.dumps(description), encoding="utf-8")
    _save(audio, root / "single" / "single_tiny.safetensors")
    _save({key: value * 1.1 for key, value in audio.items()}, root / "multi" / "multi_tiny.safetensors")


def _drawn(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Random weights with which values neither vanish nor grow from layer to layer."""
    drawn = torch.randn(shape)
    if "norm" in key and key.endswith("weight"):
        return 1 + 0.1 * drawn
    if "modulation" in key:
        return 0.3 * drawn
    return drawn * 1.2 / math.sqrt(drawn[0].numel()) if drawn.ndim >= 2 else 0.05 * drawn


def _make_encoders(root: Path) -> None:
    text = UMT5Config(
        vocab_size=16, d_model=CONFIG.text_dim, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False,
    )  # fmt: skip
    _save_model(UMT5EncoderModel(text), text.to_dict(), root / "text_encoder")
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "person": 4, "speaks": 5, "sings": 6}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))  # noqa: S106 - a token of text
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(  # noqa: S106
        str(root / "text_encoder")
    )
    clip = CLIPVisionConfig(
        hidden_size=CONFIG.image_dim, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        image_size=224, patch_size=14,
    )  # fmt: skip
    _save_model(CLIPVisionModel(clip), clip.to_dict(), root / "image_encoder")
    _save_model(AutoencoderKLWan(**_VAE), _VAE, root / "vae")
    speech = Wav2Vec2Config(
        hidden_size=CONFIG.audio_width, num_hidden_layers=12, num_attention_heads=2, intermediate_size=32,
        conv_dim=[8] * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    _save_model(Wav2Vec2Model(speech), speech.to_dict(), root / "wav2vec2")


def _make_loras(root: Path) -> None:
    for number, name in enumerate(("lightx2v", "fusionx")):
        layer = f"diffusion_model.blocks.{number}.self_attn.q"
        _save(
            {
                f"{layer}.lora_down.weight": torch.randn(_LORA_RANK, CONFIG.dim),
                f"{layer}.lora_up.weight": torch.randn(CONFIG.dim, _LORA_RANK),
            },
            root / name / f"{name}.safetensors",
        )


def _save_model(model: Any, config: Mapping[str, Any], folder: Path) -> None:
    _save({key: value.clone() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    plain = {key: value for key, value in config.items() if isinstance(value, (int, float, str, list, bool))}
    (folder / "config.json").write_text(json.dumps(plain), encoding="utf-8")


def _save(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.detach().contiguous() for key, value in tensors.items()}, path)
