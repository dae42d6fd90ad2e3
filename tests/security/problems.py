"""What every error answer must look like, and what no answer may tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from backend.api.security_headers import SECURITY_HEADERS
from backend.models.codes import ErrorCode
from backend.models.library import Problem
from tests.support.served import WireAnswer

ROOT = Path(__file__).resolve().parents[2]
_REQUEST_ID = re.compile(r"req_[0-9a-f]{16}")


def told_secret(body: bytes, folder: Path) -> str | None:
    """A traceback or a place on this machine that `body` gives away, if any."""
    text = body.decode("utf-8", "replace")
    signs = ("Traceback (most recent call last)", 'File "', "site-packages", str(ROOT), str(folder))
    return next((sign for sign in signs if sign in text), None)


def assert_is_openai_error(body: dict[str, Any]) -> str:
    """OpenAI's shape, which all addresses below /v1 have; returns the code."""
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["code"] in {code.value for code in ErrorCode}
    return str(error["code"])


def assert_is_refusal(path: str, answer: WireAnswer, folder: Path, status: int | None = None) -> str:
    """The shape of errors that an address has; returns the code."""
    if not path.startswith("/v1/"):
        assert_is_problem(answer, folder, status)
        return str(answer.json()["code"])
    assert answer.status == status or (status is None and 400 <= answer.status < 500), answer
    assert answer.media_type == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name.lower()] == value
    assert told_secret(answer.body, folder) is None
    return assert_is_openai_error(answer.json())


def assert_is_problem(answer: WireAnswer, folder: Path, status: int | None = None) -> None:
    """RFC 9457 with our fields, all of them and no other, and the headers of every answer."""
    assert 400 <= answer.status < 500, answer
    assert status is None or answer.status == status, answer
    assert answer.media_type == "application/problem+json", answer
    body = answer.json()
    assert set(body) == set(Problem.model_fields)
    assert body["status"] == answer.status
    assert body["code"] in {code.value for code in ErrorCode}
    assert body["type"] == f"/errors/{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert body["hint"], "every error says what to do"
    assert _REQUEST_ID.fullmatch(body["request_id"])
    assert answer.headers["cache-control"] == "no-store"
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name.lower()] == value
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert told_secret(answer.body, folder) is None
