"""True progress inside a sentence: what a cloner tells per sentence, refined by the steps of each generation.

Runs in the wan2gp worker. Flow: the cloner says "sentence 3 of 10", upstream says "step 12 of 32" of one generation
-> one fraction that never goes back, also when a sentence is taken again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.handler import TaskContext
    from workers.wan2gp.progress import Step

# The phase of a step in which weights are read.
_LOADING = "loading"


class SentenceProgress:
    """A `TaskContext` around the task's own one."""

    def __init__(self, context: TaskContext, *, loading: str) -> None:
        """`loading`: what is said while upstream loads the model."""
        self._context = context
        self._loading = loading
        self._sentence: tuple[int, int] | None = None
        self._piece = (0, 1)
        self._reached = 0.0
        self._message = ""

    # --- what the cloner says ------------------------------------------------------------------

    def progress(
        self,
        fraction: float | None,
        message: str = "",
        *,
        stage: str = "",
        step: int | None = None,
        steps: int | None = None,
        eta_s: float | None = None,
    ) -> None:
        self._sentence = None if step is None or not steps else (step, steps)
        self._message = message
        if fraction is not None:
            fraction = self._reached = max(self._reached, fraction)
        self._context.progress(fraction, message, stage=stage, step=step, steps=steps, eta_s=eta_s)

    def artifact(
        self,
        role: str,
        path: Path,
        *,
        media_type: str,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        self._context.artifact(
            role, path, media_type=media_type, width=width, height=height, fps=fps, duration_s=duration_s
        )

    def log(self, level: str, message: str) -> None:
        self._context.log(level, message)

    @property
    def cancelled(self) -> bool:
        return self._context.cancelled

    def raise_if_cancelled(self) -> None:
        self._context.raise_if_cancelled()

    # --- what upstream says --------------------------------------------------------------------

    def begin(self, piece: int, count: int) -> None:
        """The next generation makes piece number `piece` (from 0) of `count` of the sentence."""
        self._piece = (piece, count)

    def step(self, told: Step) -> None:
        """Tell how far the sentence is. Steps that are not counted leave the fraction where it is."""
        if self._sentence is None:
            return
        done, sentences = self._sentence
        piece, count = self._piece
        inner = min(max(told.step / told.steps, 0.0), 1.0) if told.step is not None and told.steps else 0.0
        self._reached = max(self._reached, (done + (piece + inner) / count) / sentences)
        message = self._loading if told.phase == _LOADING else self._message
        self._context.progress(self._reached, message, step=done, steps=sentences)
