"""The schema's history. Each migration is `upgrade(connection)`; its number is its place in the list."""

from __future__ import annotations

from backend.storage.migrations import (
    m0001_initial,
    m0002_batches_webhooks,
    m0003_dictionary,
    m0004_voices,
    m0005_run_times,
    m0006_library,
    m0007_api_keys,
)
from backend.storage.migrations.runner import Migration

# Append only: a database counts how many of these it has seen in `PRAGMA user_version`.
MIGRATIONS: tuple[Migration, ...] = (
    m0001_initial.upgrade,
    m0002_batches_webhooks.upgrade,
    m0003_dictionary.upgrade,
    m0004_voices.upgrade,
    m0005_run_times.upgrade,
    m0006_library.upgrade,
    m0007_api_keys.upgrade,
)
