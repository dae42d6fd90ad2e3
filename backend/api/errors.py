"""Every error leaves as one shape: RFC 9457 problem details with a stable `code`. HTTP layer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response

from backend.api.problem_titles import title_for
from backend.api.security_headers import SECURITY_HEADERS
from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, OutOfDate, ProductError, UnknownId
from backend.models.library import Problem, ProblemField
from backend.models.openai import OpenAIError, OpenAIErrorBody
from backend.utils.logger import app_logger

PROBLEM_JSON = "application/problem+json"
# A full queue or a busy engine is worth another try after this many seconds.
RETRY_AFTER_S = 10

STATUS_OF: dict[ErrorCode, HTTPStatus] = {
    ErrorCode.VALIDATION_FAILED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN_ORIGIN: HTTPStatus.FORBIDDEN,
    ErrorCode.JOB_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.VOICE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.AVATAR_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.MODEL_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.NOT_READY: HTTPStatus.CONFLICT,
    ErrorCode.GONE: HTTPStatus.GONE,
    ErrorCode.IDEMPOTENCY_CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.QUEUE_FULL: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.AUDIO_UNREADABLE: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.VOICE_TOO_SHORT: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.IMAGE_UNREADABLE: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.FACE_NOT_FOUND: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.FACE_TOO_SMALL: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.FETCH_REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.FETCH_FAILED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.SCRIPT_MODEL_MISSING: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.DISK_FULL: HTTPStatus.INSUFFICIENT_STORAGE,
    ErrorCode.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorCode.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}
# Everything else is an engine that cannot work right now.
_DEFAULT_STATUS = HTTPStatus.SERVICE_UNAVAILABLE


def status_of(code: ErrorCode) -> HTTPStatus:
    return STATUS_OF.get(code, _DEFAULT_STATUS)


def problems(*codes: ErrorCode, statuses: tuple[int, ...] = ()) -> dict[int | str, dict[str, Any]]:
    """The problems that a route answers, for its entry in the OpenAPI document."""
    numbers = {int(status_of(code)) for code in codes} | set(statuses)
    return {
        number: {"model": Problem, "content": {PROBLEM_JSON: {}}, "description": _phrase(number)}
        for number in sorted(numbers)
    }


# What a body can be answered with before a route sees it: not readable, or sent too slowly.
BODY_STATUSES = (400, 408)
# An id of a kind that has no code of its own.
NOT_FOUND = (404,)


def _phrase(number: int) -> str:
    # Not HTTPStatus.phrase: Python 3.13 renamed two of them, and the document is compared by tests.
    return _PHRASES.get(number) or HTTPStatus(number).phrase


_PHRASES = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def new_request_id() -> str:
    return "req_" + secrets.token_hex(8)


def problem_response(
    code: ErrorCode,
    detail: str,
    *,
    status: int | None = None,
    hint: str | None = None,
    fields: tuple[FieldError, ...] = (),
    language: str = "",
    request_id: str | None = None,
    more_headers: Mapping[str, str] | None = None,
    path: str = "",
) -> Response:
    """One problem as a response. `language` is the caller's Accept-Language; `path` decides the shape."""
    number = int(status if status is not None else status_of(code))
    if is_openai(path):
        return _openai_response(code, detail, number, hint=hint, fields=fields, more_headers=more_headers)
    problem = Problem(
        type=f"/errors/{code}",
        title=title_for(code, language),
        status=number,
        code=code,
        detail=detail,
        request_id=request_id or new_request_id(),
        hint=hint,
        errors=[ProblemField(field=f.field, message=f.message) for f in fields],
    )
    # The security headers too: the answer to a defect is sent by a layer outside of the guard.
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=number,
        media_type=PROBLEM_JSON,
        headers=_headers(code, number, more_headers),
    )


def _headers(code: ErrorCode, number: int, more: Mapping[str, str] | None) -> dict[str, str]:
    headers = {"Cache-Control": "no-store", **SECURITY_HEADERS, **(more or {})}
    if (
        number in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        or code is ErrorCode.NOT_READY
    ):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if number == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def is_openai(path: str) -> bool:
    """Whether an address is one of those in OpenAI's shape, whose clients read its shape of errors."""
    return path == "/v1" or path.startswith("/v1/")


# OpenAI answers 400 for a request that is not valid, and its clients do not try those again.
_OPENAI_STATUS = {HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST}
_OPENAI_BAD_VOICE = HTTPStatus.BAD_REQUEST


