"""`/api/folders`: folders of the library. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, NOT_FOUND, problems
from backend.models.codes import ErrorCode
from backend.models.folder import FolderList, FolderPut, FolderView

router = APIRouter(prefix="/folders", tags=["library"])


@router.get("")
async def list_folders(services: ServicesDep) -> FolderList:
    """All folders by name, with the number of jobs in each."""
    return await services.library.folders.all()


@router.post("", status_code=201, responses=problems(ErrorCode.RATE_LIMITED, statuses=BODY_STATUSES))
async def create_folder(services: ServicesDep, body: FolderPut) -> FolderView:
    """A new folder."""
    return await services.library.folders.create(body)


@router.patch("/{folder_id}", responses=problems(statuses=(*BODY_STATUSES, *NOT_FOUND)))
async def rename_folder(services: ServicesDep, folder_id: str, body: FolderPut) -> FolderView:
    """Give a folder another name."""
    return await services.library.folders.rename(folder_id, body)


@router.delete("/{folder_id}", status_code=204, responses=problems(statuses=NOT_FOUND))
async def delete_folder(services: ServicesDep, folder_id: str) -> Response:
    """Delete a folder; the jobs in it stay."""
    await services.library.folders.delete(folder_id)
    return Response(status_code=204)
