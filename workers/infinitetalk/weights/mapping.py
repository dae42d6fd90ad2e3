"""Parameter names: those of the published checkpoints ("official") and those of our model ("ours").

Runs in the InfiniteTalk worker. Dictionaries of names (and whatever hangs on them: tensors, file
handles, shapes) flow through; no tensor is copied, cast or reshaped, so both directions are
bit-identical by construction.

Our model is diffusers' `WanTransformer3DModel` plus audio modules. The base therefore carries
diffusers' names, made by diffusers' own converter (`convert_wan_transformer_to_diffusers`), while the
audio modules keep their published names. They must not pass through that converter: it would rename
`audio_cross_attn` to `audio_attn2`, because `cross_attn` is part of it.

The way back needs no second rule: the published names of a model with N blocks are a closed list, so
the converter's answers for that list, turned around, are the inverse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from workers.handler import TaskError

Value = TypeVar("Value")

# ComfyUI and Kijai files carry the first one or none; diffusers' LoRA tools and a model that was
# saved from inside a pipeline carry the others.
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "model.")

AUDIO_PROJECTION = ("proj1", "proj1_vf", "proj2", "proj3", "norm")
_AUDIO_KEY = re.compile(r"^(audio_proj\.|blocks\.\d+\.(audio_cross_attn|norm_x)\.)")
_BLOCK = re.compile(r"^blocks\.(\d+)\.")
# Names that exist in one of the two vocabularies only.
_OURS_ONLY = re.compile(
    r"^(condition_embedder\.|proj_out\.|scale_shift_table$|blocks\.\d+\.(attn[12]\.|ffn\.net\.))"
)
_OFFICIAL_ONLY = re.compile(
    r"^(time_embedding\.|time_projection\.|text_embedding\.|img_emb\.|head\.|"
    r"blocks\.\d+\.(self_attn\.|cross_attn\.|modulation$|norm3\.|ffn\.\d))"
)


def strip_prefix(name: str) -> str:
    """The name without the prefix some programs put in front of every key."""
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def is_audio_key(name: str) -> bool:
    """Whether the key belongs to what InfiniteTalk adds to Wan2.1 I2V (330 keys in the full model)."""
    return _AUDIO_KEY.match(strip_prefix(name)) is not None


def is_ours(names: Iterable[str]) -> bool:
    """Whether these keys are in diffusers' vocabulary. Audio keys are the same in both."""
    return any(_OURS_ONLY.match(strip_prefix(name)) for name in names)


def is_official(names: Iterable[str]) -> bool:
    """Whether these keys are in the published vocabulary."""
    return any(_OFFICIAL_ONLY.match(strip_prefix(name)) for name in names)


def layer_count(names: Iterable[str]) -> int:
    """Number of blocks: the highest index and one."""
    found = [int(match[1]) for match in (_BLOCK.match(strip_prefix(name)) for name in names) if match]
    return max(found) + 1 if found else 0


def _pairs(*stems: str) -> list[str]:
    return [f"{stem}.{kind}" for stem in stems for kind in ("weight", "bias")]


def base_names(layers: int) -> list[str]:
    """Published names of the Wan2.1 I2V transformer with `layers` blocks."""
    names = _pairs(
        "patch_embedding",
        *("text_embedding.0", "text_embedding.2", "time_embedding.0", "time_embedding.2"),
        "time_projection.1",
    )
    for block in (f"blocks.{index}" for index in range(layers)):
        names.append(f"{block}.modulation")
        for attention in ("self_attn", "cross_attn"):
            names += _pairs(*(f"{block}.{attention}.{part}" for part in "qkvo"))
            names += [f"{block}.{attention}.norm_q.weight", f"{block}.{attention}.norm_k.weight"]
        names += _pairs(f"{block}.cross_attn.k_img", f"{block}.cross_attn.v_img")
        names.append(f"{block}.cross_attn.norm_k_img.weight")
        names += _pairs(f"{block}.norm3", f"{block}.ffn.0", f"{block}.ffn.2")
    names += ["head.modulation", *_pairs("head.head")]
    return names + _pairs(*(f"img_emb.proj.{index}" for index in (0, 1, 3, 4)))


def audio_names(layers: int) -> list[str]:
    """Names of the audio modules with `layers` blocks: 10 + 8 a block; the same on both sides."""
    names = _pairs(*(f"audio_proj.{part}" for part in AUDIO_PROJECTION))
    for block in (f"blocks.{index}" for index in range(layers)):
        names += _pairs(*(f"{block}.audio_cross_attn.{part}" for part in ("q_linear", "kv_linear", "proj")))
        names += _pairs(f"{block}.norm_x")
    return names


def official_names(layers: int) -> list[str]:
    """Every published name of the whole model with `layers` blocks."""
    return base_names(layers) + audio_names(layers)


@lru_cache(maxsize=8)
def _table(layers: int) -> Mapping[str, str]:
    """Published name -> our name, for every name of a model with `layers` blocks."""
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    names = base_names(layers)
    converted = convert_wan_transformer_to_diffusers({name: name for name in names})
    table = {published: name for name, published in converted.items()}
    table.update({name: name for name in audio_names(layers)})
    if len(set(table.values())) != len(table):
        raise AssertionError("diffusers' converter gives two parameters one name")
    return table


@lru_cache(maxsize=8)
def _inverse(layers: int) -> Mapping[str, str]:
    return {name: published for published, name in _table(layers).items()}


def names_to_ours(names: Iterable[str]) -> dict[str, str]:
    """Given key -> our name, for keys of either vocabulary, with or without a prefix.

    A key that this model does not have raises `TaskError(model_missing)`: a file with unknown
    parameters is another model, and loading part of it would give noise.
    """
    given = list(names)
    bare = {name: strip_prefix(name) for name in given}
    layers = layer_count(given)
    table = _inverse(layers) if is_ours(given) else _table(layers)
    known = table.keys()
    unknown = [name for name, stripped in bare.items() if stripped not in known]
    if unknown:
        raise TaskError(
            "model_missing",
            "A weight file does not belong to InfiniteTalk or Wan2.1 I2V 14B. Choose the image-to-video "
            "transformer (not text-to-video or VACE), or download the files again.",
            detail=f"{len(unknown)} unknown parameters, first: {', '.join(sorted(unknown)[:5])}",
        )
    if table is _inverse(layers):
        return bare
    return {name: table[stripped] for name, stripped in bare.items()}


def official_to_ours(state: Mapping[str, Value]) -> dict[str, Value]:
    """Published keys -> our keys. The values are the same objects; the order is kept."""
    return _renamed(state, names_to_ours(state))


def ours_to_official(state: Mapping[str, Value], *, prefix: str = "") -> dict[str, Value]:
    """Our keys -> published keys, with `prefix` (e.g. `model.diffusion_model.`) in front of each."""
    table = _inverse(layer_count(state))
    unknown = [name for name in state if name not in table]
    if unknown:
        raise KeyError(f"not parameters of this model: {sorted(unknown)[:5]}")
    return {prefix + table[name]: value for name, value in state.items()}


def split_audio(state: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """(base, audio): the two halves that are published as separate files."""
    base: dict[str, Any] = {}
    audio: dict[str, Any] = {}
    for name, value in state.items():
        (audio if is_audio_key(name) else base)[name] = value
    return base, audio


def _renamed(state: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    renamed = {names[name]: value for name, value in state.items()}
    if len(renamed) != len(state):
        raise TaskError(
            "model_missing",
            "A weight file holds the same parameter twice. Download it again.",
            detail="two keys lead to one parameter",
        )
    return renamed
