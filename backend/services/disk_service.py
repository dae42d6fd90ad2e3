"""What takes room on the disk, kind by kind, and what may go. Runs in the service process."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from backend.models.batch_records import Usage
from backend.models.disk import DiskKind, DiskLedger, DiskUse, Reclaimable, ReclaimReport, ReclaimRule
from backend.services.retention import INTERMEDIATES, Retention
from backend.storage.setup import DataLayout
from backend.storage.store import Store


class DiskService:
    """The ledger. Files of the store are counted by their rows, everything else by looking."""

    def __init__(
        self,
        *,
        store: Store,
        layout: DataLayout,
        retention: Retention,
        folders: dict[DiskKind, tuple[Path, ...]],
    ) -> None:
        """`folders`: where the kinds lie that have no rows."""
        self._store = store
        self._layout = layout
        self._retention = retention
        self._folders = folders

    async def ledger(self) -> DiskLedger:
        """Everything, at this moment."""
        stored = await self._store.retention.usage_by_kind(INTERMEDIATES)
        looked = await asyncio.to_thread(self._look)
        voices, avatars = stored.get("voice", Usage()), stored.get("avatar", Usage())
        in_uploads = looked.pop("uploads")
        used: dict[DiskKind, Usage] = {
            # Pictures that were put there by hand have no rows.
            "uploads": Usage(
                max(0, in_uploads.count - voices.count - avatars.count),
                max(0, in_uploads.size_bytes - voices.size_bytes - avatars.size_bytes),
            ),
            "voices": voices,
            "avatars": avatars,
            "results": stored.get("artifact", Usage()),
            "intermediates": stored.get("intermediate", Usage()),
            **looked,
        }
        disk = await asyncio.to_thread(shutil.disk_usage, self._layout.data)
        rules = await self._retention.reclaimable()
        return DiskLedger(
            free_bytes=disk.free,
            total_bytes=disk.total,
            used_bytes=sum(usage.size_bytes for usage in used.values()),
            budget_bytes=self._retention.limits.budget_bytes or None,
            kinds=[
                DiskUse(kind=kind, bytes=usage.size_bytes, count=usage.count) for kind, usage in used.items()
            ],
            reclaimable=[_reclaimable(rule, usage) for rule, usage in rules.items()],
        )

    async def reclaim(self, what: Sequence[ReclaimRule]) -> ReclaimReport:
        """Carry out these rules, in the order given, each once."""
        gone = [_reclaimable(rule, await self._retention.reclaim(rule)) for rule in dict.fromkeys(what)]
        return ReclaimReport(freed_bytes=sum(rule.bytes for rule in gone), rules=gone)

    def _look(self) -> dict[DiskKind, Usage]:
        found: dict[DiskKind, Usage] = {"uploads": _tree_usage(self._layout.uploads)}
        for kind, paths in self._folders.items():
            found[kind] = sum((_tree_usage(path) for path in paths), Usage())
        return found


def _reclaimable(rule: ReclaimRule, usage: Usage) -> Reclaimable:
    return Reclaimable(rule=rule, bytes=usage.size_bytes, count=usage.count)


def _tree_usage(path: Path) -> Usage:
    """Plain files below a folder, or the one file; links are not followed and what vanishes is not counted."""
    if not path.is_dir():
        return Usage(1, path.stat().st_size) if path.is_file() else Usage()
    count = size = 0
    waiting = [str(path)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
                        count += 1
        except OSError:
            continue  # deleted or locked while we looked
    return Usage(count, size)
