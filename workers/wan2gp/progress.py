"""From upstream's events to one true number. Runs in the wan2gp worker; pure functions and counters.

Flow: progress event -> `Step` (which window, which step, what is being done) -> share of one part -> share of the whole
job. Upstream's own percentage starts anew in every sliding window, and its phase is that of the moment the event was
read, not of the event: the words of `status` and the two counters are what can be trusted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_WINDOW = re.compile(r"sliding window\s+(\d+)\s*/\s*(\d+)", re.IGNORECASE)
# Words of a status -> what we call it; read in this order.
_PHASES = (
    ("loading", "loading"),
    ("encoding", "encoding"),
    ("denois", "denoising"),
    ("decoding", "decoding"),
    ("saving", "saving"),
)
_WORKING = "working"
# What a window's time goes to, roughly: the text encoder, the steps, then the decoder and the file.
_ENCODED = 0.02
_DENOISED = 0.92
# Joining the parts takes a moment of its own.
_PARTS_SHARE = 0.97
# With fewer steps done than this a remaining time would be a guess.
_MIN_SHARE_FOR_ETA = 0.02
_LABELS = {
    "loading": "loading the model",
    "encoding": "reading the prompt",
    "decoding": "decoding the pictures",
    "saving": "writing the file",
}


@dataclass(frozen=True)
class Step:
    """Where one generation stands. `step` is None while nothing can be counted."""

    phase: str
    window: int = 1
    windows: int = 1
    step: int | None = None
    steps: int | None = None

    @property
    def share(self) -> float:
        """How much of this generation is done, 0 to 1."""
        if self.phase == "loading":
            return 0.0
        return (self.window - 1 + self._share_of_window()) / self.windows

    def _share_of_window(self) -> float:
        counted = self.step is not None and self.steps
        if self.phase in {"decoding", "saving"}:
            return _DENOISED
        if counted and self.step is not None and self.steps:
            return _ENCODED + (_DENOISED - _ENCODED) * min(1.0, self.step / self.steps)
        return 0.0


def step_of_status(text: str) -> Step | None:
    """What a `status` event says, if it says anything about progress."""
    return Step("loading") if text.lower().startswith("loading") else None


def step_of_progress(data: Any) -> Step:
    """What a `progress` event says."""
    status = str(getattr(data, "status", "") or "")
    lowered = status.lower()
    phase = next((name for word, name in _PHASES if word in lowered), _WORKING)
    window, windows = 1, 1
    if found := _WINDOW.search(status):
        window, windows = int(found[1]), int(found[2])
    windows = max(1, windows)
    step, steps = _count(getattr(data, "current_step", None)), _count(getattr(data, "total_steps", None))
    if not steps:
        step = steps = None
    return Step(phase, min(max(1, window), windows), windows, step, steps)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


class Overall:
    """The progress of a job of several parts: weighed by their work, never going back."""

    def __init__(self, weights: Sequence[float], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`weights`: how much work each part is, for instance windows times steps."""
        self._weights = [max(float(weight), 1e-6) for weight in weights]
        self._done = 0.0  # weight of finished parts
        self._highest = 0.0
        self._part = 0
        self._clock = clock
        self._began: tuple[float, float] | None = None  # when and at which share the real work began

    @property
    def fraction(self) -> float:
        return self._highest

    def begin(self, part: int) -> None:
        """Part `part` (from 0) is next."""
        self._part = part

    def finish(self, part: int, *, reused: bool = False) -> None:
        """A part is done; work that an earlier attempt did says nothing about the speed of this one."""
        self._done += self._weights[part]
        self._raise_to(self._done / self._total)
        if reused:
            self._began = None

    def at(self, step: Step) -> float:
        """The share of the whole job after `step` of the current part."""
        if step.phase != "loading" and self._began is None:
            self._began = (self._clock(), self._done / self._total)
        self._raise_to((self._done + self._weights[self._part] * step.share) / self._total)
        return self._highest

    def eta_s(self) -> float | None:
        """Seconds left at the speed so far; None while that would be a guess."""
        if self._began is None:
            return None
        at, share = self._began
        gained = self._highest / _PARTS_SHARE - share
        if gained < _MIN_SHARE_FOR_ETA:
            return None
        return (self._clock() - at) / gained * max(0.0, 1.0 - self._highest)

    def message(self, step: Step) -> str:
        """The sentence for a person, e.g. “Part 2 of 5 · window 1 of 3 · step 12 of 30”."""
        words = []
        if len(self._weights) > 1:
            words.append(f"part {self._part + 1} of {len(self._weights)}")
        if step.windows > 1:
            words.append(f"window {step.window} of {step.windows}")
        if step.phase in _LABELS:
            words.append(_LABELS[step.phase])
        elif step.step is not None and step.steps:
            words.append(f"step {step.step} of {step.steps}")
        else:
            words.append("working")
        text = " · ".join(words)
        return text[:1].upper() + text[1:]

    @property
    def _total(self) -> float:
        return sum(self._weights) or 1.0

    def _raise_to(self, share: float) -> None:
        self._highest = max(self._highest, min(1.0, share) * _PARTS_SHARE)
