"""The models around the transformer: umT5, CLIP-H, Wan's VAE, wav2vec2. Runs in the InfiniteTalk worker.

Their files come under the publisher's own names (pickles of Wan, ComfyUI's and Kijai's repacks of them) or
under those of transformers and diffusers. Each converter answers one question: which parameter of which
class is this key? The weights then take the same way as the transformer's: streamed, one at a time.

| model | class | official file | repacked |
|---|---|---|---|
| text | `UMT5EncoderModel` | `models_t5_umt5-xxl-enc-bf16.pth` | `umt5_xxl_fp16`, `umt5_xxl_fp8_e4m3fn_scaled` |
| picture | `CLIPVisionModel` | `models_clip_open-clip-….pth` (q, k, v in one) | `clip_vision_h` |
| video | `AutoencoderKLWan` | `Wan2.1_VAE.pth` | `wan_2.1_vae` |
| speech | `Wav2Vec2Model` | `chinese-wav2vec2-base` | `wav2vec2-chinese-base_fp16` |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workers.infinitetalk.weights.formats import Checkpoint, Entry, entries_of, open_file, report_of
from workers.infinitetalk.weights.stream import LoadPlan, LoadReport, OnProgress, empty, materialise

# Entries by the names of our class.
Converted = dict[str, Entry]

_UMT5 = {
    "token_embedding.weight": "shared.weight",
    "norm.weight": "encoder.final_layer_norm.weight",
}
_UMT5_BLOCK = {
    "norm1.weight": "layer.0.layer_norm.weight",
    "attn.q.weight": "layer.0.SelfAttention.q.weight",
    "attn.k.weight": "layer.0.SelfAttention.k.weight",
    "attn.v.weight": "layer.0.SelfAttention.v.weight",
    "attn.o.weight": "layer.0.SelfAttention.o.weight",
    "pos_embedding.embedding.weight": "layer.0.SelfAttention.relative_attention_bias.weight",
    "norm2.weight": "layer.1.layer_norm.weight",
    "ffn.gate.0.weight": "layer.1.DenseReluDense.wi_0.weight",  # through GELU
    "ffn.fc1.weight": "layer.1.DenseReluDense.wi_1.weight",
    "ffn.fc2.weight": "layer.1.DenseReluDense.wo.weight",
}
_CLIP = {
    "cls_embedding": "embeddings.class_embedding",
    "pos_embedding": "embeddings.position_embedding.weight",
    "patch_embedding.weight": "embeddings.patch_embedding.weight",
    "pre_norm.weight": "pre_layrnorm.weight",  # transformers' spelling
    "pre_norm.bias": "pre_layrnorm.bias",
    "post_norm.weight": "post_layernorm.weight",
    "post_norm.bias": "post_layernorm.bias",
}
_CLIP_BLOCK = {
    "norm1": "layer_norm1",
    "attn.proj": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}
_NUMBERED = re.compile(r"^(blocks|transformer)\.(\d+)\.(.+)$")


def umt5(entries: Mapping[str, Entry]) -> Converted:
    """Keys of umT5's encoder -> `UMT5EncoderModel`. Names of transformers stay as they are."""
    converted: Converted = {}
    for key, entry in entries.items():
        match = _NUMBERED.match(key)
        if match is not None and match[3] in _UMT5_BLOCK:
            converted[f"encoder.block.{match[2]}.{_UMT5_BLOCK[match[3]]}"] = entry
        else:
            converted[_UMT5.get(key, key)] = entry
    if "encoder.embed_tokens.weight" in converted:
        converted.setdefault("shared.weight", converted["encoder.embed_tokens.weight"])
    return converted


def clip_vision(entries: Mapping[str, Entry]) -> Converted:
    """Keys of CLIP-H's vision tower -> `CLIPVisionModel` without a prefix. The text tower falls away.

    The official file joins query, key and value: (3 · width, width) is cut into three.
    """
    converted: Converted = {}
    for key, entry in entries.items():
        name = key.removeprefix("visual.")
        match = _NUMBERED.match(name)
        if match is not None and match[3].startswith("attn.to_qkv."):
            width, leaf = entry.shape[0] // 3, match[3].rpartition(".")[2]
            for part, letter in enumerate("qkv"):
                rows = (part * width, (part + 1) * width)
                converted[f"encoder.layers.{match[2]}.self_attn.{letter}_proj.{leaf}"] = replace(
                    entry, rows=rows, shape=(width, *entry.shape[1:])
                )
        elif match is not None and match[3].rpartition(".")[0] in _CLIP_BLOCK:
            stem, _, leaf = match[3].rpartition(".")
            converted[f"encoder.layers.{match[2]}.{_CLIP_BLOCK[stem]}.{leaf}"] = entry
        elif name in ("cls_embedding", "pos_embedding"):
            # (1, 1, width) and (1, tokens, width) lose their empty dimensions.
            shape = tuple(size for size in entry.shape if size != 1)
            converted[_CLIP[name]] = replace(entry, shape=shape)
        else:
            converted[_CLIP.get(name, name.removeprefix("vision_model."))] = entry
    return converted


