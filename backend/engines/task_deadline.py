"""When a task has taken too long: after so much time, or after so much time without a step forward. Service process.

A film on a small graphics card takes a day and is no less well for it; what gets no further is not. Silence of the
whole process is looked for elsewhere (`WorkerLimits.quiet_running_s`).
"""

from __future__ import annotations

from collections.abc import Callable

from backend.engines.worker_types import ProgressUpdate
from backend.utils.clock import Clock

# Whatever moves: no task takes longer, s. As long as JOB_DEADLINE_S may be at most.
LONGEST_S = 604_800.0


class TaskDeadline:
    """Of one task. Times are those of one monotonic clock, s."""

    def __init__(self, seconds: float, now_s: float, *, moves: bool) -> None:
        """`moves`: it begins anew with each step forward, up to `LONGEST_S` in all."""
        self._seconds = seconds
        self._moves = moves
        self._highest = 0.0
        self._last_s = now_s + max(seconds, LONGEST_S)
        self.ends_at_s = now_s + seconds

    def hearing(
        self, report: Callable[[ProgressUpdate], None] | None, clock: Clock
    ) -> Callable[[ProgressUpdate], None]:
        """A listener that notes each update and passes it on to `report`."""

        def heard(update: ProgressUpdate) -> None:
            self.note(update.fraction, clock.monotonic_s())
            if report is not None:
                report(update)

        return heard

    def note(self, fraction: float | None, now_s: float) -> None:
        """How much is done, 0 to 1, None when nobody knows. Only more than ever before is a step forward."""
        if self._moves and fraction is not None and fraction > self._highest:
            self._highest = fraction
            self.ends_at_s = min(self._last_s, now_s + self._seconds)
