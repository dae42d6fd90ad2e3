"""`/health`, `/api/engines`, `/api/system`. HTTP layer."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from backend.api.deps import ServicesDep, is_owner
from backend.api.errors import BODY_STATUSES, problems
from backend.models.library import EngineList, HealthView, SystemView
from backend.models.system import FirstRun, FirstRunView

health_router = APIRouter(tags=["system"])
router = APIRouter(tags=["system"])


@health_router.get("/health")
async def health() -> HealthView:
    """Answers as long as the service's event loop turns, however busy its threads are."""
    await asyncio.sleep(0)
    return HealthView()


@router.get("/engines")
async def list_engines(services: ServicesDep) -> EngineList:
    """Every engine: ready or not, why, and how to mend it."""
    return EngineList(data=await services.system.engines())


@router.get("/system")
async def get_system(services: ServicesDep, request: Request) -> SystemView:
    view = await services.system.view()
    # People want to know where their files lie; programs get no path of this computer in any answer. Browsers say so
    # themselves, and no script in a page can; a program can, so where a key is asked for it takes the owner's as well.
    if request.headers.get("sec-fetch-site") == "same-origin" and is_owner(request):
        return view
    return view.model_copy(update={"data": view.data.model_copy(update={"path": None})})


@router.post("/system/first-run", responses=problems(statuses=BODY_STATUSES))
async def set_first_run(services: ServicesDep, body: FirstRun) -> FirstRunView:
    """Remember that the welcome was seen, or show it again."""
    return await services.system.set_first_run(done=body.done)
