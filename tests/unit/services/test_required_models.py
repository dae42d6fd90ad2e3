"""A model that needs another one comes with it by one click; files are found on this computer under other names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError
from backend.models.model_catalogue import CatalogueModel
from backend.storage.model_files import ModelFiles
from tests.support.odd_hub import OddHub
from tests.unit.services.test_model_service import (
    BIG,
    HF_BIG,
    REVISION,
    SMALL,
    UNPINNED,
    Shop,
    example,
    hub,
    quick,
    sha,
    shop,
)
from tests.unit.services.test_wan2gp_weights import CATALOGUE, FETCHED

__all__ = ["hub", "quick"]  # fixtures

OWN = BIG[::-1]
SHARED: dict[str, Any] = {"path": "onnx/big.onnx", "bytes": len(BIG), "sha256": sha(BIG)}
CORE = example(id="core", folder="set")
FIRST = example(
    id="first",
    folder="set",
    requires=["core"],
    files=[{"path": "own.bin", "bytes": len(OWN), "sha256": sha(OWN)}],
)
SECOND = example(
    id="second",
    folder="set",
    requires=["core"],
    files=[{"path": "small.bin", "bytes": len(SMALL), "sha256": sha(SMALL)}],
)


@pytest.fixture
def files(hub: OddHub) -> OddHub:
    hub.files[f"/owner/name/resolve/{REVISION}/own.bin"] = OWN
    hub.files[f"/owner/name/resolve/{REVISION}/small.bin"] = SMALL
    return hub


async def states(made: Shop) -> dict[str, str]:
    return {view.id: view.state for view in (await made.service.all()).data}


async def test_one_download_brings_what_is_required_and_that_first(files: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, files, CORE, FIRST, SECOND) as made:
        before = await made.service.get("first")
        assert (before.requires, before.usable) == (["core"], False)
        assert before.to_fetch_bytes == len(OWN) + len(BIG) + len(SMALL)
        after = await made.fetched("first")
        assert (after.state, after.usable, after.to_fetch_bytes) == ("ready", True, 0)
        assert await states(made) == {"core": "ready", "first": "ready", "second": "absent"}
        assert (await made.service.get("second")).to_fetch_bytes == len(SMALL)
    assert [seen.target.rpartition("/")[2] for seen in files.gets()] == ["big.onnx", "config.json", "own.bin"]


async def test_a_model_without_what_it_requires_is_ready_and_of_no_use(files: OddHub, tmp_path: Path) -> None:
    (tmp_path / "models" / "set").mkdir(parents=True)
    (tmp_path / "models" / "set" / "own.bin").write_bytes(OWN)
    async with shop(tmp_path, files, CORE, FIRST) as made:
        view = await made.until("ready", model_id="first")
        assert (view.usable, view.to_fetch_bytes) == (False, len(BIG) + len(SMALL))
        await made.service.download("first")
        await made.when(lambda view: view.usable, "first")
    assert files.gets("/own.bin") == []


async def test_a_pause_stops_what_is_fetched_for_nobody_else(files: OddHub, tmp_path: Path) -> None:
    files.rate = 300_000
    async with shop(tmp_path, files, CORE, FIRST, SECOND) as made:
        await made.service.download("first")
        await made.service.download("second")
        assert (await made.service.pause("first")).state == "paused"
        assert (await states(made))["core"] == "downloading", "the second waits for it"
        await made.service.pause("second")
        assert await states(made) == {"core": "paused", "first": "paused", "second": "paused"}
        files.rate = 0
        await made.service.download("second")
        await made.when(lambda view: view.usable, "second")
        assert await states(made) == {"core": "ready", "first": "paused", "second": "ready"}


async def test_what_another_model_needs_is_not_deleted_before_it(files: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, files, CORE, FIRST, SECOND) as made:
        await made.fetched("first")
        with pytest.raises(ProductError) as caught:
            await made.service.delete("core")
        assert caught.value.code is ErrorCode.NOT_READY
        assert FIRST.name_en in caught.value.detail
        assert (await states(made))["core"] == "ready"
        await made.service.delete("first")
        assert (await made.service.delete("core")).state == "absent"
        assert made.names() == []


async def test_a_shared_file_is_counted_once_when_the_disk_is_looked_at(
    files: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelFiles, "free_bytes", lambda _self: len(BIG) + len(SMALL))
    sharing = example(id="sharing", folder="set", requires=["core"], files=[SHARED])
    async with shop(tmp_path, files, CORE, FIRST, sharing) as made:
        with pytest.raises(ProductError) as caught:
            await made.service.download("first")
        assert caught.value.code is ErrorCode.DISK_FULL, "the required files count"
        assert files.seen == []
        assert (await made.service.get("sharing")).to_fetch_bytes == len(BIG) + len(SMALL)
        assert (await made.fetched("sharing")).usable


async def test_a_file_that_lies_on_this_computer_needs_no_room(
    files: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelFiles, "free_bytes", lambda _self: len(SMALL))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.bin").write_bytes(BIG)
    async with shop(tmp_path, files, folders=[tmp_path / "other"]) as made:
        assert (await made.fetched()).state == "ready"


@pytest.mark.parametrize(
    ("model_id", "recorded"), [("wan2gp-chatterbox", "chatterbox"), ("wan2gp-omnivoice", "omnivoice")]
)
async def test_the_entries_that_ship_are_fetched_from_where_upstream_does_and_lie_where_it_looks(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_id: str, recorded: str
) -> None:
    monkeypatch.setattr(ModelFiles, "free_bytes", lambda _self: 1 << 50)
    fetched = [*FETCHED["core"], *FETCHED[recorded]]
    for repo, path, _ in fetched:
        hub.files[f"/{repo}/resolve/main/{path}"] = f"{repo}/{path}".encode()
    models = (CATALOGUE.get("wan2gp-core"), CATALOGUE.get(model_id))
    async with shop(tmp_path, hub, *(model for model in models if model is not None)) as made:
        await made.service.download(model_id)
        await made.when(lambda view: view.usable or view.state == "failed", model_id)
        folder = made.service.folder(model_id)
        assert folder == tmp_path / "models" / "wan2gp"
        for repo, path, place in fetched:
            assert (folder / place).read_bytes() == f"{repo}/{path}".encode()


def unpinned() -> CatalogueModel:
    return example(files=UNPINNED)


async def test_a_file_without_a_pinned_hash_is_taken_over_by_the_one_that_the_hub_states(
    files: OddHub, tmp_path: Path
) -> None:
    comfy = tmp_path / "ComfyUI" / "diffusion_models"
    comfy.mkdir(parents=True)
    (comfy / "a-decoy.safetensors").write_bytes(OWN)
    (comfy / "under another name.safetensors").write_bytes(BIG)
    async with shop(tmp_path, files, unpinned(), folders=[tmp_path / "ComfyUI"]) as made:
        view = await made.fetched()
        assert [(file.verified_by, file.source) for file in view.files] == [
            ("hub", "this computer"),
            ("hub", "huggingface"),
        ]
        assert (made.service.folder("example") / "onnx/big.onnx").samefile(
            comfy / "under another name.safetensors"
        )
    assert files.gets("big") == []


async def test_a_file_of_the_same_size_and_other_bytes_is_not_taken_over(
    files: OddHub, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "big.onnx").write_bytes(OWN)
    async with shop(tmp_path, files, unpinned(), folders=[tmp_path / "other"]) as made:
        view = await made.fetched()
        assert view.files[0].source == "huggingface"
        assert (made.service.folder("example") / "onnx/big.onnx").read_bytes() == BIG


def cached(folder: Path, path: str, data: bytes) -> Path:
    """A file as a hub's client keeps it: named by its hash, with a link that says where it belongs."""
    repo = folder / "models--owner--name"
    blob = repo / "blobs" / sha(data)
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    link = repo / "snapshots" / REVISION / path
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return blob


