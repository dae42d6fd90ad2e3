"""What routes ask for: the services of the running app. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from backend.api.guards import session_token, shown_key
from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.services.services import Services


def services_of(request: Request) -> Services:
    """The services of the app that answers this request."""
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101 - set by the lifespan before any request
    return services


async def _services(request: Request) -> Services:
    # `async` although it awaits nothing: FastAPI would run a plain function on a thread, for every request.
    return services_of(request)


ServicesDep = Annotated[Services, Depends(_services)]


def is_owner(request: Request) -> bool:
    """Whether no key is asked for, or the key of the service was shown, by itself or by a session opened with it."""
    access = services_of(request).access
    if not access.is_required:
        return True
    shown = shown_key(request.headers)
    if shown:
        return access.is_owner_key(shown, request.client.host if request.client else "")
    return access.is_owner_session(session_token(request.headers))


async def _owner(request: Request) -> None:
    """Raises `unauthorized` for whoever came in with a key that was made on the page."""
    if not is_owner(request):
        raise RequestError(
            ErrorCode.UNAUTHORIZED,
            "Keys and settings are changed with the key of the service itself, not with one that was made here.",
            hint="Use API_KEY of .env, or the key that was shown in the terminal at the first start.",
        )


OwnerDep = Annotated[None, Depends(_owner)]
