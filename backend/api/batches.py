"""`/api/batches`. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, NOT_FOUND, problems
from backend.models.batch import BatchCreate, BatchCreated, BatchPage, BatchView
from backend.models.codes import ErrorCode

router = APIRouter(prefix="/batches", tags=["batches"])

MAX_PAGE = 100
# Two hundred items with scripts of 3,500 Chinese characters; more would hold the event loop while it is read.
MAX_BATCH_BYTES = 2 << 20


@router.post(
    "",
    status_code=202,
    responses=problems(ErrorCode.IDEMPOTENCY_CONFLICT, statuses=BODY_STATUSES),
)
async def create_batch(
    services: ServicesDep,
    response: Response,
    body: BatchCreate,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> BatchCreated:
    """Accept many jobs as one. An item that cannot be a job says why and stops no other."""
    created, replayed = await services.batches.create(body, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/api/batches/{created.batch_id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return created


@router.get("")
async def list_batches(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> BatchPage:
    """A page of batches, newest first."""
    return await services.batches.page(limit=limit, cursor=cursor)


@router.get("/{batch_id}", responses=problems(statuses=NOT_FOUND))
async def get_batch(services: ServicesDep, batch_id: str) -> BatchView:
    return await services.batches.get(batch_id)


@router.post("/{batch_id}/cancel", status_code=202, responses=problems(statuses=NOT_FOUND))
async def cancel_batch(services: ServicesDep, batch_id: str) -> BatchView:
    """Ask all its jobs to stop. Idempotent; running ones are final within 30 s."""
    return await services.batches.cancel(batch_id)
