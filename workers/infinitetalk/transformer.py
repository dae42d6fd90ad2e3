"""The network: Wan2.1 image-to-video with InfiniteTalk's audio attention in every block.

Runs in the InfiniteTalk worker, one to three times in a step. B = 1, T latent frames of H x W latent
pixels, F = 4 (T - 1) + 1 pixel frames, P speakers (1 or 2), L = T · H/2 · W/2 tokens:

latents and condition (1, 36, T, H, W), timestep (1,), text (1, 512, 4096), CLIP (1, 257, 1280),
speech (P, F, 5, 12, 768), masks (P + 1, H, W) -> velocity (1, 16, T, H, W)

Order in a block: self-attention, text and picture, audio, feed-forward. The audio branch alone is not
modulated by the timestep. Base: diffusers' `WanTransformer3DModel`; from it come attention
backends, group offload, layerwise casting, LoRA, caches and context parallelism. For inference only:
elementwise work is done in place, which saves two fp32 copies of all tokens.

Source of the additions: InfiniteTalk's published model (Apache-2.0), written from its tensors' facts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from diffusers.configuration_utils import register_to_config
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel, WanTransformerBlock
from torch import nn
from torch.nn import functional

from workers.infinitetalk.audio_attention import AudioCrossAttention
from workers.infinitetalk.audio_projection import AudioProjection, split_windows
from workers.infinitetalk.config import TEXT_TOKENS
from workers.infinitetalk.reference_map import speaker_positions, token_masks
from workers.infinitetalk.self_attention import SelfAttentionProcessor
from workers.infinitetalk.timestep import Fp64Timesteps
from workers.infinitetalk.token_run import TokenRun

PATCH = (1, 2, 2)

# Called with the tokens that enter the blocks (1, L, dim), the timestep embedding (1, dim), its
# projection (1, 6, dim) and a function that runs all blocks; returns the tokens that leave them.
AroundBlocks = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, Callable[[torch.Tensor], torch.Tensor]], torch.Tensor
]


def _modulated(norm: nn.Module, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """norm(x) · (1 + scale) + shift in fp32, back in x's type."""
    return norm(x.float()).mul_(1 + scale).add_(shift).type_as(x)


