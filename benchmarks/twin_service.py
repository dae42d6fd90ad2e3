"""The service with twins in place of its workers, for a real uvicorn in a process of its own.

Run by `benchmarks/load.py` and by the tests that need a server beside themselves:
`python -m benchmarks.twin_service FOLDER PORT [NAME=VALUE ...]` serves until it is told to stop, with its data
in FOLDER and the settings given. `--bare` instead of FOLDER serves one bare FastAPI route, to compare with.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from backend.api.http_protocol import HttpProtocol
from backend.main import create_app
from tests.support.studio import settings_in
from tests.support.twin_worker import TwinWorker


def bare_app() -> FastAPI:
    """One route that does nothing, as FastAPI's manual writes it."""
    app = FastAPI()

    @app.get("/api/jobs/{job_id}")
    async def get_job(job_id: str) -> dict[str, Any]:
        return {"job_id": job_id, "status": "queued"}

    return app


def twin_app(folder: Path, changes: list[str]) -> FastAPI:
    """The service over `folder`. A change is NAME=VALUE, as in .env."""
    settings = settings_in(folder, **dict(change.lower().split("=", 1) for change in changes))
    return create_app(settings, workers={"speech": TwinWorker("speech"), "draft": TwinWorker("draft")})


def main() -> None:
    """See the module."""
    folder, port, *changes = sys.argv[1:]
    app = bare_app() if folder == "--bare" else twin_app(Path(folder), changes)
    logging.getLogger("uvicorn.access").disabled = True
    uvicorn.run(
        app, host="127.0.0.1", port=int(port), http=HttpProtocol, ws="none", log_config=None, backlog=4096
    )


if __name__ == "__main__":
    main()
