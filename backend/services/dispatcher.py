"""Takes jobs from the store and hands them to the executor. Runs in the service process, on its loop.

A fixed number of runners; each claims, runs, claims again. They sleep until a job arrives or a delayed one
falls due. A runner that dies for a reason nobody foresaw stops the service loudly instead of quietly
leaving the queue to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backend.models.errors import ProductError, StaleAttempt, unexpected
from backend.models.records import Fence
from backend.services.executor import Executor, RunningJob
from backend.storage.jobs import JobStore
from backend.utils.clock import Clock
from backend.utils.logger import app_logger

# With the single-instance lock a lease only has to outlive any stage of any job.
LEASE_MS = 8 * 24 * 3600 * 1000
# Even without a wake-up the queue is looked at this often, in case a wake-up was lost.
POLL_S = 5.0
# A stop waits this long for engines to let go of their jobs; the workers themselves are ended after it,
# and all together has to stay below 10 s.
STOP_WITHIN_S = 3.0
# A store that is busy or full is asked again after this pause.
STORE_RETRY_S = 2.0
PUT_BACK_MESSAGE = (
    "The database could not be written for a while; the job goes on from its last finished stage."
)


class Dispatcher:
    """Runs up to `concurrency` jobs at a time."""

    def __init__(
        self,
        store: JobStore,
        executor: Executor,
        *,
        boot_id: str,
        concurrency: int,
        clock: Clock,
        on_death: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._executor = executor
        self._boot_id = boot_id
        self._concurrency = concurrency
        self._clock = clock
        self._on_death = on_death
        self._running: dict[str, RunningJob] = {}
        self._runners: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._has_died = False

    async def start(self) -> None:
        """Begin to work. Idempotent."""
        if self._runners:
            return
        self._stopping = False
        for slot in range(self._concurrency):
            task = asyncio.create_task(self._loop(f"{self._boot_id}/{slot}"), name=f"job-runner-{slot}")
            task.add_done_callback(self._watch)
            self._runners.append(task)

    async def stop(self) -> None:
        """Stop the engines and put running jobs back into the queue, uncounted. Idempotent.

        After the death of a runner they stay as they are, so that the next start counts them as lost: a job
        that kills its runner each time must come to an end.
        """
        self._stopping = True
        runners, self._runners = self._runners, []
        for task in runners:
            task.cancel()
        if runners:
            _, late = await asyncio.wait(runners, timeout=STOP_WITHIN_S)
            for task in late:
                app_logger.warning("%s did not stop in time", task.get_name())
        if not self._has_died:
            await self._store.release_all(self._boot_id)

    def wake(self) -> None:
        """A job may have become claimable."""
        self._wake.set()

    def cancel(self, job_id: str) -> None:
        """Pass a cancel on to the engine, if the job runs here. The store knows of it already."""
        running = self._running.get(job_id)
        if running is not None:
            running.cancel.set()

    def _watch(self, task: asyncio.Task[None]) -> None:
        if task not in self._runners:
            return  # stopped in good order
        # Nobody but `stop` may cancel a runner; one that ended so is as dead as one that raised.
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            app_logger.critical("%s died", task.get_name(), exc_info=error)
            self._has_died = True
            self._on_death(error)

    async def _loop(self, lease_owner: str) -> None:
        # Before Python 3.12 `wait_for` may lose a cancel that meets the event it waits for.
        while not self._stopping:
            # Cleared before the claim: a job that arrives during it sets the event again.
            self._wake.clear()
            try:
                claimed = await self._store.claim(lease_owner, lease_ms=LEASE_MS)
                if claimed is None:
                    await self._sleep()
                    continue
            except ProductError as error:
                app_logger.error("the queue cannot be read: %s", error.detail)
                await asyncio.sleep(STORE_RETRY_S)
                continue
            running = RunningJob(claimed)
            self._running[running.job_id] = running
            try:
                # A cancel may have come between the claim and the line above.
                if await self._store.is_cancel_requested(running.job_id):
                    running.cancel.set()
                await self._executor.run(running)
            except ProductError as error:
                # The store refused the last word on this job; it is put back and tried again later.
                app_logger.error("job %s could not be settled: %s", running.job_id, error.detail)
                await self._put_back(claimed.fence)
            except Exception as error:  # noqa: BLE001 - the foreign code of an adapter may raise anything
                # Not of any stage: the executor itself met what nobody foresaw, an adapter's `readiness()` that
                # raises, say. The job ends; a runner that died of it would meet it again at every start.
                app_logger.exception("job %s broke its runner", running.job_id)
                await self._give_up(claimed.fence, error)
            finally:
                del self._running[running.job_id]

    async def _give_up(self, fence: Fence, error: Exception) -> None:
        try:
            told = unexpected(error)
            await self._store.fail(fence, told.code, told.detail, hint=told.hint)
        except StaleAttempt:
            app_logger.debug("job %s was settled after all", fence.job_id)
        except ProductError as refused:
            app_logger.error("job %s could not be settled: %s", fence.job_id, refused.detail)
            await self._put_back(fence)

    async def _put_back(self, fence: Fence) -> None:
        """As soon as the store takes it: until then this runner has nothing better to do."""
        while True:
            await asyncio.sleep(STORE_RETRY_S)
            try:
                await self._store.release(fence, message=PUT_BACK_MESSAGE)
                return
            except StaleAttempt:
                app_logger.debug("job %s was settled after all", fence.job_id)
                return
            except ProductError as error:
                app_logger.error("job %s cannot be put back yet: %s", fence.job_id, error.detail)

    async def _sleep(self) -> None:
        """Until woken, until a delayed job falls due, or for one poll."""
        due_ms = await self._store.next_wake_ms()
        delay_s = POLL_S
        if due_ms is not None:
            delay_s = min(POLL_S, max(0.01, (due_ms - self._clock.now_ms()) / 1000))
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=delay_s)
        except (TimeoutError, asyncio.TimeoutError):
            return
