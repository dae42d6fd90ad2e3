"""Our own `wgp_config.json`: what upstream would otherwise take from a person's settings. Runs in the wan2gp worker.

Flow: options of the worker -> a complete configuration -> one file in a private folder, written anew at every start
(upstream writes into it too). Every key that changes what a job does is given, so that neither upstream's defaults nor
the file of a user's own installation decide. Profiles and codecs are upstream's own names.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.handler import TaskError

# Upstream insists on this name.
CONFIG_NAME = "wgp_config.json"
# Upstream's "low RAM, low VRAM" profile: it works on every card that works at all; others are faster on larger ones.
DEFAULT_PROFILE = 4
# The audio models are small; upstream's own default keeps them in VRAM.
AUDIO_PROFILE = 3.5
PROFILES = (1, 2, 3, 3.5, 4, 4.5, 5)
ATTENTIONS = ("auto", "sdpa")
# Which GPUs this process may use is part of the folder's name: two workers must not write one file.
_GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")


def write_config(options: Mapping[str, Any], folder: Path, *, root: Path, models_dir: Path) -> Path:
    """Write the configuration below `folder` and return its path.

    Raises TaskError(validation_failed) when an option is not one of those that exist.
    """
    content = _content(options, root, models_dir)
    gpu = _NOT_IN_A_NAME.sub("-", os.environ.get(_GPU_VARIABLE, "")).strip("-")
    path = (folder / f"gpu-{gpu or 'any'}").resolve() / CONFIG_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
    draft.replace(path)
    return path


def _content(options: Mapping[str, Any], root: Path, models_dir: Path) -> dict[str, Any]:
    profile = _profile(options.get("profile"))
    outputs = str(path_of_unused_outputs(root))
    return {
        # where things lie: absolute, because upstream resolves relative ones against its own folder
        "checkpoints_paths": _checkpoints(options.get("checkpoints"), models_dir),
        "loras_root": str(root / "loras"),
        "save_path": outputs,
        "image_save_path": outputs,
        "audio_save_path": outputs,
        # how models are loaded
        "profile": profile,
        "video_profile": profile,
        "image_profile": profile,
        "audio_profile": AUDIO_PROFILE,
        "attention_mode": _attention(options.get("attention")),
        "transformer_types": [],
        "transformer_quantization": "int8",
        # The catalogue has one file of each model; without a policy, cards before Ampere would ask for another one.
        "transformer_dtype_policy": "bf16",
        "text_encoder_quantization": "int8",
        "mixed_precision": "0",
        "vae_precision": "16",
        "vae_config": 0,
        "compile": "",
        "boost": 1,
        "enable_int8_kernels": 1,
        "preload_model_policy": [],
        "preload_in_VRAM": 0,
        "max_reserved_loras": -1,
        # what a result is: one lossy but good H.264 file, no intermediate files, nobody's prompt inside
        "keep_intermediate_sliding_windows": 0,
        "video_output_codec": "libx264_8",
        "video_container": "mp4",
        "audio_output_codec": "aac_128",
        "audio_stand_alone_output_codec": "wav",
        "metadata_type": "none",
        "embed_source_images": False,
        "fit_canvas": 0,
        # a language model must not rewrite what was asked for, and nothing else is to be loaded
        "enhancer_enabled": 0,
        "enhancer_mode": 1,
        "enabled_plugins": [],
        "multi_prompts_gen_type": "FG",
        # things of upstream's own page
        "notification_sound_enabled": 0,
        "save_queue_if_crash": 0,
        "clear_file_list": 1,
        "UI_theme": "default",
        "queue_color_scheme": "pastel",
        "model_hierarchy_type": 1,
    }


def path_of_unused_outputs(root: Path) -> Path:
    """Where upstream would write if no folder were given; every job gives one."""
    return root / "outputs"


def _checkpoints(given: object, models_dir: Path) -> list[str]:
    folders: Sequence[object] = given if isinstance(given, (list, tuple)) else [str(models_dir / "wan2gp")]
    for folder in folders:
        if not isinstance(folder, str) or not Path(folder).is_absolute():
            raise TaskError(
                "validation_failed",
                "The folders of the model files must be absolute paths.",
                detail=f"checkpoints: {folder!r}",
            )
    return [str(folder) for folder in folders]


def _profile(given: object) -> float:
    if given is None:
        return DEFAULT_PROFILE
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given not in PROFILES:
        raise TaskError(
            "validation_failed",
            f"The memory profile of Wan2GP must be one of {', '.join(str(one) for one in PROFILES)}.",
            detail=f"profile: {given!r}",
        )
    return given


def _attention(given: object) -> str:
    if given is None:
        return "auto"
    if given not in ATTENTIONS:
        raise TaskError(
            "validation_failed",
            f"The attention of Wan2GP must be one of {', '.join(ATTENTIONS)}.",
            detail=f"attention: {given!r}",
        )
    return str(given)
