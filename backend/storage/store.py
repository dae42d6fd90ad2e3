"""The store as one object: opened once by the container, handed to the services in parts.

Runs in the service process. `open_store` migrates, connects and returns everything ready to use; the
caller holds the `InstanceLock` of `setup.py` before and closes the store before giving it back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from backend.storage.api_keys import ApiKeysRepository
from backend.storage.avatars import AvatarsRepository
from backend.storage.batches import BatchesRepository
from backend.storage.blobs import BlobStore
from backend.storage.checkpoints import Checkpoints
from backend.storage.db import Database, EventHook, check_sqlite_version
from backend.storage.dictionary import DictionaryRepository
from backend.storage.drafts import DraftsRepository
from backend.storage.files import FilesRepository
from backend.storage.folders import FoldersRepository
from backend.storage.job_tables import MAX_QUEUED
from backend.storage.jobs import JobStore
from backend.storage.migrations import MIGRATIONS
from backend.storage.migrations.runner import migrate
from backend.storage.retention import RetentionRepository
from backend.storage.run_times import RunTimesRepository
from backend.storage.settings_kv import SettingsRepository
from backend.storage.setup import DataLayout
from backend.storage.voices import VoicesRepository
from backend.storage.webhooks import WebhooksRepository
from backend.storage.workers import WorkersRepository
from backend.utils.clock import Clock


@dataclass(frozen=True)
class Store:
    """All repositories over one database and one data folder."""

    db: Database
    jobs: JobStore
    batches: BatchesRepository
    webhooks: WebhooksRepository
    files: FilesRepository
    voices: VoicesRepository
    avatars: AvatarsRepository
    workers: WorkersRepository
    settings: SettingsRepository
    retention: RetentionRepository
    dictionary: DictionaryRepository
    folders: FoldersRepository
    drafts: DraftsRepository
    keys: ApiKeysRepository
    run_times: RunTimesRepository
    blobs: BlobStore
    checkpoints: Checkpoints

    async def close(self) -> None:
        """Finish what is being written and close the database. Idempotent."""
        await self.db.close()


async def open_store(
    layout: DataLayout,
    clock: Clock,
    *,
    on_events: EventHook | None = None,
    max_queued: int = MAX_QUEUED,
) -> Store:
    """Migrate and open. Raises `StoreUnusable` with a sentence for a person."""
    check_sqlite_version()
    await asyncio.to_thread(partial(migrate, layout.database, MIGRATIONS, backups_dir=layout.backups))
    db = Database(layout.database, on_events=on_events)
    await db.open()
    jobs = JobStore(db, clock, max_queued=max_queued)
    return Store(
        db=db,
        jobs=jobs,
        batches=BatchesRepository(db, clock, jobs),
        webhooks=WebhooksRepository(db, clock),
        files=FilesRepository(db, clock),
        voices=VoicesRepository(db, clock),
        avatars=AvatarsRepository(db, clock),
        workers=WorkersRepository(db, clock),
        settings=SettingsRepository(db, clock),
        retention=RetentionRepository(db, clock),
        dictionary=DictionaryRepository(db, clock),
        folders=FoldersRepository(db, clock),
        drafts=DraftsRepository(db, clock),
        keys=ApiKeysRepository(db, clock),
        run_times=RunTimesRepository(db, clock),
        blobs=BlobStore(layout.data),
        checkpoints=Checkpoints(layout.checkpoints),
    )
