"""`/api/drafts`: what a page keeps of unfinished work. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, NOT_FOUND, problems
from backend.models.codes import ErrorCode
from backend.models.draft import DRAFT_NAME_PATTERN, DraftList, DraftPut, DraftView

router = APIRouter(prefix="/drafts", tags=["drafts"])

DraftName = Annotated[str, Path(pattern=DRAFT_NAME_PATTERN)]
# Two pages saved at once, and this one came second.
CONFLICT = (409,)


@router.get("")
async def list_drafts(services: ServicesDep) -> DraftList:
    """All drafts without their bodies, the one saved last first."""
    return await services.library.drafts.all()


@router.get("/{name}", responses=problems(statuses=NOT_FOUND))
async def get_draft(services: ServicesDep, name: DraftName) -> DraftView:
    return await services.library.drafts.get(name)


@router.put("/{name}", responses=problems(ErrorCode.RATE_LIMITED, statuses=(*BODY_STATUSES, *CONFLICT)))
async def save_draft(services: ServicesDep, name: DraftName, body: DraftPut) -> DraftView:
    """Save a draft over the revision that is named."""
    return await services.library.drafts.save(name, body)


@router.delete("/{name}", status_code=204, responses=problems(statuses=NOT_FOUND))
async def delete_draft(services: ServicesDep, name: DraftName) -> Response:
    """Forget a draft."""
    await services.library.drafts.delete(name)
    return Response(status_code=204)
