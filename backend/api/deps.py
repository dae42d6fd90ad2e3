"""What routes ask for: the services of the running app. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

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
