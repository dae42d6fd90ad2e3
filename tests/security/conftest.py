"""One service behind a real server for all tests of a module that only look."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.support.served import Served, serving
from tests.support.studio import TERMINAL, job_body


@dataclass(frozen=True)
class Stocked:
    """A service with one finished and one failed job."""

    served: Served
    done: str
    failed: str


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stocked]:
    with (
        serving(tmp_path_factory.mktemp("stocked"), max_image_mib=1, max_audio_mib=2) as served,
        httpx.Client(base_url=served.url, trust_env=False) as http,
    ):
        ids = [
            http.post("/api/jobs", json=job_body(preferred_engine=engine, title="六月\r\nX: 1")).json()[
                "job_id"
            ]
            for engine in ("draft", "wan2gp")
        ]
        for job_id in ids:
            while http.get(f"/api/jobs/{job_id}").json()["status"] not in TERMINAL:
                time.sleep(0.05)
        yield Stocked(served, *ids)
