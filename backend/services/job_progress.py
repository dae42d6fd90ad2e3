"""How far a running job is: stage fractions become one percentage, written no oftener than it matters.

Runs in the service process. Engines report often; a row is written for each point gained, at most four a
second, and now and then for a new message alone: a stage of two points may take a minute. The row is the only copy:
whoever reads the job or its events sees the same figure, never a lower one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from backend.models.codes import StageName
from backend.utils.clock import Clock

# Where each stage begins and ends, in percent: the shares that the stages of a ten-second draft take.
# The finish stage ends at 99; 100 is written with the verified result and by nothing else.
SPANS: dict[StageName, tuple[float, float]] = {
    StageName.SCRIPT: (0.0, 2.0),
    StageName.SPEECH: (2.0, 25.0),
    StageName.VIDEO: (25.0, 92.0),
    StageName.FINISH: (92.0, 99.0),
}
# A bar that moves four times a second looks smooth, and a write is a fifth of a millisecond; with whole
# points only, a job writes at most a hundred of these rows.
WRITE_EVERY_S = 0.25
WRITE_EVERY_POINTS = 1.0
# A new message without a point: soon enough to show that something goes on (a model loads, a text grows), and so
# often in one stage, because its rows are kept.
MESSAGE_EVERY_S = 1.0
MESSAGES_PER_STAGE = 60
# An estimate from less than this much of a stage is a guess and is not shown.
ETA_AFTER_FRACTION = 0.05

Write = Callable[[float, str, float | None], Awaitable[None]]


class StageProgress:
    """Progress of one stage of one job. `report` may be called as often as the engine likes."""

    def __init__(self, stage: StageName, *, floor: float, clock: Clock, write: Write) -> None:
        self._low, self._high = SPANS[stage]
        self._clock = clock
        self._write = write
        self._started_s = clock.monotonic_s()
        self._percent = max(floor, self._low)
        self._message = ""
        self._written_message = ""
        self._messages_left = MESSAGES_PER_STAGE
        self._written_at_s = float("-inf")
        self._written = self._percent
        self._writing: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    def report(self, fraction: float | None, message: str) -> None:
        """Take a fraction of this stage (0..1, None when unknown). Never goes back."""
        if fraction is not None:
            clamped = min(1.0, max(0.0, fraction))
            self._percent = max(self._percent, self._low + (self._high - self._low) * clamped)
        if message:
            self._message = message
        now_s = self._clock.monotonic_s()
        since_s = now_s - self._written_at_s
        has_gained = since_s >= WRITE_EVERY_S and self._percent - self._written >= WRITE_EVERY_POINTS
        says_more = (
            since_s >= MESSAGE_EVERY_S and self._message != self._written_message and self._messages_left > 0
        )
        if (has_gained or says_more) and (self._writing is None or self._writing.done()):
            self._messages_left -= 0 if has_gained else 1
            self._written_at_s, self._written, self._written_message = now_s, self._percent, self._message
            writing = self._write(self._percent, self._message, self._eta(fraction, now_s))
            self._writing = asyncio.ensure_future(writing)
        elif self._percent - self._written >= WRITE_EVERY_POINTS and self._later is None:
            # Too soon after the last row. There may be no other report for long: an engine deep in native code.
            self._later = asyncio.get_running_loop().call_later(WRITE_EVERY_S, self._look_again)

    def _look_again(self) -> None:
        self._later = None
        self.report(None, "")

    def _eta(self, fraction: float | None, now_s: float) -> float | None:
        if fraction is None or fraction < ETA_AFTER_FRACTION:
            return None
        return round((now_s - self._started_s) * (1.0 - min(1.0, fraction)) / fraction, 1)

    async def settle(self) -> None:
        """Wait for a write that is under way, and let its error be seen."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing
