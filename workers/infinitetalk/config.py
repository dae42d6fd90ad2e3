"""What is fixed about InfiniteTalk: dimensions, picture sizes, presets, frame counts.

Runs in the InfiniteTalk worker; imports nothing heavy, so that every module may use it. Numbers come
from the published configuration of Wan2.1-I2V-14B and of InfiniteTalk (commit 0107cd9).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FPS = 25  # of the audio features and of the picture: one feature vector a frame
WINDOW = 81  # pixel frames made at once: 4 · (21 - 1) + 1
MOTION = 9  # last frames of a window that the next one continues from (3 latent frames)

TEXT_TOKENS = 512  # the text is padded with zeros to this length
IMAGE_TOKENS = 257  # CLIP-H at 224 pixels: 16 · 16 patches and the class token
LATENT_CHANNELS = 16
CONDITION_CHANNELS = 20  # 4 mask channels and the latents of the reference
VAE_TIME = 4  # pixel frames a latent frame stands for (the first one stands for itself)
VAE_SPACE = 8  # pixels a latent pixel stands for, each way

AUDIO_LAYERS = 12  # hidden states of wav2vec2 that are used
AUDIO_WIDTH = 768  # width of each
AUDIO_WINDOW = 5  # feature vectors around a frame: itself and two on each side


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Dimensions of the transformer. The defaults are the published 14B model's."""

    heads: int = 40
    head_dim: int = 128
    layers: int = 40
    ffn_dim: int = 13824
    text_dim: int = 4096
    freq_dim: int = 256
    image_dim: int = 1280
    in_channels: int = LATENT_CHANNELS + CONDITION_CHANNELS
    out_channels: int = LATENT_CHANNELS
    audio_window: int = AUDIO_WINDOW
    audio_layers: int = AUDIO_LAYERS
    audio_width: int = AUDIO_WIDTH
    audio_hidden: int = 512
    audio_dim: int = 768
    audio_tokens: int = 32

    @classmethod
    def full(cls) -> ModelConfig:
        """Wan2.1-I2V-14B with InfiniteTalk's audio modules: 18.88 billion parameters."""
        return cls()

    @property
    def dim(self) -> int:
        return self.heads * self.head_dim

    def transformer_kwargs(self) -> dict[str, Any]:
        """Arguments of `InfiniteTalkTransformer`, in diffusers' words."""
        own = asdict(self)
        return {
            "num_attention_heads": own.pop("heads"),
            "attention_head_dim": own.pop("head_dim"),
            "num_layers": own.pop("layers"),
            "added_kv_proj_dim": self.dim,
            **own,
        }


# Height and width in pixels by the ratio height / width, as published: the nearest key wins, and the
# keys are rounded, so they are kept as they are printed.
BUCKETS: dict[int, dict[float, tuple[int, int]]] = {
    480: {
        0.26: (320, 1216),
        0.38: (384, 1024),
        0.50: (448, 896),
        0.67: (512, 768),
        0.82: (576, 704),
        1.00: (640, 640),
        1.22: (704, 576),
        1.50: (768, 512),
        1.86: (832, 448),
        2.00: (896, 448),
        2.50: (960, 384),
        2.83: (1088, 384),
        3.60: (1152, 320),
        3.80: (1216, 320),
        4.00: (1280, 320),
    },
    720: {
        0.22: (448, 2048),
        0.29: (512, 1792),
        0.36: (576, 1600),
        0.45: (640, 1408),
        0.55: (704, 1280),
        0.63: (768, 1216),
        0.76: (832, 1088),
        0.88: (896, 1024),
        1.00: (960, 960),
        1.14: (1024, 896),
        1.31: (1088, 832),
        1.50: (1152, 768),
        1.58: (1216, 768),
        1.82: (1280, 704),
        1.91: (1344, 704),
        2.20: (1408, 640),
        2.30: (1472, 640),
        2.67: (1536, 576),
        2.89: (1664, 576),
        3.62: (1856, 512),
        3.75: (1920, 512),
    },
}

# Guidance of the undistilled model: the published defaults.
QUALITY_SHIFT = {480: 7.0, 720: 11.0}
# Distilled LoRAs are used with text guidance off and this shift, at either size.
DISTILLED_SHIFT = 2.0


@dataclass(frozen=True, slots=True)
class Preset:
    """One choice of the user: how many steps, with which guidance, with which LoRA."""

    name: str
    steps: int
    text_scale: float
    audio_scale: float
    lora: str | None  # id in the weights table
    # The last step of a shifted schedule runs at t = 2 of 1000 and moves the picture by 0.2 % of the
    # velocity: invisible, and a quarter of the work at 4 steps.
    skip_last_step: bool

    def shift(self, size: int) -> float:
        return DISTILLED_SHIFT if self.lora else QUALITY_SHIFT[size]

    @property
    def passes(self) -> int:
        """Transformer passes in a step: condition, without text, without both; equal ones fall away."""
        if self.text_scale != 1.0:
            return 3
        return 1 if self.audio_scale == 1.0 else 2


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("quality", 40, text_scale=5.0, audio_scale=4.0, lora=None, skip_last_step=False),
        Preset("balanced", 8, text_scale=1.0, audio_scale=2.0, lora="fusionx", skip_last_step=True),
        Preset("fast", 4, text_scale=1.0, audio_scale=2.0, lora="lightx2v", skip_last_step=True),
        Preset("turbo", 4, text_scale=1.0, audio_scale=1.0, lora="lightx2v", skip_last_step=True),
    )
}


def bucket(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width in pixels of the bucket nearest to a picture's shape; `size` is 480 or 720."""
    ratio = height / width
    table = BUCKETS[size]
    return table[min(table, key=lambda key: abs(key - ratio))]


def latent_frames(frames: int) -> int:
    """Latent frames of `frames` pixel frames: (F - 1) / 4 + 1."""
    return (frames - 1) // VAE_TIME + 1


def token_count(height: int, width: int, frames: int = WINDOW) -> int:
    """Tokens of a window: 33 600 at 640 x 640, 75 600 at 960 x 960. A token is 2 x 2 latent pixels."""
    return latent_frames(frames) * (height // (2 * VAE_SPACE)) * (width // (2 * VAE_SPACE))
