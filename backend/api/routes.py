"""Includes the routers, nothing else. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from backend.api import avatars, events, jobs, queue, session, system, voices
from backend.models.library import Problem

# Every route may answer these; the shapes are the same everywhere.
_PROBLEMS: dict[int | str, dict[str, object]] = {
    number: {"model": Problem, "content": {"application/problem+json": {}}}
    for number in (401, 403, 404, 405, 409, 410, 413, 422, 429, 500, 503, 504, 507)
}


def install_routes(app: FastAPI) -> None:
    api = APIRouter(prefix="/api", responses=_PROBLEMS)
    for module in (session, voices, avatars, events, jobs, queue, system):
        api.include_router(module.router)
    app.include_router(system.health_router)
    app.include_router(api)
