"""Every answer is one that the OpenAPI document names: status, type and shape, for input nobody thought of.

The service runs with twins behind a real uvicorn on loopback; schemathesis makes the requests from the
document. A short fixed run belongs to every test run; OPENAPI_EXAMPLES=500 OPENAPI_SEED=any makes a long one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from backend.main import create_app
from tests.integration.test_library_over_http import png
from tests.support.served import Served, serving
from tests.support.studio import TERMINAL, job_body, settings_in
from tests.support.twin_worker import write_tone

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "12"))
SEED = int(os.environ.get("OPENAPI_SEED", "20261122"))
# Jobs that ended before the first request, so that their streams end and their files are there.
ENDED_JOBS = 6
TIMEOUT_S = 30.0

SCHEMA = schemathesis.openapi.from_dict(create_app(settings_in(Path("unused"))).openapi())
# A stream without an end is read in tests/integration/test_events_over_http.py.
TESTED = SCHEMA.exclude(path="/api/events")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


class Known:
    """Ids that exist, so that half of the requests reach beyond "not found"."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.chance = random.Random(SEED)  # noqa: S311 - the same requests in each run
        self.files = {"image_file": png(), "audio_file": a_tone(served.settings.data_dir.parent)}
        self.ids: dict[str, list[str]] = {
            "job_id": [],
            "voice_id": [],
            "avatar_id": [],
            "name": ["audio.wav", "report.json", "studio"],
            "folder_id": [],
        }

    def use(self, case: Case) -> None:
        """Put real ids into some of the requests."""
        for name in case.path_parameters:
            if self.ids.get(name) and self.chance.random() < 0.7:
                # One job is there to be deleted; the others stay for the requests to come.
                offered = (
                    self.ids[name][:1] if case.method == "DELETE" else self.ids[name][1:] or self.ids[name]
                )
                case.path_parameters[name] = self.chance.choice(offered)
        if isinstance(case.body, dict) and self.chance.random() < 0.7:
            for name, data in self.files.items():
                if name in case.body:
                    case.body[name] = data
            for name, known in (("voice_id", "voice_id"), ("avatar_url", "avatar_id")):
                if name in case.body:
                    case.body[name] = self.chance.choice(self.ids[known])
            if "job_ids" in case.body:
                case.body["job_ids"] = self.ids["job_id"][1:2]
            # What is accepted ends soon and without an engine.
            if "preferred_engine" in case.body:
                case.body["preferred_engine"] = "wan2gp"


def a_tone(folder: Path) -> bytes:
    write_tone(folder / "tone.wav", 1.0)
    return (folder / "tone.wav").read_bytes()


def _ended(http: httpx.Client, job_id: str) -> bool:
    return http.get(f"/api/jobs/{job_id}").json()["status"] in TERMINAL


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    folder = tmp_path_factory.mktemp("openapi")
    with (
        serving(folder, queue_limit=40) as served,
        httpx.Client(base_url=served.url, trust_env=False) as http,
    ):
        made = Known(served)
        for index in range(ENDED_JOBS):
            engine = "draft" if index == 1 else "wan2gp"
            answer = http.post("/api/jobs", json=job_body(preferred_engine=engine))
            made.ids["job_id"].append(answer.json()["job_id"])
        while not all(_ended(http, job_id) for job_id in made.ids["job_id"]):
            pass
        made.ids["voice_id"] = [voice["voice_id"] for voice in http.get("/api/voices").json()["data"]]
        for name in ("first", "second"):
            folder = http.post("/api/folders", json={"name": name}).json()
            made.ids["folder_id"].append(folder["folder_id"])
        made.ids["avatar_id"] = [avatar["avatar_id"] for avatar in http.get("/api/avatars").json()["data"]]
        yield made


def leaks(body: bytes, folder: Path) -> str | None:
    """What of this machine a body tells: a traceback, or where files lie."""
    text = body.decode("utf-8", "replace")
    for sign in (
        "Traceback (most recent call last)",
        str(folder),
        str(Path(__file__).parents[2]),
        "site-packages",
    ):
        if sign in text:
            return sign
    return None


@TESTED.parametrize()
@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_no_request_gets_an_answer_that_the_document_does_not_name(case: Case, known: Known) -> None:
    known.use(case)
    response = case.call(base_url=known.served.url, timeout=TIMEOUT_S)
    case.validate_response(response, checks=CHECKS)
    found = leaks(response.content, known.served.settings.data_dir.parent)
    assert found is None, f"the body holds {found!r}"
