"""A whole model folder of tiny random networks, and a task that the worker can do with it in seconds."""

from __future__ import annotations

import json
import math
import struct
import wave
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import torch
from diffusers import AutoencoderKLWan
from PIL import Image
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

from tests.infinitetalk.tiny import official_weights
from workers.handler import Task, TaskCancelled, WorkerSetup
from workers.infinitetalk.config import ModelConfig
from workers.infinitetalk.handler import InfiniteTalkHandler, create_handler
from workers.infinitetalk.weights.mapping import is_audio_key

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
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
WINDOW, MOTION = 9, 5
SIDE = 16
_VAE = {"base_dim": 4, "num_res_blocks": 1}
RATE = 24_000


def make_models(models_dir: Path) -> Path:
    """The folder that `workers/infinitetalk/model_folder.py` describes; returns `infinitetalk/` in it."""
    root = models_dir / "infinitetalk"
    torch.manual_seed(7)
    official = official_weights(CONFIG)
    audio = {key: value for key, value in official.items() if is_audio_key(key)}
    base = {key: value for key, value in official.items() if key not in audio}
    _save(base, root / "base" / "wan_tiny.safetensors")
    description = {
        "transformer": asdict(CONFIG),
        "window": WINDOW,
        "motion": MOTION,
        "sides": {"480": [[SIDE, SIDE], [SIDE, SIDE + 16]], "720": [[2 * SIDE, 2 * SIDE]]},
    }
    (root / "base" / "model.json").write_text(json.dumps(description), encoding="utf-8")
    _save(audio, root / "single" / "single_tiny.safetensors")
    _save({key: value * 1.1 for key, value in audio.items()}, root / "multi" / "multi_tiny.safetensors")
    _make_encoders(root)
    for number, name in enumerate(("lightx2v", "fusionx")):
        layer, dim = f"diffusion_model.blocks.{number}.self_attn.q", CONFIG.dim
        _save(
            {
                f"{layer}.lora_down.weight": torch.randn(4, dim),
                f"{layer}.lora_up.weight": torch.randn(dim, 4),
            },
            root / name / f"{name}.safetensors",
        )
    return root


def _make_encoders(root: Path) -> None:
    text = UMT5Config(
        vocab_size=16, d_model=CONFIG.text_dim, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False,
    )  # fmt: skip
    _save_model(UMT5EncoderModel(text), text.to_dict(), root / "text_encoder")
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "person": 4, "speaks": 5, "sings": 6}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(
        str(root / "text_encoder")
    )
    clip = CLIPVisionConfig(
        hidden_size=CONFIG.image_dim, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        image_size=224, patch_size=14,
    )  # fmt: skip
    _save_model(CLIPVisionModel(clip), clip.to_dict(), root / "image_encoder")
    vae = AutoencoderKLWan(**_VAE)
    _save_model(vae, _VAE, root / "vae")
    speech = Wav2Vec2Config(
        hidden_size=CONFIG.audio_width, num_hidden_layers=12, num_attention_heads=2, intermediate_size=32,
        conv_dim=[8] * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    _save_model(Wav2Vec2Model(speech), speech.to_dict(), root / "wav2vec2")


def _save_model(model: Any, config: dict[str, Any], folder: Path) -> None:
    _save({key: value.clone() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    plain = {key: value for key, value in config.items() if isinstance(value, (int, float, str, list, bool))}
    (folder / "config.json").write_text(json.dumps(plain), encoding="utf-8")


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.detach().contiguous() for key, value in tensors.items()}, path)


def make_speech(path: Path, seconds: float, *, pitch: float = 180.0) -> Path:
    """A tone that swells four times a second, as syllables do."""
    count = round(seconds * RATE)
    samples = (
        int(
            12_000
            * math.sin(2 * math.pi * pitch * n / RATE)
            * (0.55 + 0.45 * math.sin(8 * math.pi * n / RATE))
        )
        for n in range(count)
    )
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


def make_portrait(path: Path, size: tuple[int, int] = (90, 100)) -> Path:
    """A shaded picture, width and height in pixels."""
    columns, rows = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    colours = np.stack([columns, rows, 1 - columns * rows], axis=-1)
    Image.fromarray((colours * 255).astype(np.uint8)).save(path)
    return path


@dataclass
class Recorder:
    """A `TaskContext` that remembers. `on_progress` may cancel or raise."""

    on_progress: Callable[[Recorder, dict[str, Any]], None] | None = None
    cancelled: bool = False
    progressed: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def progress(self, fraction: float | None, message: str = "", **more: Any) -> None:
        self.progressed.append({"fraction": fraction, "message": message, **more})
        if self.on_progress is not None:
            self.on_progress(self, self.progressed[-1])

    def artifact(self, role: str, path: Path, **more: Any) -> None:
        self.artifacts.append({"role": role, "path": path, **more})

    def log(self, level: str, message: str) -> None:
        self.logged.append(f"{level}: {message}")

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise TaskCancelled


@dataclass(frozen=True)
class Bench:
    """A folder for one test, a worker, and the inputs."""

    root: Path
    models_dir: Path

    def handler(self) -> InfiniteTalkHandler:
        """A worker as after a restart."""
        setup = WorkerSetup(
            engine="infinitetalk",
            engine_root=None,
            work_dir=self.root,
            models_dir=self.models_dir,
            cache_dir=self.root,
            device=None,
            options={"ffmpeg": FFMPEG, "device": "cpu"},
        )
        handler = create_handler()
        handler.load(setup)
        return handler

    def task(
        self, attempt: int = 1, *, seconds: float = 0.6, inputs: dict[str, Path] | None = None, **params: Any
    ) -> Task:
        """A film of `seconds` with the cheapest preset; windows are kept from attempt to attempt."""
        output = self.root / f"attempt-{attempt}"
        output.mkdir(parents=True, exist_ok=True)
        given = {
            "audio": make_speech(self.root / "speech.wav", seconds),
            "portrait": make_portrait(self.root / "portrait.png"),
        }
        wanted = {
            "preset": "turbo",
            "resolution": "512p",
            "checkpoint_dir": str(self.root / "kept"),
            **params,
        }
        return Task(
            "job",
            attempt,
            "talking_avatar",
            "InfiniteTalk",
            given if inputs is None else inputs,
            wanted,
            output,
            11,
        )


def film(task: Task, context: Recorder, bench: Bench) -> tuple[dict[str, Any], bytes]:
    result = bench.handler().run(task, context)
    (artifact,) = context.artifacts
    return result, artifact["path"].read_bytes()


def of_two(bench: Bench, first: float, second: float) -> Task:
    """A task with two speakers whose tracks have these lengths."""
    task = bench.task(speakers=[{"face": {"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.5}}, {"face": None}])
    inputs = dict(task.inputs)
    inputs["track_1"] = make_speech(bench.root / "one.wav", first, pitch=120)
    inputs["track_2"] = make_speech(bench.root / "two.wav", second, pitch=240)
    return bench.task(inputs=inputs, **task.params)
