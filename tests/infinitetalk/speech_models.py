"""Tiny random wav2vec2 models and made-up speech for the engine's tests."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

from workers.infinitetalk.speech_model import SpeechModel


def tiny_wav2vec2(norm: str = "group", width: int = 16, seed: int = 5) -> Wav2Vec2Model:
    """Twelve narrow layers on the real model's convolutions (400 samples seen, one feature every 320)."""
    config = Wav2Vec2Config(
        hidden_size=width,
        num_hidden_layers=12,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        conv_bias=norm == "layer",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Wav2Vec2Model(config)
        with torch.no_grad():
            for parameter in model.parameters():
                # Larger than the initial weights, so that attention tells the frames apart.
                if parameter.ndim >= 2:
                    parameter.copy_(torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
                else:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def tiny_speech_model(norm: str = "group", width: int = 16) -> SpeechModel:
    return SpeechModel(tiny_wav2vec2(norm, width))


def babble(seconds: float, rate: int = 16_000, seed: int = 3) -> npt.NDArray[np.float64]:
    """Syllable-like noise: a few tones whose loudness and pitch wander, with pauses."""
    generator = np.random.default_rng(seed)
    count = round(seconds * rate)
    time = np.arange(count) / rate
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time + generator.uniform(0, 6)), 0, None)
    phrases = (np.sin(2 * np.pi * 0.23 * time + generator.uniform(0, 6)) > -0.6).astype(float)
    pitch = 140 + 30 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(k * phase + generator.uniform(0, 6)) / k for k in range(1, 12))
    return 0.2 * syllables * phrases * voice + 0.002 * generator.standard_normal(count)


def write_wav(
    path: Path, samples: npt.NDArray[np.float64], rate: int = 24_000, width: int = 2, channels: int = 1
) -> Path:
    """PCM, little endian; every channel gets the same samples."""
    top = 2 ** (8 * width - 1)
    whole = np.clip(np.round(samples * top), -top, top - 1).astype(np.int64)
    if width == 1:
        data = (whole + 128).astype(np.uint8)[:, None]
    else:
        data = whole.astype("<i8")[:, None].view(np.uint8)[:, :width]
    data = np.repeat(data[:, None, :], channels, axis=1)
    with wave.open(str(path), "wb") as wav:
        wav.setparams((channels, width, rate, 0, "NONE", ""))
        wav.writeframes(data.tobytes())
    return path
