"""`/api/session`: the page's login when a key is set. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, problems
from backend.api.guards import SESSION_COOKIE
from backend.models.codes import ErrorCode
from backend.models.library import SessionRequest, SessionView
from backend.services.access import SESSION_S

router = APIRouter(prefix="/session", tags=["session"])


@router.get("")
def get_session(services: ServicesDep) -> SessionView:
    """Whether this service asks for a key at all. Answers without one."""
    return SessionView(required=services.access.is_required)


@router.post("", status_code=204, responses=problems(ErrorCode.RATE_LIMITED, statuses=BODY_STATUSES))
def open_session(services: ServicesDep, request: Request, body: SessionRequest) -> Response:
    """Trade the key for a cookie that scripts cannot read and other sites cannot send."""
    response = Response(status_code=204)
    if services.access.is_required:
        token = services.access.open_session(body.key, request.client.host if request.client else "")
        response.set_cookie(
            SESSION_COOKIE, token, max_age=SESSION_S, path="/", httponly=True, samesite="strict"
        )
    return response


@router.delete("", status_code=204)
def close_session() -> Response:
    """Forget the cookie."""
    response = Response(status_code=204)
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
    return response
