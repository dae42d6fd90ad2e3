"""Tokens of a latent frame listen to the audio tokens of that frame.

Runs in the InfiniteTalk worker, in every block. L tokens of this process (T frames of S tokens when it
holds the window alone), N audio tokens a speaker and frame, P speakers:

tokens (1, L, dim), audio (T, P · N, width) -> (1, L, dim)

Frames are the batch of the attention call. Under context parallelism a rank's run may begin or end
within a frame: it is filled up to whole frames and cut again, and only those frames' audio is used.
With two speakers queries and keys are rotated by positions on a line (see reference_map.py), which
draws a token to the speaker it belongs to.

Source: InfiniteTalk's published model, tensors `blocks.N.audio_cross_attn.*`; no norm on q and k.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch import nn

from workers.infinitetalk.reference_map import SPEAKER_KEYS
from workers.infinitetalk.rotary import line_angles, rotate_pairs
from workers.infinitetalk.token_run import TokenRun


class AudioAttentionProcessor:
    """Holds the attention backend, where diffusers looks for it. Each rank attends alone."""

    _attention_backend: Any = None

    def __call__(
        self,
        attn: AudioCrossAttention,
        hidden_states: torch.Tensor,
        audio: torch.Tensor,
        run: TokenRun,
        positions: torch.Tensor | None = None,
    ) -> torch.Tensor:
        audio = audio[run.frames]
        query = run.to_frames(attn.q_linear(hidden_states)[0]).unflatten(-1, (attn.heads, -1))
        key, value = attn.kv_linear(audio).unflatten(-1, (2, attn.heads, -1)).unbind(2)
        if positions is not None:
            query = rotate_pairs(query, *line_angles(run.to_frames(positions), query.shape[-1]))
            speakers = positions.new_tensor(SPEAKER_KEYS).repeat_interleave(
                audio.shape[1] // len(SPEAKER_KEYS)
            )
            key = rotate_pairs(key, *line_angles(speakers[None], key.shape[-1]))
        heard = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        heard = run.from_frames(heard.flatten(2).type_as(query))
        return attn.proj(heard[None])


class AudioCrossAttention(nn.Module, AttentionModuleMixin):
    """`audio_cross_attn` of a block."""

    _default_processor_cls = AudioAttentionProcessor
    _available_processors = [AudioAttentionProcessor]  # noqa: RUF012 - the name and kind are diffusers'
    _supports_qkv_fusion = False  # published as q and kv already

    def __init__(self, dim: int, heads: int, audio_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(dim, dim)
        self.kv_linear = nn.Linear(audio_dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.set_processor(AudioAttentionProcessor())

    def forward(
        self,
        hidden_states: torch.Tensor,
        audio: torch.Tensor,
        run: TokenRun,
        positions: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.processor(self, hidden_states, audio, run, positions)