@pytest.mark.skipif(
    os.name == "nt", reason="links of files need a privilege there, and hub clients do without"
)
async def test_offline_the_cache_of_a_hub_client_says_what_its_files_are(hub: OddHub, tmp_path: Path) -> None:
    cached(tmp_path / "hf", "config.json", SMALL)
    blob = cached(tmp_path / "hf", "onnx/big.onnx", BIG)
    async with shop(tmp_path, hub, unpinned(), hub_caches=[tmp_path / "hf"], offline=True) as made:
        view = await made.fetched()
        assert (view.state, {file.verified_by for file in view.files}) == ("ready", {"hub"})
        await made.service.delete("example")
        blob.write_bytes(OWN)  # named by the hash of other bytes
        view = await made.fetched()
        assert (view.state, view.error and view.error.code) == ("failed", ErrorCode.FETCH_REFUSED)
        assert view.files[0].state == "absent"
    assert hub.seen == []


@pytest.mark.skipif(
    os.name == "nt", reason="links of files need a privilege there, and hub clients do without"
)
async def test_online_the_hub_is_asked_which_version_it_is(files: OddHub, tmp_path: Path) -> None:
    cached(tmp_path / "hf", "onnx/big.onnx", OWN)  # of another day
    async with shop(tmp_path, files, unpinned(), hub_caches=[tmp_path / "hf"]) as made:
        assert (await made.fetched()).state == "ready"
        assert (made.service.folder("example") / "onnx/big.onnx").read_bytes() == BIG
    assert len([seen for seen in files.gets() if seen.target == HF_BIG]) == 1
