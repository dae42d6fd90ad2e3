"""Mends one thing in the OpenAPI document that FastAPI makes: the media type of errors. HTTP layer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from backend.api.errors import PROBLEM_JSON

_JSON = "application/json"


def install_openapi(app: FastAPI) -> None:
    """FastAPI writes every model as application/json; problems are application/problem+json and nothing else."""
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        document = made_by_fastapi()
        for operations in document["paths"].values():
            for operation in operations.values():
                for answer in operation["responses"].values():
                    content = answer.get("content", {})
                    if PROBLEM_JSON in content and _JSON in content:
                        content[PROBLEM_JSON] = content.pop(_JSON)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual says, "Extending OpenAPI"
