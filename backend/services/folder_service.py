"""Folders of the library: list, make, rename, delete. Runs in the service process."""

from __future__ import annotations

from backend.models.errors import UnknownId
from backend.models.folder import FolderList, FolderPut, FolderView
from backend.models.library_records import FolderRecord
from backend.storage.folders import FoldersRepository
from backend.utils.clock import iso_from_ms
from backend.utils.ids import is_id


class FolderService:
    """Folders by id; which jobs lie in one is changed at the job."""

    def __init__(self, folders: FoldersRepository) -> None:
        self._folders = folders

    async def all(self) -> FolderList:
        """All folders, by name."""
        return FolderList(data=[_view(folder) for folder in await self._folders.list_all()])

    async def create(self, request: FolderPut) -> FolderView:
        """Raises `validation_failed` for a name that is taken, `rate_limited`."""
        return _view(await self._folders.create(request.name))

    async def rename(self, folder_id: str, request: FolderPut) -> FolderView:
        """Raises `UnknownId`, and `validation_failed` for a name that is taken."""
        _check(folder_id)
        return _view(await self._folders.rename(folder_id, request.name))

    async def delete(self, folder_id: str) -> None:
        """The jobs in it stay, without a folder. Raises `UnknownId`."""
        _check(folder_id)
        await self._folders.delete(folder_id)


def _check(folder_id: str) -> None:
    if not is_id(folder_id, "fld"):
        raise UnknownId("There is no such folder.", hint="List the folders with GET /api/folders.")


def _view(folder: FolderRecord) -> FolderView:
    return FolderView(
        folder_id=folder.folder_id,
        name=folder.name,
        jobs=folder.jobs,
        created_at=iso_from_ms(folder.created_at),
    )
