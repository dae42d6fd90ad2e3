"""How far a film is, as a fraction, a sentence and seconds left. Runs in the InfiniteTalk worker; pure.

Loading is the first 3 %, joining the last 2 %. In between every window weighs the same, and within it the
steps 90 % and decoding the rest. Windows of an earlier attempt count as done and say nothing about speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_LOADED = 0.03
_DRAWN = 0.98
_STEPS_SHARE = 0.9
# Less of the film than this done in this attempt is no measure of its speed.
_MIN_SHARE_FOR_ETA = 0.005


class FilmProgress:
    """Never goes back."""

    def __init__(self, windows: int, done: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`done`: windows of an earlier attempt."""
        self._windows = windows
        self._done = done
        self._clock = clock
        self._began: tuple[float, float] | None = None
        self.fraction = 0.0

    def loading(self, share: float) -> float:
        """`share` of the weights is read."""
        return self._raise_to(_LOADED * share)

    def begin(self) -> None:
        """Drawing begins."""
        self._began = (self._clock(), self._done / self._windows)

    def step(self, window: int, step: int, steps: int) -> float:
        """After a step; windows and steps count from 1."""
        return self._drawn(window - 1 + _STEPS_SHARE * step / steps)

    def window(self, window: int) -> float:
        """After a window."""
        return self._drawn(window)

    def eta_s(self) -> float | None:
        """Seconds left at the speed so far; None while that would be a guess."""
        if self._began is None:
            return None
        at, share = self._began
        now = (self.fraction - _LOADED) / (_DRAWN - _LOADED)
        if now - share < _MIN_SHARE_FOR_ETA:
            return None
        return (self._clock() - at) / (now - share) * max(0.0, 1.0 - now)

    def message(self, window: int, step: int, steps: int) -> str:
        """For example “Window 2 of 5 · step 3 of 8”."""
        words = f"step {step} of {steps}"
        if self._windows > 1:
            words = f"window {window} of {self._windows} · {words}"
        return words[:1].upper() + words[1:]

    def _drawn(self, windows: float) -> float:
        return self._raise_to(_LOADED + (_DRAWN - _LOADED) * windows / self._windows)

    def _raise_to(self, fraction: float) -> float:
        self.fraction = max(self.fraction, min(1.0, fraction))
        return self.fraction
