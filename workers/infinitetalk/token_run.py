"""Which tokens of a window this process holds, when several GPUs share one pass.

Runs in the InfiniteTalk worker. The L = T · tokens_per_frame tokens of a window lie frame after frame;
diffusers' context parallelism gives each rank one run of them, which may cut a frame in two. What
works frame by frame (the audio attention) or needs numbers of other ranks (the reference map) asks here.
On one GPU the run is everything and nothing is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class TokenRun:
    """Tokens `start` to `stop` of `total`; `group` is the process group that holds the others."""

    start: int
    stop: int
    total: int
    tokens_per_frame: int
    group: Any = None

    @classmethod
    def whole(cls, total: int, tokens_per_frame: int) -> TokenRun:
        return cls(0, total, total, tokens_per_frame)

    @classmethod
    def of_rank(cls, rank: int, ranks: int, total: int, tokens_per_frame: int, group: Any) -> TokenRun:
        """The run diffusers gives this rank: as equal as possible, longer ones first."""
        size, longer = divmod(total, ranks)
        start = rank * size + min(rank, longer)
        return cls(start, start + size + (rank < longer), total, tokens_per_frame, group)

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def frames(self) -> slice:
        """Latent frames the run touches."""
        return slice(self.start // self.tokens_per_frame, -(-self.stop // self.tokens_per_frame))

    @property
    def padding(self) -> tuple[int, int]:
        """Tokens missing in front and behind for the run to be whole frames."""
        frames = self.frames
        return (
            self.start - frames.start * self.tokens_per_frame,
            frames.stop * self.tokens_per_frame - self.stop,
        )

    def to_frames(self, x: torch.Tensor) -> torch.Tensor:
        """(length, ...) -> (frames, tokens_per_frame, ...), zeros where other ranks hold the tokens."""
        front, behind = self.padding
        if front or behind:
            x = torch.nn.functional.pad(x, (0, 0) * (x.ndim - 1) + (front, behind))
        return x.unflatten(0, (-1, self.tokens_per_frame))

    def from_frames(self, x: torch.Tensor) -> torch.Tensor:
        """(frames, tokens_per_frame, ...) -> (length, ...): the inverse of `to_frames`."""
        front, _ = self.padding
        return x.flatten(0, 1)[front : front + self.length]

    def first_frame(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens of the first latent frame, (B, tokens_per_frame, ...), from x (B, length, ...).

        Every rank puts its part into zeros and the sum is taken: a number plus zeros is that number.
        """
        wanted = self.tokens_per_frame
        if self.group is None:
            return x[:, :wanted]
        whole = x.new_zeros(x.shape[0], wanted, *x.shape[2:])
        if self.start < wanted:
            stop = min(self.stop, wanted)
            whole[:, self.start : stop] = x[:, : stop - self.start]
        dist.all_reduce(whole, op=dist.ReduceOp.SUM, group=self.group)
        return whole

    def extremes(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Least and greatest of each row of x (rows, length), over all ranks: (rows,) each."""
        # Both are found as maxima, so that one message does.
        both = torch.stack([-x.amin(1), x.amax(1)])
        if self.group is not None:
            dist.all_reduce(both, op=dist.ReduceOp.MAX, group=self.group)
        return -both[0], both[1]
