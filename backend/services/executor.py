"""The seam between the dispatcher and whatever works a claimed job off. Runs in the service process."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

from backend.models.records import ClaimedJob


@dataclass(frozen=True)
class RunningJob:
    """A claimed job and the switch that stops it. The switch is also read from threads."""

    claimed: ClaimedJob
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def job_id(self) -> str:
        return self.claimed.fence.job_id


class Executor(Protocol):
    """Works a job off until it ended, was put back, or is no longer ours."""

    async def run(self, running: RunningJob) -> None:
        """Never raises for a failure of the job: that is written into the store.

        Cancelling the awaiting task stops the engines and leaves the job running in the store; the
        dispatcher then releases it.
        """
