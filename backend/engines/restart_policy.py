"""When a worker that died may be started again: backoff and circuit breaker. Service process.

Pure: a clock and counters. One instance per engine; the supervisor tells it what happened and asks it
how long to wait.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from backend.utils.clock import Clock

FIRST_DELAY_S = 1.0
MAX_DELAY_S = 60.0
# Spread, so that engines that died together (out of memory) do not come back together.
JITTER = 0.2
# A worker that was ready for this long had recovered: its death is not part of a series.
STABLE_S = 30.0
FAILURES_TO_OPEN = 5
OPEN_S = 300.0


class RestartPolicy:
    """Counts failures in a row. Delays are 1, 2, 4 … 60 s, ±20 %; five in a row open the circuit."""

    def __init__(self, clock: Clock, spread: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._spread = spread
        self._in_a_row = 0
        self._not_before_s = 0.0
        self._open_until_s: float | None = None

    @property
    def failures_in_a_row(self) -> int:
        return self._in_a_row

    def succeeded(self) -> None:
        """A task was done: whatever was wrong is over."""
        self._in_a_row = 0
        self._not_before_s = 0.0
        self._open_until_s = None

    def forgive(self) -> None:
        """Somebody mended it: try again at once."""
        self.succeeded()

    def failed(self, *, ready_for_s: float = 0.0, open_now: bool = False) -> None:
        """A worker died or could not start; `ready_for_s` is how long it had been ready."""
        now = self._clock.monotonic_s()
        if ready_for_s >= STABLE_S:
            self._in_a_row = 0
        self._in_a_row += 1
        delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** (self._in_a_row - 1))
        self._not_before_s = now + delay * (1 + JITTER * (2 * self._spread() - 1))
        if open_now or self._in_a_row >= FAILURES_TO_OPEN:
            # After the rest one try is let through; if it fails too, the count is still above the limit.
            self._open_until_s = now + OPEN_S
            self._not_before_s = self._open_until_s

    def wait_s(self) -> float:
        """Seconds until the next start may be tried; 0 = now."""
        return max(0.0, self._not_before_s - self._clock.monotonic_s())

    def open_for_s(self) -> float | None:
        """Seconds the engine stays unavailable, or None while it may be used."""
        if self._open_until_s is None:
            return None
        left = self._open_until_s - self._clock.monotonic_s()
        return left if left > 0 else None
