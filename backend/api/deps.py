"""What routes ask for: the services of the running app. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from backend.services.container import Services


async def _services(request: Request) -> Services:
    # `async` although it awaits nothing: FastAPI would run a plain function on a thread, for every request.
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101 - set by the lifespan before any request
    return services


ServicesDep = Annotated[Services, Depends(_services)]
