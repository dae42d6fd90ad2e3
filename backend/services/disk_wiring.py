"""What is kept and where the ledger looks, by the settings. Runs in the service process; part of the wiring."""

from __future__ import annotations

from pathlib import Path

from backend.models.disk import DiskKind
from backend.services.retention import Limits, Retention
from backend.storage.setup import DataLayout
from backend.storage.store import Store
from backend.utils.clock import Clock
from backend.utils.config import Settings

# As on the packages of disks.
BYTES_PER_GB = 10**9


def limits_of(settings: Settings) -> Limits:
    """What is kept, as the settings say."""
    return Limits(settings.keep_jobs_days, settings.keep_jobs, int(settings.disk_budget_gb * BYTES_PER_GB))


def wire_retention(settings: Settings, store: Store, clock: Clock) -> Retention:
    """The rules with the limits of the settings."""
    # Their owners make again what is missing: the speech worker its clips, the service its previews.
    caches = ((settings.cache_dir / "speech", "*.clip"), (settings.cache_dir / "previews", "*.wav"))
    return Retention(store=store, clock=clock, limits=limits_of(settings), caches=caches)


def ledger_folders(settings: Settings, layout: DataLayout) -> dict[DiskKind, tuple[Path, ...]]:
    """Where the ledger looks for what has no rows."""
    database = layout.database
    return {
        "checkpoints": (layout.checkpoints,),
        "speech_cache": (layout.speech_cache,),
        "previews": (settings.cache_dir / "previews",),
        "models": (layout.models, settings.hf_home_dir),
        "logs": (layout.logs,),
        "backups": (layout.backups,),
        "database": tuple(database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm")),
        "work": (layout.work,),
    }
