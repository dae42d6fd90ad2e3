"""The files of MOSS-TTS-Nano and what stands in its manifests. Runs in the moss_nano worker.

Flow: folder of the downloaded model -> the files that are needed, all there -> token numbers, prompt and sizes from
the two manifests, checked -> `Layout`.

Source of the facts: OpenMOSS/MOSS-TTS-Nano (Apache-2.0), its ONNX export and the manifests beside the weights:
`browser_poc_manifest.json` (prompt, token numbers, limits) and `codec_browser_onnx_meta.json` (rates, channels).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import TaskError

# Below the models folder, as assets/catalogue/moss-tts-nano.json lays them.
FOLDER = "moss-tts-nano"
LM, CODEC = "lm", "codec"
MANIFEST = f"{LM}/browser_poc_manifest.json"
CODEC_META = f"{CODEC}/codec_browser_onnx_meta.json"
TOKENIZER = f"{LM}/tokenizer.model"
PREFILL = f"{LM}/moss_tts_prefill.onnx"
DECODE = f"{LM}/moss_tts_decode_step.onnx"
FRAME = f"{LM}/moss_tts_local_fixed_sampled_frame.onnx"
ENCODE = f"{CODEC}/moss_audio_tokenizer_encode.onnx"
DECODE_AUDIO = f"{CODEC}/moss_audio_tokenizer_decode_full.onnx"
# The weights lie beside the graphs, which name them; onnxruntime takes them only from the same folder.
WEIGHTS = (
    f"{LM}/moss_tts_global_shared.data",
    f"{LM}/moss_tts_local_shared.data",
    f"{CODEC}/moss_audio_tokenizer_encode.data",
    f"{CODEC}/moss_audio_tokenizer_decode_shared.data",
)
FILES = (MANIFEST, CODEC_META, TOKENIZER, PREFILL, DECODE, FRAME, ENCODE, DECODE_AUDIO, *WEIGHTS)

FIX = "Download the model “MOSS-TTS-Nano” under Models in the page."
# The real manifest has half a megabyte: it also holds voices.
_MAX_JSON_BYTES = 16 << 20
_MAX_PROMPT_TOKENS = 4096
_MAX_VQ = 64
MAX_FRAMES = 1500


@dataclass(frozen=True)
class Layout:
    """Numbers of one export. `n_vq`: codebooks; a row of the language model holds one text token and `n_vq` codes.

    `frame_samples`: samples of one frame at `rate`. `before`, `after`, `answer`: text tokens around the sample and
    the script.
    """

    folder: Path
    n_vq: int
    codebook_size: int
    audio_pad: int
    audio_start: int
    audio_end: int
    user_slot: int
    assistant_slot: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    answer: tuple[int, ...]
    max_frames: int
    rate: int
    channels: int
    frame_samples: int

    @property
    def frame_s(self) -> float:
        return self.frame_samples / self.rate


def read_layout(models_dir: Path) -> Layout:
    """The model below `models_dir`. Raises TaskError(model_missing) when it is not there or not what it should be."""
    folder = models_dir / FOLDER
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise TaskError(
            "model_missing",
            f"The voice model MOSS-TTS-Nano is not installed. {FIX}",
            detail=f"missing: {', '.join(missing)}",
        )
    try:
        return _layout(folder, _json(folder / MANIFEST), _json(folder / CODEC_META))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(
            "model_missing",
            f"The voice model MOSS-TTS-Nano is damaged. {FIX}",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _layout(folder: Path, manifest: dict[str, Any], meta: dict[str, Any]) -> Layout:
    config, prompts, codec = manifest["tts_config"], manifest["prompt_templates"], meta["codec_config"]
    n_vq = _within(config["n_vq"], 1, _MAX_VQ)
    if _within(codec["num_quantizers"], 1, _MAX_VQ) != n_vq:
        raise ValueError("the language model and the codec have different numbers of codebooks")
    return Layout(
        folder=folder,
        n_vq=n_vq,
        codebook_size=_within(_codebook_size(config), 2, 1 << 16),
        audio_pad=_token(config["audio_pad_token_id"]),
        audio_start=_token(config["audio_start_token_id"]),
        audio_end=_token(config["audio_end_token_id"]),
        user_slot=_token(config["audio_user_slot_token_id"]),
        assistant_slot=_token(config["audio_assistant_slot_token_id"]),
        before=_tokens(prompts["user_prompt_prefix_token_ids"]),
        after=_tokens(prompts["user_prompt_after_reference_token_ids"]),
        answer=_tokens(prompts["assistant_prompt_prefix_token_ids"]),
        max_frames=_within(manifest["generation_defaults"]["max_new_frames"], 1, MAX_FRAMES),
        rate=_within(codec["sample_rate"], 8_000, 192_000),
        channels=_within(codec["channels"], 1, 8),
        frame_samples=_within(codec["downsample_rate"], 1, 96_000),
    )


def _codebook_size(config: dict[str, Any]) -> Any:
    """Codes of one codebook; the padding code stands just above them in exports that do not say."""
    sizes = config.get("audio_codebook_sizes")
    if sizes is None:
        return config["audio_pad_token_id"]
    if len(set(sizes)) != 1:
        raise ValueError("codebooks of different sizes")
    return sizes[0]


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise ValueError(f"{path.name} is too large")
    value = json.loads(path.read_text("utf-8"))
    if not isinstance(value, dict):
        raise TypeError(f"{path.name} is no object")
    return value


def _within(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
    return value


def _token(value: Any) -> int:
    return _within(value, 0, 1 << 20)


def _tokens(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or len(values) > _MAX_PROMPT_TOKENS:
        raise ValueError("a prompt is no list of tokens")
    return tuple(_token(value) for value in values)
