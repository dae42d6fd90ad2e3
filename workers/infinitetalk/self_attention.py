"""Self-attention of a block, which also says which speaker its tokens look at.

Runs in the InfiniteTalk worker. Tokens (1, L, dim) in and out. It is diffusers' `WanAttention` with a
processor that keeps hold of the queries and keys, so that the reference map (two speakers) costs no
second projection. Without masks it calculates what diffusers' own processor does, bit for bit.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn

from workers.infinitetalk.reference_map import reference_map
from workers.infinitetalk.rotary import rotate_pairs
from workers.infinitetalk.token_run import TokenRun


class SelfAttentionProcessor:
    """Set on `attn1`. The attributes are where diffusers puts the backend and the GPUs to share with."""

    _attention_backend: Any = None
    _parallel_config: Any = None

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
        masks: torch.Tensor | None = None,
        run: TokenRun | None = None,
    ) -> Any:
        """Tokens (1, L, dim); with masks (M, R) over the first frame: the tokens and the map (M, L)."""
        if attn.fused_projections:
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        else:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        query = attn.norm_q(query).unflatten(2, (attn.heads, -1))
        key = attn.norm_k(key).unflatten(2, (attn.heads, -1))
        value = value.unflatten(2, (attn.heads, -1))
        if rotary_emb is not None:
            # diffusers repeats each angle for both channels of a pair.
            cos, sin = rotary_emb[0][..., 0::2], rotary_emb[1][..., 1::2]
            query, key = rotate_pairs(query, cos, sin), rotate_pairs(key, cos, sin)
        out = dispatch_attention_fn(
            query,
            key,
            value,
            attn_mask=attention_mask,
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
        out = attn.to_out[0](out.flatten(2, 3).type_as(query))
        if masks is None or run is None:
            return out
        return out, reference_map(query, run.first_frame(key), masks)
