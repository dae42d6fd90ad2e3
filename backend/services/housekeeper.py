"""Brings disk and database together again and applies retention, at start and then hourly. Service process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from backend.models.errors import ProductError
from backend.services.retention import Retention
from backend.storage.store import Store
from backend.storage.sweep import ORPHAN_AGE_S, purge_deleted, sweep_orphans
from backend.utils.logger import app_logger

# A crash between a file and its row is rare; an hour of a few stray megabytes hurts nobody.
EVERY_S = 3600.0


class Housekeeper:
    """Unlinks what rows call deleted and what no row knows.

    `started_s`: when this service took its data folder, s since 1970. What is older and has no row was left
    by a crash, so the first round need not wait until it has come of age.
    """

    def __init__(
        self,
        store: Store,
        retention: Retention,
        *,
        started_s: float,
        on_death: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._retention = retention
        self._started_s = started_s
        self._on_death = on_death
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; the first round follows at once. Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name="housekeeper")
            self._task.add_done_callback(self._watch)

    async def stop(self) -> None:
        """End between two steps. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _watch(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            app_logger.critical("the housekeeper died", exc_info=error)
            self._on_death(error)

    async def _loop(self) -> None:
        now_s = time.time()
        min_age_s = max(0.0, now_s - self._started_s)
        while True:
            try:
                purged = await purge_deleted(self._store.files, self._store.blobs)
                swept = await sweep_orphans(
                    self._store.files, self._store.blobs, now_s=now_s, min_age_s=min_age_s
                )
                await self._retention.run()
            except ProductError as error:
                # A busy database or a locked file: the next round meets it again.
                app_logger.warning("tidying up was put off: %s", error.detail)
            else:
                freed = purged.freed_bytes + swept.freed_bytes
                if freed:
                    app_logger.info("tidied up %d files, %d bytes", purged.files + swept.files, freed)
            await asyncio.sleep(EVERY_S)
            now_s, min_age_s = time.time(), ORPHAN_AGE_S
