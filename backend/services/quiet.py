"""Whether somebody waits for the machine, so that background work gives way. Runs in the service process.

Whoever works for a person enters `busy()`; background work asks `is_quiet` as its cancel switch and waits for quiet
before it begins.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

# After somebody's work has ended the next piece usually follows: an upload is listened to, a job is looked at.
SETTLE_S = 2.0


class QuietTimes:
    """Counts who is at work. For one event loop."""

    def __init__(self) -> None:
        self._busy = 0
        self._generation = 0
        self._changed = asyncio.Event()

    @property
    def is_quiet(self) -> bool:
        return self._busy == 0

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Somebody waits for what is done inside. May be nested."""
        self._busy += 1
        self._generation += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._changed.set()

    async def wait_quiet(self) -> None:
        """Until nobody has worked for a while. Wakes only when something changes."""
        while True:
            while not self.is_quiet:
                self._changed.clear()
                await self._changed.wait()
            seen = self._generation
            await asyncio.sleep(SETTLE_S)
            if self.is_quiet and self._generation == seen:
                return
