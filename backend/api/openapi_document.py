"""Mends the OpenAPI document that FastAPI makes: what it says about errors. HTTP layer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from backend.api.errors import PROBLEM_JSON, is_openai

_JSON = "application/json"
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")


def install_openapi(app: FastAPI) -> None:
    """FastAPI writes every model as application/json; problems are application/problem+json and nothing else.

    It also adds a 422 of its own where none was declared; addresses in OpenAI's shape answer 400 instead.
    """
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        document = made_by_fastapi()
        for path, operations in document["paths"].items():
            for operation in operations.values():
                if is_openai(path):
                    operation["responses"].pop("422", None)
                for answer in operation["responses"].values():
                    content = answer.get("content", {})
                    if PROBLEM_JSON in content and _JSON in content:
                        content[PROBLEM_JSON] = content.pop(_JSON)
        for name in _OF_FASTAPI:
            document["components"]["schemas"].pop(name, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual says, "Extending OpenAPI"
