"""The OpenAPI document and docs/api.md name the same errors for every address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from backend.api.errors import BODY_STATUSES, PROBLEM_JSON, is_openai, status_of
from backend.main import create_app
from backend.models.codes import ErrorCode
from tests.contract.docs_pages import page, section, words
from tests.support.studio import settings_in

PAGE = page("docs/api.md")
API: dict[str, Any] = create_app(settings_in(Path("unused"))).openapi()
ROUTES = {
    f"{method.upper()} {path}": operation
    for path, operations in API["paths"].items()
    for method, operation in operations.items()
}
# "Any address may also answer ...", and what is wrong with the request as such.
ANYWHERE = {
    int(status_of(code))
    for code in (
        ErrorCode.VALIDATION_FAILED,
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN_ORIGIN,
        ErrorCode.TOO_LARGE,
        ErrorCode.DISK_FULL,
        ErrorCode.INTERNAL_ERROR,
    )
} | {503}  # another program holds the database
ENGINE_CANNOT_WORK = int(status_of(ErrorCode.ENGINE_UNAVAILABLE))


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_an_address_documents_the_statuses_of_the_codes_on_its_page_and_no_others(route: str) -> None:
    operation = ROUTES[route]
    line = re.search(r"^Errors: .*$", section(PAGE, f"### `{route}`"), re.MULTILINE)
    expected = set(ANYWHERE)
    if line is not None:
        expected |= {int(status_of(ErrorCode(code))) for code in words(line.group())}
        if "engine that cannot work" in line.group():
            expected.add(ENGINE_CANNOT_WORK)
        # What has no code of its own is `validation_failed` with the status that is written behind it.
        expected |= {int(status) for status in re.findall(r"\((4\d\d)\b", line.group())}
    if "requestBody" in operation:
        expected |= set(BODY_STATUSES)
    if "206" in operation["responses"]:
        expected.add(416)
    if is_openai(route.partition(" ")[2]):
        # There, what is not valid is 400 (docs/api.md, "OpenAI-compatible speech").
        expected = {400 if status == 422 else status for status in expected}
    assert {int(status) for status in operation["responses"] if status >= "400"} == expected


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_every_documented_error_has_the_one_shape(route: str) -> None:
    for status, answer in ROUTES[route]["responses"].items():
        if status >= "400" and is_openai(route.partition(" ")[2]):
            assert answer["content"] == {
                "application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}
            }
        elif status >= "400":
            assert list(answer["content"]) == [PROBLEM_JSON], status
            assert answer["content"][PROBLEM_JSON]["schema"] == {"$ref": "#/components/schemas/Problem"}, (
                status
            )
