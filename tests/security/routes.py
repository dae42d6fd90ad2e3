"""Every address of the service, from its own OpenAPI document, with ids filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.main import create_app
from tests.support.studio import settings_in

DOCUMENT: dict[str, Any] = create_app(settings_in(Path("unused"))).openapi()
ROUTES = sorted(
    (method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations
)
UNSAFE = [(method, path) for method, path in ROUTES if method not in ("GET", "HEAD", "OPTIONS")]
PATH_PARAMETERS = sorted(
    (method, path, parameter["name"])
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    for parameter in operation.get("parameters", ())
    if parameter["in"] == "path"
    for method in [method.upper()]
)


def filled(path: str, a_job: str, **others: str) -> str:
    """`/api/jobs/{job_id}` with ids that exist; `others` win."""
    known = {
        "job_id": a_job,
        "voice_id": "voice_builtinafheart",
        "avatar_id": "avatar_builtinaria",
        "name": "audio.wav",
        "term": "no-such-term",
        "model_id": "no-such-model",
        "model_name": "no-such-model",
        # Of these there are none; what is tried here is refused before anybody looks.
        "batch_id": "batch_zzzzzzzz1",
        "hook_id": "hook_zzzzzzzz1",
        "folder_id": "fld_zzzzzzzz1",
        "key_id": "key_zzzzzzzz1",
    }
    for name, value in {**known, **others}.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, "a parameter without an example"
    return path
