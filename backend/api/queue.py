"""`/api/queue`: look, pause, resume. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, problems
from backend.models.library import PauseRequest, QueueView

router = APIRouter(prefix="/queue", tags=["queue"])


@router.get("")
async def get_queue(services: ServicesDep) -> QueueView:
    """How many jobs wait and run, and whether new ones are handed out."""
    return await services.system.queue()


@router.post("/pause", responses=problems(statuses=BODY_STATUSES))
async def pause_queue(services: ServicesDep, body: PauseRequest | None = None) -> QueueView:
    """Hand out no more jobs; running ones go on. Survives a restart. Idempotent."""
    return await services.system.pause((body.reason if body else "") or "Paused by the user.")


@router.post("/resume")
async def resume_queue(services: ServicesDep) -> QueueView:
    """Hand out jobs again. Idempotent."""
    return await services.system.resume()
