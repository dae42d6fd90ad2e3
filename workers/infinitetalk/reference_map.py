"""Which speaker a token belongs to: how much it looks at each person in the first latent frame.

Runs in the InfiniteTalk worker, in every block, and only with two speakers. L tokens of this process,
R tokens of the first latent frame, M = 3 masks (person 1, person 2, background), heads of width d:

queries (1, L, heads, d), keys (1, R, heads, d), masks (M, R) -> map (M, L) -> positions (L,)

The map is the mean over heads of softmax(q k / sqrt(d)) · mask / |mask|. Written out it needs
heads x L x R numbers, 4.3 GB in bf16 at 480p. Here the masks are the value columns of an ordinary
attention call, so a fused kernel sums up as it goes and nothing of that size exists.

Source: InfiniteTalk's published model. Positions follow it too: person 1 gets 0..4, person 2
20..24, each by how strongly a token looks at them, the background 12.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from workers.infinitetalk.token_run import TokenRun

# Positions on the line, and those of the audio tokens: the middle of their speaker's range.
SPEAKER_STARTS = (0.0, 20.0)
SPEAKER_RANGE = 4.0
BACKGROUND = 12.0
SPEAKER_KEYS = tuple(start + SPEAKER_RANGE / 2 for start in SPEAKER_STARTS)
_EPSILON = 1e-8


def token_masks(masks: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Masks (M, H, W) over latent pixels as (M, R) over the tokens of one frame, nearest pixel."""
    small = functional.interpolate(masks[None].float(), size=(height, width), mode="nearest")
    return small[0].flatten(1)


def reference_map(query: torch.Tensor, key: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Queries (1, L, heads, d), keys of the first frame (1, R, heads, d), masks (M, R): map (M, L), fp32.

    Fused kernels want values as wide as the keys, so the mask columns are filled up with zeros.
    The user's choice of an attention backend does not apply: a quantising one would blur the map.
    """
    heads, width = query.shape[2:]
    columns = functional.pad(masks.T.to(query.dtype), (0, width - masks.shape[0]))
    seen = functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), columns.expand(1, heads, -1, -1)
    )
    # A mask that lost its last pixel to the resizing is looked at by nobody.
    sizes = masks.float().sum(1).clamp_min(torch.finfo(torch.float32).tiny)
    return seen[0, :, :, : masks.shape[0]].float().mean(0).T / sizes[:, None]


def speaker_positions(seen: torch.Tensor, run: TokenRun) -> torch.Tensor:
    """Map (3, L) -> position of each token on the line, (L,). Extremes are those of the whole window."""
    people = seen[:2]
    low, high = (extreme[:, None] for extreme in run.extremes(people))
    starts = seen.new_tensor(SPEAKER_STARTS)[:, None]
    scaled = (people - low) / (high - low + _EPSILON) * SPEAKER_RANGE + starts
    choices = torch.cat([scaled, torch.full_like(scaled[:1], BACKGROUND)])
    return choices.gather(0, seen.argmax(0, keepdim=True))[0]
