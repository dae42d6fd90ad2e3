"""`/api/models` over HTTP, from a hub on loopback; the service killed in the middle of a download."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.models.model_catalogue import CatalogueModel
from backend.services import model_transfer
from backend.services.model_catalogue import ModelCatalogue, load_catalogue
from backend.utils.config import BUNDLE_DIR
from tests.e2e.studio import ROOT, free_port
from tests.support.odd_hub import OddHub, odd_hub
from tests.support.studio import Studio, running_studio

DATA = bytes(range(256)) * 16_000
ENTRY: dict[str, Any] = {
    "id": "example",
    "name_en": "Example",
    "name_zh": "示例",
    "purpose": "voice",
    "engine": "example",
    "licence": "MIT",
    "licence_url": "https://example.org/licence",
    "sources": {"huggingface": {"repo": "owner/name", "revision": "v1"}},
    "files": [{"path": "m.bin", "bytes": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}],
}
ADDRESS = "/owner/name/resolve/v1/m.bin"


@pytest.fixture
async def hub() -> AsyncIterator[OddHub]:
    async with odd_hub() as made:
        made.files[ADDRESS] = DATA
        yield made


@contextlib.asynccontextmanager
async def studio_with(folder: Path, hub: OddHub, **changes: Any) -> AsyncIterator[Studio]:
    catalogue = ModelCatalogue([CatalogueModel.model_validate(ENTRY)])
    async with running_studio(folder, catalogue=catalogue, hf_endpoint=hub.url, **changes) as studio:
        yield studio


async def when(
    studio: Studio, is_so: Callable[[dict[str, Any]], Any], model_id: str = "example"
) -> dict[str, Any]:
    for _ in range(3000):
        view: dict[str, Any] = (await studio.http.get(f"/api/models/{model_id}")).json()
        if is_so(view):
            return view
        await asyncio.sleep(0.01)
    raise AssertionError(view)


async def test_a_model_from_absent_to_ready_and_back(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_transfer, "RESERVE_BYTES", 0)
    async with studio_with(tmp_path, hub) as studio:
        http = studio.http
        (listed,) = (await http.get("/api/models")).json()["data"]
        assert (listed["id"], listed["state"], listed["bytes"]) == ("example", "absent", len(DATA))
        assert (await http.post("/api/models/example/pause")).json()["code"] == "not_ready"
        hub.rate = 3_000_000
        answers = await asyncio.gather(*(http.post("/api/models/example/download") for _ in range(5)))
        assert {answer.status_code for answer in answers} == {202}
        await when(studio, lambda view: view["downloaded_bytes"] > 1_000_000)
        paused = await http.post("/api/models/example/pause")
        assert (paused.status_code, paused.json()["state"]) == (200, "paused")
        hub.rate = 0
        assert (await http.post("/api/models/example/resume")).status_code == 202
        view = await when(studio, lambda view: view["state"] == "ready")
        assert view["files"][0] == {
            "path": "m.bin",
            "bytes": len(DATA),
            "sha256": hashlib.sha256(DATA).hexdigest(),
            "state": "ready",
            "verified_by": "pinned",
            "source": "hf_endpoint",
        }
        ledger = (await http.get("/api/system/disk")).json()
        used = {kind["kind"]: kind["bytes"] for kind in ledger["kinds"]}
        assert used["models"] >= len(DATA)
        assert (await http.post("/api/models/example/verify")).status_code == 202
        await when(studio, lambda view: view["state"] == "ready")
        gone = await http.delete("/api/models/example")
        assert (gone.status_code, gone.json()["state"]) == (200, "absent")
        assert not (studio.settings.models_dir / "example").exists()
    assert len(hub.gets()) == 2


async def test_problems_have_their_codes(hub: OddHub, tmp_path: Path) -> None:
    async with studio_with(tmp_path, hub, model_offline=True) as studio:
        answer = await studio.http.post("/api/models/example/download")
        assert (answer.status_code, answer.json()["code"]) == (422, "fetch_refused")
        for method, path in (
            ("GET", ""),
            ("POST", "/download"),
            ("POST", "/resume"),
            ("POST", "/pause"),
            ("POST", "/verify"),
            ("DELETE", ""),
        ):
            for odd in ("nothing", "..%2Fexample", "%2e%2e", "EXAMPLE", "example%00", "a" * 300):
                answer = await studio.http.request(method, f"/api/models/{odd}{path}")
                assert answer.status_code in (404, 405), (method, odd)
                assert answer.json()["code"] in ("model_not_found", "validation_failed")
    assert hub.seen == []


async def test_one_click_brings_what_a_model_requires_and_that_stays_as_long_as_it(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_transfer, "RESERVE_BYTES", 0)
    own = b"its own" * 100
    hub.files["/owner/name/resolve/v1/own.bin"] = own
    needing = {
        **ENTRY,
        "id": "needing",
        "requires": ["example"],
        "files": [{"path": "own.bin", "about_bytes": 1000, "sha256": None}],
    }
    catalogue = ModelCatalogue([CatalogueModel.model_validate(entry) for entry in (ENTRY, needing)])
    async with running_studio(tmp_path, catalogue=catalogue, hf_endpoint=hub.url) as studio:
        http = studio.http
        before = (await http.get("/api/models/needing")).json()
        assert (before["requires"], before["usable"], before["to_fetch_bytes"]) == (
            ["example"],
            False,
            len(DATA) + 1000,
        )
        assert (await http.post("/api/models/needing/resume")).status_code == 202
        await when(studio, lambda view: view["usable"], "needing")
        assert (await http.get("/api/models/example")).json()["state"] == "ready"
        refused = await http.delete("/api/models/example")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_ready")
        assert (await http.delete("/api/models/needing")).json()["state"] == "absent"
        assert (await http.delete("/api/models/example")).json()["state"] == "absent"


async def test_a_model_that_does_not_fit_is_refused(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_transfer, "RESERVE_BYTES", 1 << 60)
    async with studio_with(tmp_path, hub) as studio:
        answer = await studio.http.post("/api/models/example/download")
        assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
        assert answer.json()["hint"]


async def test_the_catalogue_that_ships_is_listed(tmp_path: Path) -> None:
    shipped = load_catalogue(BUNDLE_DIR / "assets" / "catalogue")
    async with running_studio(tmp_path) as studio:
        listed = (await studio.http.get("/api/models")).json()["data"]
    assert [view["id"] for view in listed] == [model.id for model in shipped.all()]


async def test_a_service_that_is_killed_goes_on_with_its_download(hub: OddHub, tmp_path: Path) -> None:
    (tmp_path / "example.json").write_text(json.dumps(ENTRY), encoding="utf-8")
    hub.rate = 2_000_000
    part = tmp_path / "data" / "models" / "example" / "m.bin.part"
    first = Child(tmp_path, hub)
    await first.up()
    await first.post("/api/models/example/download")
    await until(lambda: part.exists() and part.stat().st_size > 1_000_000)
    first.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(first.process.wait, 10)
    kept = part.stat().st_size
    assert not (tmp_path / "data" / "models" / "example" / "m.bin").exists()
    hub.rate = 0
    second = Child(tmp_path, hub)
    await second.up()
    target = tmp_path / "data" / "models" / "example" / "m.bin"
    try:
        await until(target.exists)
    finally:
        second.process.terminate()
        await asyncio.to_thread(second.process.wait, 30)
    assert target.read_bytes() == DATA
    assert hub.gets()[-1].headers["range"] == f"bytes={kept}-"


async def until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 60
    for _ in range(10_000):
        if is_so():
            return
        assert time.monotonic() < ends_at
        await asyncio.sleep(0.02)


# The real service with twins, and the catalogue of a folder in place of the shipped one.
CHILD = """
import sys
from pathlib import Path
import uvicorn
from backend.main import create_app
from backend.services import model_transfer
from backend.services.model_catalogue import load_catalogue
from tests.support.studio import settings_in
from tests.support.served import twins
folder, port, endpoint = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
model_transfer.RESERVE_BYTES = 0
app = create_app(settings_in(folder, hf_endpoint=endpoint), workers=twins(), catalogue=load_catalogue(folder))
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
"""


class Child:
    """One boot of the service in a process of its own."""

    def __init__(self, folder: Path, hub: OddHub) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), str(port), hub.url],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def up(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            for _ in range(600):
                assert self.process.poll() is None
                with contextlib.suppress(httpx.TransportError):
                    await http.get("/health")
                    return
                await asyncio.sleep(0.1)
        raise AssertionError("the service did not start")

    async def post(self, path: str) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            assert (await http.post(path)).status_code == 202
