"""Which speech features belong to a pixel frame, and which windows to a latent frame.

Runs in the InfiniteTalk worker; pure functions of frame numbers, so that a window of the film can be made
again without those before it. Shapes, with P speakers and n frames:

    track: rows (frames, 12, 768), one row a pixel frame at 25 fps
    -> windows (P, n, 5, 12, 768): frames t-2 .. t+2 around every frame t

Source: the published loop. Before the first frame the first row repeats; past the last one the speech is
mirrored (last row, the one before it, ...), which is what its appended, flipped tail comes to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from workers.infinitetalk.config import AUDIO_WINDOW, VAE_TIME, WINDOW

REACH = AUDIO_WINDOW // 2  # rows on each side of the frame's own


class Features(Protocol):
    """One speaker's speech, a row of hidden states for each frame at 25 fps."""

    @property
    def frames(self) -> int: ...

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start .. stop - 1, shape (stop - start, layers, width), fp32 on the CPU."""


class TensorFeatures:
    """Features that are in memory already: a tensor (frames, layers, width)."""

    def __init__(self, rows: torch.Tensor) -> None:
        if rows.ndim != 3 or not rows.shape[0]:
            raise ValueError(f"features are (frames, layers, width), not {tuple(rows.shape)}")
        self._rows = rows

    @property
    def frames(self) -> int:
        return int(self._rows.shape[0])

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return self._rows[start:stop]


def row_of(frame: int, frames: int) -> int:
    """The row that stands for any frame number: itself, the first one before, the mirrored ones after."""
    if frame < frames:
        return max(0, frame)
    return max(0, 2 * frames - 1 - frame)


def window_rows(start: int, count: int, frames: int) -> list[list[int]]:
    """For each of `count` frames from `start`: the five rows of its window. (count, 5) row numbers."""
    return [
        [row_of(frame + offset, frames) for offset in range(-REACH, REACH + 1)]
        for frame in range(start, start + count)
    ]


def audio_windows(tracks: Sequence[Features], start: int, count: int = WINDOW) -> torch.Tensor:
    """Windows of all speakers: (P, count, 5, layers, width). Tracks run in parallel and are equally long."""
    frames = tracks[0].frames
    if any(track.frames != frames for track in tracks):
        raise ValueError(f"tracks of {[track.frames for track in tracks]} frames do not run in parallel")
    if start < 0 or count < 1:
        raise ValueError(f"no windows for {count} frames from {start}")
    table = window_rows(start, count, frames)
    first = min(map(min, table))
    index = torch.tensor(table) - first
    last = int(index.max()) + first
    return torch.stack([track.rows(first, last + 1)[index] for track in tracks])


def latent_groups(count: int) -> list[list[tuple[int, int]]]:
    """(frame, place in its window) of the rows that each latent frame is given, for `count` pixel frames.

    The first latent frame stands for one pixel frame and gets its five rows. A later one stands for four
    and gets eight: the past and centre of the first, the centres of the two in the middle, the centre and
    future of the last. The transformer's projection does this by slicing; this is the table it must equal.
    """
    if (count - 1) % VAE_TIME:
        raise ValueError(f"{count} frames are not 4 (T - 1) + 1")
    groups = [[(0, place) for place in range(AUDIO_WINDOW)]]
    for first in range(1, count, VAE_TIME):
        last = first + VAE_TIME - 1
        past = [(first, place) for place in range(REACH + 1)]
        middle = [(frame, REACH) for frame in range(first + 1, last)]
        future = [(last, place) for place in range(REACH, AUDIO_WINDOW)]
        groups.append(past + middle + future)
    return groups