def wan_vae(entries: Mapping[str, Entry]) -> Converted:
    """Keys of Wan's VAE -> `AutoencoderKLWan`, by diffusers' own converter."""
    if any(key.startswith("decoder.up_blocks.") for key in entries):
        return dict(entries)
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    return dict(convert_wan_vae_to_diffusers(dict(entries)))


def wav2vec2(entries: Mapping[str, Entry]) -> Converted:
    """Keys of wav2vec2 -> `Wav2Vec2Model`. What pre-training added (quantizer, projections) falls away.

    Older files name the two halves of the weight norm `weight_g` and `weight_v`.
    """
    converted: Converted = {}
    for key, entry in entries.items():
        name = key.removeprefix("wav2vec2.")
        for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
            name = name.replace(f".conv.{old}", f".conv.parametrizations.weight.{new}")
        converted[name] = entry
    return converted


def read_encoder(path: Path, convert: Callable[[Mapping[str, Entry]], Converted], model: Any) -> Checkpoint:
    """What `path` holds for `model`; keys that the model does not have are left out."""
    source = open_file(path)
    own = entries_of(source, others=True)
    converted = convert(own)
    wanted = model.state_dict()
    # transformers before 5 put everything of CLIP below `vision_model`.
    prefix = "vision_model." if any(name.startswith("vision_model.") for name in wanted) else ""
    entries = {prefix + name: entry for name, entry in converted.items() if prefix + name in wanted}
    report = report_of([source], list(own.values()), "encoder")
    return Checkpoint(entries, (report,))


def load_text_encoder(
    path: Path,
    dtype: Any,
    device: Any,
    *,
    config: Any = None,
    plan: LoadPlan | None = None,
    on_progress: OnProgress | None = None,
    on_report: Callable[[LoadReport], None] | None = None,
) -> Any:
    """umT5-xxl's encoder: 5.7 billion parameters, 11.4 GB in bf16, 7.7 GB as fp8."""
    from transformers import UMT5Config, UMT5EncoderModel

    config = config or UMT5Config(
        vocab_size=256384,
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    tied = {"encoder.embed_tokens.weight": "shared.weight"}
    model = empty(lambda: UMT5EncoderModel(config))
    checkpoint = read_encoder(path, umt5, model)
    report = materialise(
        model, checkpoint, dtype=dtype, device=device, plan=plan, exact=(), tied=tied, on_progress=on_progress
    )
    if on_report is not None:
        on_report(report)
    return model


def load_image_encoder(path: Path, dtype: Any, device: Any, *, config: Any = None) -> Any:
    """CLIP-H's vision tower: 0.63 billion parameters. Its second-to-last layer is what Wan reads."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = config or CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=16,
        patch_size=14,
        image_size=224,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    model = empty(lambda: CLIPVisionModel(config))
    _fill(model, path, clip_vision, dtype, device)
    return model


def load_vae(path: Path, dtype: Any, device: Any, *, config: Mapping[str, Any] | None = None) -> Any:
    """Wan 2.1's video VAE: 127 million parameters, meant to run in fp32. `config` as diffusers names it."""
    from diffusers import AutoencoderKLWan

    model = empty(lambda: AutoencoderKLWan(**(config or {})))
    _fill(model, path, wan_vae, dtype, device)
    return model


def load_audio_encoder(path: Path, dtype: Any, device: Any, *, config: Any = None) -> Any:
    """wav2vec2 base: 94 million parameters. The `config.json` beside the file counts, if there is one."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    beside = path.with_name("config.json")
    if config is None and beside.is_file():
        config = Wav2Vec2Config.from_json_file(str(beside))
    model = empty(lambda: Wav2Vec2Model(config or Wav2Vec2Config()))
    # Used while the model is trained only; some files leave it out.
    _fill(model, path, wav2vec2, dtype, device, unused=("masked_spec_embed",))
    return model


def _fill(
    model: Any,
    path: Path,
    convert: Callable[[Mapping[str, Entry]], Converted],
    dtype: Any,
    device: Any,
    unused: tuple[str, ...] = (),
) -> None:
    checkpoint = read_encoder(path, convert, model)
    plan = LoadPlan("full")
    materialise(model, checkpoint, dtype=dtype, device=device, plan=plan, exact=(), unused=unused)
