"""Drafts: what a page keeps of unfinished work, so that a reload or another computer finds it. Service process."""

from __future__ import annotations

from backend.models.draft import DraftEntry, DraftList, DraftPut, DraftView
from backend.models.library_records import DraftRecord
from backend.storage.drafts import DraftsRepository
from backend.utils.clock import iso_from_ms


class DraftService:
    """List, read, save, forget."""

    def __init__(self, drafts: DraftsRepository) -> None:
        self._drafts = drafts

    async def all(self) -> DraftList:
        """All drafts without their bodies, the one saved last first."""
        return DraftList(
            data=[
                DraftEntry(name=draft.name, revision=draft.revision, saved_at=iso_from_ms(draft.saved_at))
                for draft in await self._drafts.list_all()
            ]
        )

    async def get(self, name: str) -> DraftView:
        """Raises `UnknownId`."""
        return _view(await self._drafts.get(name))

    async def save(self, name: str, request: DraftPut) -> DraftView:
        """Raises `OutOfDate` when somebody saved it meanwhile, `rate_limited`."""
        return _view(await self._drafts.save(name, request.body, revision=request.revision))

    async def delete(self, name: str) -> None:
        """Raises `UnknownId`."""
        await self._drafts.delete(name)


def _view(draft: DraftRecord) -> DraftView:
    return DraftView(
        name=draft.name,
        body=dict(draft.body),
        revision=draft.revision,
        saved_at=iso_from_ms(draft.saved_at),
    )
