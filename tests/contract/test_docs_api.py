"""docs/api.md says exactly what the service answers: routes, parameters, statuses, types, codes, events."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from backend.api.errors import status_of
from backend.main import create_app
from backend.models.codes import ErrorCode
from backend.models.records import EventType, event_payload
from backend.services.event_stream import PING_EVERY_S, SNAPSHOT_JOBS
from backend.services.job_progress import WRITE_EVERY_S
from backend.services.job_view import ARTIFACT_KEYS
from tests.contract.docs_pages import (
    ROOT,
    column,
    default_of,
    headings,
    page,
    section,
    tables,
    type_of,
    words,
)
from tests.support.studio import settings_in

PAGE = page("docs/api.md")
API: dict[str, Any] = create_app(settings_in(Path("unused"))).openapi()
SCHEMAS: dict[str, dict[str, Any]] = API["components"]["schemas"]
# Forms are written at their address, not as a type.
FORMS = {name for name in SCHEMAS if name.startswith("Body_")}
ROUTES = {
    f"{method.upper()} {path}": operation
    for path, operations in API["paths"].items()
    for method, operation in operations.items()
}


def ref_name(schema: dict[str, Any]) -> str | None:
    """The model a schema names, also when it is optional."""
    options = schema.get("anyOf", [schema])
    return next((str(o["$ref"]).rpartition("/")[2] for o in options if "$ref" in o), None)


def request_models() -> set[str]:
    """Models of request bodies and everything inside them."""
    found: set[str] = set()
    waiting = [
        name
        for operation in ROUTES.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if (name := ref_name(content["schema"]))
    ]
    while waiting:
        name = waiting.pop()
        if name in found or name in FORMS:
            continue
        found.add(name)
        waiting += re.findall(r"#/components/schemas/(\w+)", str(SCHEMAS[name]))
    return {name for name in found if "properties" in SCHEMAS[name]}


def test_the_page_has_one_heading_for_every_route_and_no_other() -> None:
    written = [h.text.strip("`") for h in headings(section(PAGE, "## Addresses"))]
    assert sorted(written) == sorted(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_is_written_with_its_parameters_body_and_answers(route: str) -> None:
    operation = ROUTES[route]
    text = section(PAGE, f"### `{route}`")

    expected = [
        [p["in"], f"`{p['name']}`", type_of(p["schema"]), default_of(p["name"], _as_model(p))]
        for p in operation.get("parameters", ())
    ]
    contents = operation.get("requestBody", {}).get("content", {})
    body_name = None
    for kind, content in contents.items():
        name = ref_name(content["schema"])
        assert name is not None
        if kind == "multipart/form-data":
            form = SCHEMAS[name]
            expected += [
                ["form", f"`{field}`", type_of(schema), default_of(field, form)]
                for field, schema in form["properties"].items()
            ]
        else:
            body_name = name
    found = [row[:4] for table in tables(text) if table[0][0] == "in" for row in table[1:]]
    assert found == expected

    body_line = re.search(r"^Body( \(optional\))?: \[(\w+)\]", text, re.MULTILINE)
    assert (body_line.group(2) if body_line else None) == body_name
    if body_line:
        is_optional = not operation["requestBody"].get("required", False)
        assert bool(body_line.group(1)) == is_optional

    answers = re.search(r"^Answers .*$", text, re.MULTILINE)
    assert answers is not None
    good = {status: answer for status, answer in operation["responses"].items() if status[0] in "23"}
    assert {word for word in words(answers.group()) if word.isdigit()} == set(good)
    for answer in good.values():
        for kind, content in answer.get("content", {}).items():
            name = ref_name(content.get("schema", {}))
            assert (f"[{name}](#{name.lower()})" if name else f"`{kind}`") in answers.group()


def _as_model(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter in the shape of a model with one field."""
    name = parameter["name"]
    return {
        "properties": {name: parameter["schema"]},
        "required": [name] if parameter.get("required") else [],
    }


def test_the_page_has_one_heading_for_every_type_and_no_other() -> None:
    written = [h.text for h in headings(section(PAGE, "## Types"))] + ["ErrorCode"]
    assert sorted(written) == sorted(set(SCHEMAS) - FORMS)


@pytest.mark.parametrize("name", sorted(set(SCHEMAS) - FORMS - {"ErrorCode"}))
def test_a_type_is_written_with_its_fields(name: str) -> None:
    model = SCHEMAS[name]
    (table,) = tables(section(PAGE, f"### {name}"))
    if "enum" in model:
        assert table[0] == ["value", "meaning"]
        assert column(table) == model["enum"]
        return
    with_default = name in request_models()
    assert table[0] == ["field", "type", *(["default"] if with_default else []), "meaning"]
    expected = [
        [f"`{field}`", type_of(schema), *([default_of(field, model)] if with_default else [])]
        for field, schema in model["properties"].items()
    ]
    assert [row[:-1] for row in table[1:]] == expected
    assert all(row[-1] for row in table[1:]), "every field has a meaning"


def test_every_code_is_written_with_its_status_its_meaning_and_a_fix() -> None:
    (table,) = tables(section(PAGE, "### ErrorCode"))
    assert table[0] == ["code", "status", "meaning", "fix"]
    assert [row[:2] for row in table[1:]] == [[f"`{c}`", str(int(status_of(c)))] for c in ErrorCode]
    assert all(row[2] and row[3] for row in table[1:])


def test_errors_of_addresses_are_codes_that_exist() -> None:
    lines = re.findall(r"^Errors: .*$", PAGE, re.MULTILINE)
    assert lines
    known = {code.value for code in ErrorCode}
    for line in lines:
        assert words(line), line
        assert set(words(line)) <= known, line


def test_the_events_are_written_as_they_are_sent() -> None:
    frames, fields, types = tables(section(PAGE, "## Events"))
    assert column(frames) == ["snapshot", "job"]
    assert column(fields) == ["type", *event_payload(MagicMock(progress=1.0))]
    assert column(types) == [kind.value for kind in EventType]
    assert f"after {PING_EVERY_S:g} s of silence" in PAGE
    assert f"the {SNAPSHOT_JOBS} newest jobs" in PAGE
    assert 1 / WRITE_EVERY_S == 4
    assert "at most four a second" in PAGE


def test_the_artifacts_are_written_by_name_and_key() -> None:
    names = tables(section(PAGE, "### `GET /api/jobs/{job_id}/artifacts/{name}`"))[1]
    assert sorted(column(names)) == sorted(ARTIFACT_KEYS.values())
    (fields,) = tables(section(PAGE, "### JobView"))
    meaning = next(row[2] for row in fields if row[0] == "`artifacts`")
    assert sorted(words(meaning)) == sorted(["video", *ARTIFACT_KEYS])


def test_the_largest_picture_is_written_as_it_is_checked() -> None:
    # Read, not imported: the worker's modules need packages that the service must not load.
    source = (ROOT / "workers/draft/image_input.py").read_text(encoding="utf-8")
    assert "MAX_SIDE_PX = 10_000\n" in source
    assert "MAX_PIXELS = 8000 * 8000\n" in source
    assert "at most 10,000 pixels a side and 64 megapixels" in PAGE


def test_links_inside_the_page_lead_somewhere() -> None:
    anchors = {re.sub(r"[^a-z0-9_ -]", "", h.text.lower()).replace(" ", "-") for h in headings(PAGE)}
    for target in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert target in anchors, target
