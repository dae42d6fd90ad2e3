"""A route whose function takes the request and the parts of its path, and makes the answer itself. HTTP layer.

FastAPI resolves the parameters of a route anew for every request. For an address that is asked many times a second
that is half of the work, and there is nothing to resolve: parts of a path are strings as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class PlainRoute(APIRoute):
    """Described in the OpenAPI document like any other route, called without resolving anything.

    Its function is `async`, takes `request` and the path's parts as `str`, and returns a `Response`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request, **request.path_params)
            return response

        return handle
