"""A small client of the product's own HTTP API, standard library only. Runs inside the environment."""

from __future__ import annotations

import http.client
import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

# Loopback answers in milliseconds; a server that computes on every core may take seconds.
REQUEST_TIMEOUT_S = 30.0
# Whether somebody else's program on the port is All-in-one must be known quickly.
PROBE_TIMEOUT_S = 3.0
# A JSON answer of ours is a few kB; a foreign program's could be anything.
MAX_JSON_BYTES = 8 << 20


class ApiError(Exception):
    """The server refused, or could not be reached. `code` is the product's error code when it gave one."""

    def __init__(self, message: str, *, status: int | None = None, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.hint = hint


class ApiClient:
    """Talks to one server. `base_url` is `http://127.0.0.1:8000`; `key` is the API_KEY when one is set."""

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self.base_url = base_url
        self._headers = {"Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        # Without this a proxy from the environment would be asked for a loopback address.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def is_alive(self) -> bool:
        """Whether `/health` answers `{"ok": true}`."""
        try:
            return self._json("/health", timeout_s=PROBE_TIMEOUT_S).get("ok") is True
        except ApiError:
            return False

    def is_all_in_one(self) -> bool:
        """Whether the server is this product: health, and a voice list or a refusal in our error shape."""
        if not self.is_alive():
            return False
        try:
            return isinstance(self._json("/api/voices", timeout_s=PROBE_TIMEOUT_S).get("data"), list)
        except ApiError as error:
            return error.code == "unauthorized"

    def voices(self) -> list[dict[str, Any]]:
        return self._list("/api/voices")

    def avatars(self) -> list[dict[str, Any]]:
        return self._list("/api/avatars")

    def create_job(self, body: dict[str, Any]) -> dict[str, Any]:
        """`POST /api/jobs`; returns `{"job_id", "selected_engine", "status"}`."""
        return self._json("/api/jobs", body=body)

    def job(self, job_id: str) -> dict[str, Any]:
        return self._json(f"/api/jobs/{job_id}")

    def cancel_job(self, job_id: str) -> None:
        self._json(f"/api/jobs/{job_id}/cancel", body={})

    def download(self, path: str, target: Path) -> str:
        """Stream `path` into `target`; returns the media type. Raises ApiError."""
        try:
            with self._open(path, None, REQUEST_TIMEOUT_S) as response, target.open("wb") as stream:
                shutil.copyfileobj(response, stream)
                return str(response.headers.get_content_type())
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"{path} could not be downloaded: {error}") from error

    def _list(self, path: str) -> list[dict[str, Any]]:
        data = self._json(path).get("data")
        if not isinstance(data, list):
            raise ApiError(f"{path} answered without a list")
        return [item for item in data if isinstance(item, dict)]

    def _json(
        self, path: str, *, body: dict[str, Any] | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> dict[str, Any]:
        try:
            with self._open(path, body, timeout_s) as response:
                data = json.loads(response.read(MAX_JSON_BYTES))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"{path}: {error}") from error
        if not isinstance(data, dict):
            raise ApiError(f"{path} answered something that is not an object")
        return data

    def _open(self, path: str, body: dict[str, Any] | None, timeout_s: float) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = dict(self._headers)
        if data is not None:
            headers["Content-Type"] = "application/json"
        url = self.base_url + path
        request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - our own http URL
        try:
            return self._opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                raise _problem(path, error) from error


def _problem(path: str, error: urllib.error.HTTPError) -> ApiError:
    """The server's RFC 9457 problem as an ApiError."""
    try:
        problem = json.loads(error.read(MAX_JSON_BYTES))
    except (OSError, ValueError):
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    return ApiError(
        str(problem.get("detail") or f"{path} answered HTTP {error.code}"),
        status=error.code,
        code=str(problem.get("code") or ""),
        hint=str(problem.get("hint") or ""),
    )