def _openai_response(
    code: ErrorCode,
    detail: str,
    number: int,
    *,
    hint: str | None,
    fields: tuple[FieldError, ...],
    more_headers: Mapping[str, str] | None,
) -> Response:
    if code is ErrorCode.VOICE_NOT_FOUND:
        number = _OPENAI_BAD_VOICE
    number = int(_OPENAI_STATUS.get(HTTPStatus(number), number))
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        number, "server_error" if number >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    body = OpenAIError(
        error=OpenAIErrorBody(
            message=f"{detail} {hint}" if hint else detail,
            type=kind,
            param=fields[0].field if fields else None,
            code=code.value,
        )
    )
    return JSONResponse(
        body.model_dump(mode="json"), status_code=number, headers=_headers(code, number, more_headers)
    )


def openai_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an address in OpenAI's shape, for its entry in the OpenAPI document."""
    return {number: {"model": OpenAIError, "description": _phrase(number)} for number in statuses}


def _language(request: Request) -> str:
    return request.headers.get("accept-language", "")


# Errors without a code of their own: the status says what is meant.
_STATUS_OF_KIND: dict[type[ProductError], HTTPStatus] = {
    UnknownId: HTTPStatus.NOT_FOUND,
    OutOfDate: HTTPStatus.CONFLICT,
}


async def _on_product_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProductError)  # noqa: S101 - registered for this type alone
    status = next((number for kind, number in _STATUS_OF_KIND.items() if isinstance(error, kind)), None)
    if error.temporary:
        # Not the caller's fault and soon over: 503 with Retry-After, whatever the code stands for elsewhere.
        status = HTTPStatus.SERVICE_UNAVAILABLE
    return problem_response(
        error.code,
        error.detail,
        status=status,
        hint=error.hint,
        fields=error.fields,
        language=_language(request),
        path=request.url.path,
    )


def _field_path(location: tuple[int | str, ...]) -> str:
    """`("body", "output", "aspect")` → `output.aspect`."""
    parts = [str(part) for part in location]
    return ".".join(parts[1:] if len(parts) > 1 else parts)


def _not_json(item: Mapping[str, Any]) -> FieldError:
    """FastAPI puts the place of the fault where the name of a field stands elsewhere."""
    reason = str(item.get("ctx", {}).get("error", "it cannot be read"))
    return FieldError("body", f"This is not JSON: {reason}, at character {item['loc'][-1]}")


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    fields = tuple(
        _not_json(item)
        if item["type"] == "json_invalid"
        else FieldError(_field_path(tuple(item["loc"])), str(item["msg"]).removeprefix("Value error, "))
        for item in error.errors()[:20]
    )
    named = "; ".join(f"{f.field}: {f.message}" for f in fields[:3])
    return problem_response(
        ErrorCode.VALIDATION_FAILED,
        f"The request is not valid. {named}",
        hint=_hint_for(request, fields),
        fields=fields,
        language=_language(request),
        path=request.url.path,
    )


def _hint_for(request: Request, fields: tuple[FieldError, ...]) -> str:
    """A body that is not said to be JSON is not read as such, which `curl -d` alone does not say."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = media_type.endswith(("/json", "+json"))
    if any(field.field == "body" for field in fields) and not is_json and "multipart" not in media_type:
        return "Send the body as JSON, with the header `Content-Type: application/json`."
    return "Mend the fields listed in `errors` and send it again."


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, and bodies that are not JSON or not multipart."""
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for this type alone
    sentences = {
        404: ("There is nothing at this address.", "See docs/api.md for the addresses."),
        405: ("This address does not take that method.", "See docs/api.md for the methods."),
    }
    detail, hint = sentences.get(
        error.status_code, ("The request could not be read.", "Check the Content-Type and the body.")
    )
    return problem_response(
        ErrorCode.VALIDATION_FAILED,
        detail,
        status=error.status_code,
        hint=hint,
        language=_language(request),
        # `Allow` belongs to every 405 (RFC 9110 15.5.6).
        more_headers=error.headers,
        path=request.url.path,
    )


async def _on_unexpected_error(request: Request, error: Exception) -> Response:
    """A defect of ours: the caller gets an id to quote, the log gets the traceback."""
    request_id = new_request_id()
    app_logger.error(
        "unexpected error %s at %s %s", request_id, request.method, request.url.path, exc_info=error
    )
    return problem_response(
        ErrorCode.INTERNAL_ERROR,
        "Something went wrong inside All-in-one.",
        hint="Look for the request id in logs/app.log.",
        language=_language(request),
        request_id=request_id,
        path=request.url.path,
    )


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ProductError, _on_product_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(StarletteHTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unexpected_error)
