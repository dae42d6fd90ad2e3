"""How many floating-point operations a pass of InfiniteTalk's transformer takes, and how many weights it has.

A multiplication and an addition are two operations. Counted are matrix products and attention, which are
all but a thousandth of the work; `tests/infinitetalk/test_benchmark.py` holds the sum to torch's counter.
"""

from __future__ import annotations

from workers.infinitetalk.config import (
    IMAGE_TOKENS,
    TEXT_TOKENS,
    VAE_SPACE,
    VAE_TIME,
    ModelConfig,
    latent_frames,
)

# Patches of a token, and the three parts of the modulation for attention and feed-forward each.
_PATCH = 4
_MODULATION = 6


def pass_flops(config: ModelConfig, height: int, width: int, frames: int, speakers: int) -> int:
    """Operations of one pass over `frames` pictures of height x width pixels."""
    times, per_frame = latent_frames(frames), (height // (2 * VAE_SPACE)) * (width // (2 * VAE_SPACE))
    tokens, dim, heard = times * per_frame, config.dim, speakers * config.audio_tokens
    context = TEXT_TOKENS + IMAGE_TOKENS
    block = (
        4 * tokens * dim * dim  # self-attention: q, k, v, out
        + 2 * tokens * tokens * dim  # its two products
        + 2 * tokens * dim * dim  # text and picture: q, out
        + 2 * context * dim * dim  # k, v
        + 2 * tokens * context * dim
        + 2 * tokens * dim * dim  # audio: q, out
        + times * heard * config.audio_dim * 2 * dim  # k and v
        + 2 * tokens * heard * dim
        + 2 * tokens * dim * config.ffn_dim
    )
    if speakers > 1:
        # The reference map: tokens by those of the first frame, mask columns as wide as a head.
        block += 2 * tokens * per_frame * dim
    once = (
        tokens * config.in_channels * _PATCH * dim
        + TEXT_TOKENS * (config.text_dim + dim) * dim
        + IMAGE_TOKENS * (config.image_dim + dim) * config.image_dim
        + (config.freq_dim + dim + _MODULATION * dim) * dim
        + tokens * dim * config.out_channels * _PATCH
    )
    return 2 * (config.layers * block + once + speakers * _projection(config, times))


def _projection(config: ModelConfig, times: int) -> int:
    """Multiplications of the audio projection for one speaker."""
    features, hidden = config.audio_layers * config.audio_width, config.audio_hidden
    first = config.audio_window * features * hidden
    later = (times - 1) * (config.audio_window + VAE_TIME - 1) * features * hidden
    return first + later + times * hidden * (hidden + config.audio_tokens * config.audio_dim)
