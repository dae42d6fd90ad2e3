"""`/api/system/disk`: what takes room, and making some. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, problems
from backend.models.disk import DiskLedger, ReclaimReport, ReclaimRequest

router = APIRouter(prefix="/system/disk", tags=["system"])


@router.get("")
async def get_disk(services: ServicesDep) -> DiskLedger:
    """What takes room, kind by kind, and what each rule would free."""
    return await services.disk.ledger()


@router.post("/reclaim", responses=problems(statuses=BODY_STATUSES))
async def reclaim_disk(services: ServicesDep, body: ReclaimRequest) -> ReclaimReport:
    """Carry out these rules now and tell what each freed."""
    return await services.disk.reclaim(body.what)
