"""The text-to-video transformer of Wan 2.1, 1.3B or 14B, from any of its published files.

Runs in the InfiniteTalk worker. Files: diffusers' directory (its `config.json` counts), the publisher's or
ComfyUI's single file (bf16, fp16, fp8, fp8_scaled), GGUF; dimensions are read from the tensors' shapes. The
model is diffusers' own `WanTransformer3DModel`, and its weights take the way of InfiniteTalk's: streamed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.handler import TaskError
from workers.infinitetalk.config import LATENT_CHANNELS
from workers.infinitetalk.weights import problems
from workers.infinitetalk.weights.formats import Checkpoint, Entry, entries_of, open_weights, report_of
from workers.infinitetalk.weights.mapping import is_ours, layer_count, strip_prefix
from workers.infinitetalk.weights.stream import LoadPlan, OnProgress, empty, materialise

# Wan's heads are this wide at every size.
_HEAD_DIM = 128
_CONFIG = "config.json"
# What a file without `config.json` is: the same for both sizes.
_COMMON = {
    "patch_size": (1, 2, 2),
    "in_channels": LATENT_CHANNELS,
    "out_channels": LATENT_CHANNELS,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
}


def text_video_checkpoint(path: Path) -> Checkpoint:
    """Every parameter in a file or folder, by diffusers' name. Raises `TaskError(model_missing)`."""
    sources = open_weights(path)
    entries: dict[str, Entry] = {}
    for source in sources:
        for key, entry in entries_of(source).items():
            entries[strip_prefix(key)] = entry
    if not is_ours(entries):
        from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

        entries = dict(convert_wan_transformer_to_diffusers(dict(entries)))
    return Checkpoint(entries, (report_of(sources, list(entries.values()), "Wan text to video"),))


def text_video_config(checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    """Arguments of `WanTransformer3DModel`. Raises `TaskError(model_missing)` for another model's weights."""
    folder = path if path.is_dir() else path.parent
    for beside in (folder / _CONFIG, folder / "transformer" / _CONFIG):
        if beside.is_file():
            return _checked(_read(beside), beside)
    return _checked(_from_shapes(checkpoint.entries, path), path)


def load_text_video(
    path: Path,
    dtype: Any,
    device: Any,
    plan: LoadPlan | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Any:
    """The transformer with its weights. Raises `TaskError(model_missing)`."""
    checkpoint = text_video_checkpoint(path)
    model = empty_text_video(text_video_config(checkpoint, path))
    materialise(model, checkpoint, dtype=dtype, device=device, plan=plan, on_progress=on_progress)
    return model


def empty_text_video(config: Mapping[str, Any]) -> Any:
    """The transformer without memory, for its shapes."""
    from diffusers import WanTransformer3DModel

    return empty(lambda: WanTransformer3DModel(**config))


def _read(path: Path) -> dict[str, Any]:
    try:
        given = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise problems.damaged(path, f"no configuration: {error}") from error
    return {name: value for name, value in given.items() if not name.startswith("_")}


def _from_shapes(entries: Mapping[str, Entry], path: Path) -> dict[str, Any]:
    def size(name: str, axis: int) -> int:
        return entries[name].shape[axis]

    try:
        dim = size("condition_embedder.time_embedder.linear_1.weight", 0)
        patches = entries["patch_embedding.weight"].shape
        found = {
            "num_attention_heads": dim // _HEAD_DIM,
            "attention_head_dim": _HEAD_DIM,
            "num_layers": layer_count(entries),
            "ffn_dim": size("blocks.0.ffn.net.0.proj.weight", 0),
            "text_dim": size("condition_embedder.text_embedder.linear_1.weight", 1),
            "freq_dim": size("condition_embedder.time_embedder.linear_1.weight", 1),
        }
    except KeyError as error:
        raise problems.incomplete([str(error.args[0])], audio=False) from error
    # GGUF knows four dimensions only and flattens this one.
    channels = patches[1] if len(patches) == 5 else LATENT_CHANNELS
    return {**_COMMON, **found, "in_channels": channels}


def _checked(config: dict[str, Any], path: Path) -> dict[str, Any]:
    if config.get("in_channels") != LATENT_CHANNELS or config.get("image_dim"):
        raise TaskError(
            "model_missing",
            "The weights of Wan text to video are those of another model, made for pictures. Download them again.",
            detail=f"{path}: {config.get('in_channels')} channels",
        )
    return config
