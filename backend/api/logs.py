"""`/api/logs`: what the service and its workers wrote down. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import ServicesDep
from backend.models.logs import LogLevel, LogPage
from backend.services.log_service import MAX_LINES, LogFilter

router = APIRouter(prefix="/logs", tags=["system"])


@router.get("")
async def list_log_lines(
    services: ServicesDep,
    source: Annotated[str | None, Query(max_length=32)] = None,
    level: LogLevel | None = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    job_id: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LINES)] = 100,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> LogPage:
    """Newest first, without secrets and without this person's folders."""
    wanted = LogFilter(source=source or None, level=level, text=q or None, job_id=job_id or None)
    return await services.admin.logs.page(wanted, limit=limit, cursor=cursor)