def _gated(x: torch.Tensor, update: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """x + update · gate in fp32, back in x's type."""
    return (update * gate).add_(x).type_as(x)


class InfiniteTalkBlock(WanTransformerBlock):
    """One of 40. `hidden_states` comes first and under this name, as diffusers' caches expect."""

    def __init__(
        self, dim: int, ffn_dim: int, num_heads: int, eps: float, added_kv_proj_dim: int, audio_dim: int
    ) -> None:
        super().__init__(
            dim, ffn_dim, num_heads, cross_attn_norm=True, eps=eps, added_kv_proj_dim=added_kv_proj_dim
        )
        self.attn1.set_processor(SelfAttentionProcessor())
        self.norm_x = FP32LayerNorm(dim, eps, elementwise_affine=True)
        self.audio_cross_attn = AudioCrossAttention(dim, num_heads, audio_dim)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        rotary_emb: tuple[torch.Tensor, torch.Tensor],
        audio: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
        run: TokenRun | None = None,
    ) -> torch.Tensor:
        """Tokens (1, L, dim), context (1, 257 + 512, dim), temb (1, 6, dim), audio (T, P · N, width), masks (M, R)."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (self.scale_shift_table + temb.float()).chunk(
            6, 1
        )
        positions = None
        update = self.attn1(
            _modulated(self.norm1, hidden_states, scale, shift), None, None, rotary_emb, masks=masks, run=run
        )
        if masks is not None and run is not None:
            update, seen = update
            positions = speaker_positions(seen, run)
        hidden_states = _gated(hidden_states, update, gate)
        normed = self.norm2(hidden_states.float()).type_as(hidden_states)
        hidden_states = hidden_states + self.attn2(normed, encoder_hidden_states, None, None)
        if audio is not None and run is not None:
            normed = self.norm_x(hidden_states.float()).type_as(hidden_states)
            hidden_states = hidden_states + self.audio_cross_attn(normed, audio, run, positions)
        update = self.ffn(_modulated(self.norm3, hidden_states, ffn_scale, ffn_shift))
        return _gated(hidden_states, update, ffn_gate)


class InfiniteTalkTransformer(WanTransformer3DModel):
    """See the module. Without `audio` it is Wan2.1 image-to-video."""

    _supports_gradient_checkpointing = False
    _no_split_modules = ["InfiniteTalkBlock"]  # noqa: RUF012 - diffusers' attributes, its kinds
    _repeated_blocks = ["InfiniteTalkBlock"]  # noqa: RUF012
    # Small weights suffer most from unscaled fp8: the audio projection stays as it is.
    _skip_layerwise_casting_patterns = ["patch_embedding", "condition_embedder", "norm", "audio_proj"]  # noqa: RUF012
    _keep_in_fp32_modules = [*WanTransformer3DModel._keep_in_fp32_modules, "norm_x"]  # noqa: RUF012
    # As the parent's, but the tokens are cut before the blocks and not at the door of the first, so
    # that what runs around the blocks sees equal shapes going in and coming out.
    _cp_plan = {  # noqa: RUF012
        "rope": WanTransformer3DModel._cp_plan["rope"],
        "stack_input": {0: ContextParallelInput(split_dim=1, expected_dims=3, split_output=True)},
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    @register_to_config
    def __init__(
        self,
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 36,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        eps: float = 1e-6,
        image_dim: int = 1280,
        added_kv_proj_dim: int = 5120,
        audio_window: int = 5,
        audio_layers: int = 12,
        audio_width: int = 768,
        audio_hidden: int = 512,
        audio_dim: int = 768,
        audio_tokens: int = 32,
    ) -> None:
        own = dict(self.config)
        super().__init__(
            patch_size=PATCH,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=0,
            eps=eps,
            image_dim=image_dim,
            added_kv_proj_dim=added_kv_proj_dim,
        )
        # The parent has just recorded its own arguments, an empty stack among them: what is saved and
        # loaded again is this class's.
        del self._internal_dict
        self.register_to_config(**own)
        dim = num_attention_heads * attention_head_dim
        self.condition_embedder.timesteps_proj = Fp64Timesteps(freq_dim)
        self.audio_proj = AudioProjection(
            audio_window, audio_layers, audio_width, audio_hidden, audio_dim, audio_tokens
        )
        self.stack_input = nn.Identity()
        self.blocks = nn.ModuleList(
            InfiniteTalkBlock(dim, ffn_dim, num_attention_heads, eps, added_kv_proj_dim, audio_dim)
            for _ in range(num_layers)
        )

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: torch.Tensor,
        audio: torch.Tensor | None = None,
        ref_masks: torch.Tensor | None = None,
        *,
        around_blocks: AroundBlocks | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Velocity (1, 16, T, H, W) in the type of `hidden_states`. Shapes: see the module.

        Masks count with two speakers only. Text shorter than 512 tokens is filled up with zeros.
        """
        frames, height, width = (
            size // patch for size, patch in zip(hidden_states.shape[2:], PATCH, strict=True)
        )
        run = self._token_run(frames, height * width)
        rotary = self.rope(hidden_states)
        tokens = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()
        temb, projection, text, image = self.condition_embedder(
            timestep,
            functional.pad(encoder_hidden_states, (0, 0, 0, TEXT_TOKENS - encoder_hidden_states.shape[1])).to(
                tokens.dtype
            ),
            encoder_hidden_states_image.to(tokens.dtype),
        )
        projection = projection.unflatten(1, (6, -1))
        context = torch.cat([image, text], dim=1)
        heard = self._audio_tokens(audio, hidden_states) if audio is not None else None
        masks = None
        if audio is not None and audio.shape[0] > 1:
            if ref_masks is None:
                raise ValueError("two speakers need masks that say who is where")
            masks = token_masks(ref_masks, height, width)

        def run_blocks(entering: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                entering = block(entering, context, projection, rotary, heard, masks, run)
            return entering

        tokens = self.stack_input(tokens)
        tokens = around_blocks(tokens, temb, projection, run_blocks) if around_blocks else run_blocks(tokens)
        shift, scale = (self.scale_shift_table + temb[:, None]).chunk(2, dim=1)
        tokens = self.proj_out(_modulated(self.norm_out, tokens, scale, shift))
        # (1, L, 2 · 2 · 16) -> (1, 16, T, H, W): a token's numbers are row, column, channel.
        grid = tokens.unflatten(2, (*PATCH[1:], -1)).unflatten(1, (frames, height, width))
        velocity = grid.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)
        return Transformer2DModelOutput(sample=velocity) if return_dict else velocity

    def _audio_tokens(self, audio: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Windows (P, F, 5, 12, 768) -> (T, P · N, width): per frame, one speaker after the other."""
        if latents.shape[0] != 1:
            raise ValueError(f"audio goes with one sample at a time, not {latents.shape[0]}")
        tokens = self.audio_proj(*split_windows(audio.to(latents.dtype)))
        if tokens.shape[1] != latents.shape[2]:
            raise ValueError(f"audio of {tokens.shape[1]} latent frames for a picture of {latents.shape[2]}")
        return tokens.transpose(0, 1).flatten(1, 2).to(latents.dtype)

    def _token_run(self, frames: int, tokens_per_frame: int) -> TokenRun:
        total = frames * tokens_per_frame
        parallel = getattr(self._parallel_config, "context_parallel_config", None)
        if parallel is None:
            return TokenRun.whole(total, tokens_per_frame)
        group = parallel._flattened_mesh.get_group()
        return TokenRun.of_rank(
            dist.get_rank(group), dist.get_world_size(group), total, tokens_per_frame, group
        )


# One tensor goes in under `hidden_states` and one comes out.
TransformerBlockRegistry.register(
    InfiniteTalkBlock,
    TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None),
)
