"""Includes the routers, nothing else. HTTP layer."""

from __future__ import annotations

from fastapi import FastAPI

from backend.api import (
    avatars,
    batches,
    dictionary,
    disk,
    doctor,
    drafts,
    events,
    exports,
    folders,
    jobs,
    keys,
    logs,
    models,
    openai,
    queue,
    script,
    session,
    settings,
    support,
    system,
    voices,
    webhooks,
)
from backend.api.errors import problems
from backend.api.openapi_document import install_openapi
from backend.models.codes import ErrorCode

# Any address may answer these; what belongs to one address stands at its route.
_ANYWHERE = problems(
    ErrorCode.VALIDATION_FAILED,
    ErrorCode.UNAUTHORIZED,
    ErrorCode.FORBIDDEN_ORIGIN,
    ErrorCode.TOO_LARGE,
    ErrorCode.DISK_FULL,
    ErrorCode.INTERNAL_ERROR,
    # Another program holds the database for longer than a request waits.
    statuses=(503,),
)


def install_routes(app: FastAPI) -> None:
    # Jobs first and no router inside a router: routes are tried in order, and a page that waits asks for its job.
    for module in (
        jobs,
        events,
        session,
        voices,
        avatars,
        script,
        dictionary,
        folders,
        drafts,
        exports,
        models,
        batches,
        webhooks,
        queue,
        system,
        disk,
        settings,
        keys,
        logs,
        doctor,
        support,
    ):
        app.include_router(module.router, prefix="/api", responses=_ANYWHERE)
    app.include_router(system.health_router, responses=_ANYWHERE)
    app.include_router(openai.router)
    install_openapi(app)
    # An address with a slash too many is unknown like any other; a redirect would be an answer nobody expects.
    app.router.redirect_slashes = False
