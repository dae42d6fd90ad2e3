"""Models are fetched once, whole and right; pause, restart, mirrors, damage and deletion keep them so."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError
from backend.models.model import ModelView
from backend.models.model_catalogue import CatalogueModel
from backend.services import model_transfer
from backend.services.model_catalogue import ModelCatalogue
from backend.services.model_service import ModelService
from backend.services.model_sources import SOURCE_NAMES, ModelSources
from backend.services.model_transfer import ModelTransfers
from backend.storage.model_files import ModelFiles
from backend.utils import download_http, downloader
from tests.support.odd_hub import OddHub, odd_hub
from tests.unit.storage.kit import open_test_store

BIG = bytes(range(256)) * 12_000
SMALL = b'{"small": true}' * 20
REVISION = "0123456789abcdef0123456789abcdef01234567"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def example(**changes: Any) -> CatalogueModel:
    entry: dict[str, Any] = {
        "id": "example",
        "name_en": "Example",
        "name_zh": "示例",
        "purpose": "voice",
        "engine": "example",
        "licence": "MIT",
        "licence_url": "https://example.org/licence",
        "sources": {
            "huggingface": {"repo": "owner/name", "revision": REVISION},
            "modelscope": {"repo": "ms/name", "revision": "master"},
        },
        "files": [
            {"path": "onnx/big.onnx", "bytes": len(BIG), "sha256": sha(BIG)},
            {"path": "config.json", "bytes": len(SMALL), "sha256": sha(SMALL)},
        ],
    }
    return CatalogueModel.model_validate({**entry, **changes})


HF_BIG = f"/owner/name/resolve/{REVISION}/onnx/big.onnx"
HF_SMALL = f"/owner/name/resolve/{REVISION}/config.json"
MS_BIG = "/models/ms/name/resolve/master/onnx/big.onnx"
MS_SMALL = "/models/ms/name/resolve/master/config.json"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloader, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(download_http, "READ_TIMEOUT_S", 5.0)
    monkeypatch.setattr(model_transfer, "ROUND_PAUSES_S", (0.0,))
    monkeypatch.setattr(model_transfer, "RESERVE_BYTES", 0)


@pytest.fixture
async def hub() -> AsyncIterator[OddHub]:
    async with odd_hub() as made:
        made.files |= {HF_BIG: BIG, HF_SMALL: SMALL, MS_BIG: BIG, MS_SMALL: SMALL}
        yield made


class Shop:
    """A service over a folder, its hubs on loopback."""

    def __init__(self, folder: Path, service: ModelService) -> None:
        self.folder = folder
        self.service = service

    async def when(self, is_so: Callable[[ModelView], object], model_id: str = "example") -> ModelView:
        for _ in range(3000):
            view = await self.service.get(model_id)
            if is_so(view):
                return view
            await asyncio.sleep(0.01)
        raise AssertionError(f"still {view.state}: {view.error}")

    async def until(self, *states: str, model_id: str = "example") -> ModelView:
        return await self.when(lambda view: view.state in states, model_id)

    async def fetched(self, model_id: str = "example") -> ModelView:
        await self.service.download(model_id)
        return await self.until("ready", "failed", "damaged", model_id=model_id)

    def names(self) -> list[str]:
        root = self.folder / "models"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@contextlib.asynccontextmanager
async def shop(
    folder: Path,
    hub: OddHub,
    *models: CatalogueModel,
    order: Sequence[str] = ("huggingface",),
    addresses: dict[str, str] | None = None,
    parallel: int = 1,
    offline: bool = False,
    hub_caches: Sequence[Path] = (),
    folders: Sequence[Path] = (),
    hf_endpoint: str | None = None,
) -> AsyncIterator[Shop]:
    deaths: list[BaseException] = []
    files = ModelFiles(folder / "models")
    sources = ModelSources(
        order,
        hf_endpoint=hf_endpoint,
        addresses=addresses or {name: hub.url for name in SOURCE_NAMES if name not in ("url", "hf_endpoint")},
    )
    transfers = ModelTransfers(files, sources, hub_caches=hub_caches, folders=folders, offline=offline)
    store = await open_test_store(folder)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        service = ModelService(
            ModelCatalogue(models or (example(),)),
            files,
            transfers,
            store.settings,
            on_death=deaths.append,
            parallel=parallel,
            is_offline=offline,
        )
        await service.start()
        try:
            yield Shop(folder, service)
        finally:
            await service.stop()
    assert deaths == []


WHOLE = [
    "example/config.json",
    "example/config.json.verified",
    "example/onnx/big.onnx",
    "example/onnx/big.onnx.verified",
]


async def test_a_model_is_fetched_and_then_is_ready(hub: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, hub) as made:
        before = await made.service.get("example")
        assert (before.state, before.downloaded_bytes, before.bytes) == ("absent", 0, len(BIG) + len(SMALL))
        assert not await made.service.is_ready("example")
        view = await made.fetched()
        assert view.state == "ready"
        assert view.downloaded_bytes == view.bytes
        assert [(file.state, file.verified_by, file.source) for file in view.files] == [
            ("ready", "pinned", "huggingface")
        ] * 2
        assert made.service.ready_now("example")
        assert (made.service.folder("example") / "onnx/big.onnx").read_bytes() == BIG
        assert made.names() == WHOLE
        asked = len(hub.seen)
        assert (await made.service.download("example")).state == "ready"
        assert len(hub.seen) == asked, "what is ready is not fetched again"


async def test_two_requests_at_once_start_one_download(hub: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, hub) as made:
        await asyncio.gather(*(made.service.download("example") for _ in range(10)))
        await made.until("ready")
    assert len(hub.gets()) == 2


@pytest.mark.parametrize(
    "model_id", ["", "..", "../example", "EXAMPLE", "example ", "a" * 5000, "example\x00", "/etc"]
)
async def test_an_id_that_is_not_in_the_catalogue_is_unknown(
    hub: OddHub, tmp_path: Path, model_id: str
) -> None:
    async with shop(tmp_path, hub) as made:
        for call in (made.service.get, made.service.download, made.service.pause, made.service.delete):
            with pytest.raises(ProductError) as caught:
                await call(model_id)
            assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


async def test_pause_keeps_what_has_come_and_resume_goes_on_from_there(hub: OddHub, tmp_path: Path) -> None:
    hub.rate = 3_000_000
    async with shop(tmp_path, hub) as made:
        await made.service.download("example")
        await made.when(lambda view: view.downloaded_bytes >= 1_200_000)
        running = await made.service.get("example")
        assert running.state == "downloading"
        assert running.source == "huggingface"
        paused = await made.service.pause("example")
        assert paused.state == "paused"
        assert paused.downloaded_bytes > 1_000_000
        assert (await made.service.pause("example")).state == "paused", "twice is no error"
        asked = len(hub.seen)
        await asyncio.sleep(0.05)
        assert len(hub.seen) == asked
        hub.rate = 0
        assert (await made.fetched()).state == "ready"
        assert hub.gets("big")[-1].headers["range"] == f"bytes={paused.downloaded_bytes}-"


async def test_pausing_what_does_not_run_is_refused(hub: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, hub) as made:
        with pytest.raises(ProductError) as caught:
            await made.service.pause("example")
        assert caught.value.code is ErrorCode.NOT_READY


async def test_a_download_goes_on_after_a_restart_and_a_pause_stays_one(hub: OddHub, tmp_path: Path) -> None:
    hub.rate = 2_000_000
    async with shop(tmp_path, hub) as made:
        await made.service.download("example")
        await made.when(lambda view: view.downloaded_bytes >= 500_000)
    hub.rate = 0
    async with shop(tmp_path, hub) as made:
        assert (await made.until("ready")).state == "ready", "nobody asked again"
        await made.service.delete("example")
        hub.rate = 2_000_000
        await made.service.download("example")
        await made.service.pause("example")
    async with shop(tmp_path, hub) as made:
        await asyncio.sleep(0.05)
        assert (await made.service.get("example")).state == "paused"


async def test_a_source_that_fails_is_followed_by_the_next(hub: OddHub, tmp_path: Path) -> None:
    del hub.files[MS_BIG]
    hub.plan[MS_SMALL] = deque(["wrong"] * 5)
    async with shop(tmp_path, hub, order=("modelscope", "huggingface")) as made:
        view = await made.fetched()
        assert view.state == "ready"
        assert {file.source for file in view.files} == {"huggingface"}
    assert [seen.target.split("/")[1] for seen in hub.gets("big")] == ["models", "owner"]


async def test_when_no_source_delivers_the_view_says_which_said_what(hub: OddHub, tmp_path: Path) -> None:
    hub.plan[HF_BIG] = deque(["status:403"])
    del hub.files[MS_BIG]
    async with shop(tmp_path, hub, order=("modelscope", "huggingface")) as made:
        view = await made.fetched()
        assert view.state == "failed"
        assert view.error is not None
        assert view.error.code is ErrorCode.FETCH_FAILED
        assert "modelscope: the server answered HTTP 404" in view.error.detail
        assert "huggingface: the server answered HTTP 403" in view.error.detail
        hub.files[MS_BIG] = BIG
        assert (await made.fetched()).state == "ready"


async def test_a_line_that_is_down_is_tried_again_later(hub: OddHub, tmp_path: Path) -> None:
    hub.plan[HF_BIG] = deque(["status:503"] * 4)
    async with shop(tmp_path, hub) as made:
        assert (await made.fetched()).state == "ready"


async def test_no_source_at_all_is_a_failure_with_words(hub: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, hub, order=("hf_endpoint",)) as made:
        view = await made.fetched()
        assert view.state == "failed"
        assert view.error is not None
        assert "MODEL_SOURCES" in view.error.detail


async def test_the_fastest_source_is_taken_when_asked(hub: OddHub, tmp_path: Path) -> None:
    async with odd_hub() as slow:
        slow.files |= hub.files
        slow.rate = 1_000_000
        addresses = {"modelscope": slow.url, "hf-mirror": slow.url + "/absent", "huggingface": hub.url}
        async with shop(tmp_path, hub, order=("auto",), addresses=addresses) as made:
            view = await made.fetched()
            assert {file.source for file in view.files} == {"huggingface"}
        assert [seen.headers.get("range") for seen in slow.gets("/models/ms")] == ["bytes=0-4194303"]


async def test_a_mirror_of_ones_own_is_asked_and_its_password_told_to_nobody(
    hub: OddHub, tmp_path: Path
) -> None:
    mirror = hub.url.replace("http://", "http://us3r:pa55@")
    async with shop(tmp_path, hub, order=("hf_endpoint",), hf_endpoint=mirror) as made:
        view = await made.fetched()
        assert view.state == "ready"
        assert "pa55" not in view.model_dump_json()
    assert all(seen.headers["authorization"].startswith("Basic ") for seen in hub.gets())
    assert not any(
        "pa55" in path.read_text(errors="replace")
        for path in (tmp_path / "models").rglob("*.*")
        if path.is_file()
    )


UNPINNED = [
    {"path": "onnx/big.onnx", "bytes": len(BIG), "sha256": None},
    {"path": "config.json", "about_bytes": 100, "sha256": None},
]


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
async def test_without_a_pinned_hash_the_hub_states_one_and_the_view_says_so(
    hub: OddHub, tmp_path: Path, source: str
) -> None:
    async with shop(tmp_path, hub, example(files=UNPINNED), order=(source,)) as made:
        view = await made.fetched()
        assert view.state == "ready"
        assert [(file.sha256, file.verified_by) for file in view.files] == [
            (sha(BIG), "hub"),
            (sha(SMALL), "hub"),
        ]
        assert view.bytes == len(BIG) + len(SMALL), "the guess gave way to what came"
        made.service.folder("example").joinpath("config.json").write_bytes(b"x" * len(SMALL))
        assert (await made.until("damaged")).state == "damaged"
        assert (await made.fetched()).state == "ready"


async def test_bytes_that_are_not_those_the_hub_stated_are_refused(hub: OddHub, tmp_path: Path) -> None:
    hub.plan[HF_BIG] = deque(["wrong"] * 9)
    async with shop(tmp_path, hub, example(files=UNPINNED)) as made:
        view = await made.fetched()
        assert view.state == "failed"
        assert not (made.service.folder("example") / "onnx/big.onnx").exists()


async def test_a_hub_that_states_no_hash_is_not_believed(hub: OddHub, tmp_path: Path) -> None:
    hub.etags[HF_BIG] = '"no-hash"'
    async with shop(tmp_path, hub, example(files=UNPINNED)) as made:
        assert (await made.fetched()).state == "failed"
    assert hub.gets("big") == []


async def test_a_small_file_is_held_to_its_git_id(hub: OddHub, tmp_path: Path) -> None:
    git = hashlib.sha1(b"blob %d\0" % len(SMALL) + SMALL, usedforsecurity=False).hexdigest()
    hub.etags[HF_SMALL] = f'"{git}"'
    async with shop(tmp_path, hub, example(files=[UNPINNED[1]])) as made:
        view = await made.fetched()
        assert (view.state, view.files[0].sha256) == ("ready", sha(SMALL))


@pytest.mark.parametrize("damage", ["shorter", "longer", "other bytes", "gone"])
async def test_damage_is_seen_and_mended(hub: OddHub, tmp_path: Path, damage: str) -> None:
    async with shop(tmp_path, hub) as made:
        await made.fetched()
        big = made.service.folder("example") / "onnx/big.onnx"
        if damage == "gone":
            big.unlink()
        else:
            big.write_bytes({"shorter": BIG[:-1], "longer": BIG + b"x", "other bytes": BIG[::-1]}[damage])
        assert not await made.service.is_ready("example")
        expected = "absent" if damage == "gone" else "damaged"
        assert (await made.until("damaged", "absent")).state == expected
        assert (await made.fetched()).state == "ready"
        assert big.read_bytes() == BIG
    assert len(hub.gets("big")) == 2
    assert len(hub.gets("config")) == 1, "what is right is not fetched again"


async def test_damage_that_left_no_trace_is_found_when_asked(hub: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, hub) as made:
        await made.fetched()
        big = made.service.folder("example") / "onnx/big.onnx"
        found = big.stat()
        with big.open("r+b") as file:
            file.write(b"!")
        os.utime(big, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert (await made.service.get("example")).state == "ready"
        assert (await made.service.verify("example")).state == "verifying"
        assert (await made.until("damaged")).state == "damaged"


async def test_a_touched_file_is_hashed_once_and_stays_ready(hub: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, hub) as made:
        await made.fetched()
        os.utime(made.service.folder("example") / "onnx/big.onnx", ns=(1, 1))
        assert (await made.until("ready")).state == "ready"
    assert len(hub.gets("big")) == 1


async def test_files_put_there_by_hand_are_checked_and_used(hub: OddHub, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "example"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "big.onnx").write_bytes(BIG)
    (folder / "config.json").write_bytes(SMALL)
    async with shop(tmp_path, hub, offline=True) as made:
        assert not await made.service.is_ready("example"), "existing is not enough"
        assert (await made.until("ready")).state == "ready"
    assert hub.seen == []


async def test_files_of_the_right_size_and_wrong_bytes_are_damaged(hub: OddHub, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "example"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "big.onnx").write_bytes(BIG[::-1])
    async with shop(tmp_path, hub) as made:
        assert (await made.until("damaged")).state == "damaged"
        assert (await made.fetched()).state == "ready"


async def test_files_of_a_hugging_face_cache_and_of_a_named_folder_are_taken_over(
    hub: OddHub, tmp_path: Path
) -> None:
    blobs = tmp_path / "hf" / "hub" / "models--owner--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / sha(SMALL)).write_bytes(SMALL)
    comfy = tmp_path / "ComfyUI" / "models" / "vae"
    comfy.mkdir(parents=True)
    (comfy / "decoy.safetensors").write_bytes(BIG[::-1])
    (comfy / "renamed.safetensors").write_bytes(BIG)
    async with shop(
        tmp_path, hub, offline=True, hub_caches=[tmp_path / "hf" / "hub"], folders=[tmp_path / "ComfyUI"]
    ) as made:
        view = await made.fetched()
        assert view.state == "ready"
        assert {file.source for file in view.files} == {"this computer"}
        folder = made.service.folder("example")
        assert (folder / "onnx/big.onnx").read_bytes() == BIG
        assert (folder / "onnx/big.onnx").samefile(comfy / "renamed.safetensors"), "no second copy"
        await made.service.delete("example")
        assert (comfy / "renamed.safetensors").read_bytes() == BIG, "somebody else's file stays"
    assert hub.seen == []


async def test_a_file_is_copied_where_links_cannot_be_made(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_arguments: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.bin").write_bytes(BIG)
    async with shop(tmp_path, hub, folders=[tmp_path / "other"]) as made:
        assert (await made.fetched()).state == "ready"
        assert (made.service.folder("example") / "onnx/big.onnx").read_bytes() == BIG
    assert hub.gets("big") == []


async def test_deleting_frees_the_disk_and_stops_a_download(hub: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, hub) as made:
        await made.fetched()
        (tmp_path / "models" / "example" / "mine.txt").write_text("kept", encoding="utf-8")
        assert (await made.service.delete("example")).state == "absent"
        assert made.names() == ["example/mine.txt"], "only what the catalogue names is removed"
        (tmp_path / "models" / "example" / "mine.txt").unlink()
        hub.rate = 1_000_000
        await made.service.download("example")
        await made.when(lambda view: view.downloaded_bytes)
        assert (await made.service.delete("example")).state == "absent"
        assert made.names() == []
        assert not (tmp_path / "models" / "example").exists()


async def test_a_file_that_another_model_needs_is_kept(hub: OddHub, tmp_path: Path) -> None:
    shared = {"path": "onnx/big.onnx", "bytes": len(BIG), "sha256": sha(BIG)}
    other = example(id="other", folder="both", files=[shared])
    first = example(folder="both")
    async with shop(tmp_path, hub, first, other, parallel=2) as made:
        await asyncio.gather(made.service.download("example"), made.service.download("other"))
        await made.until("ready")
        await made.until("ready", model_id="other")
        assert len(hub.gets("big")) == 1, "one file, fetched once"
        await made.service.delete("example")
        assert (await made.service.get("other")).state == "ready"
        await made.service.delete("other")
        assert made.names() == []


@pytest.mark.parametrize(("parallel", "most"), [(1, 1), (2, 2)])
async def test_so_many_models_are_fetched_at_a_time(
    hub: OddHub, tmp_path: Path, parallel: int, most: int
) -> None:
    models = [example(id=f"model{n}") for n in range(4)]
    hub.rate = 20_000_000
    async with shop(tmp_path, hub, *models, parallel=parallel) as made:
        for model in models:
            await made.service.download(model.id)
        views = [await made.service.get(model.id) for model in models]
        assert {view.state for view in views} == {"downloading"}
        assert any(view.waiting for view in views)
        for model in models:
            await made.until("ready", model_id=model.id)
    assert hub.open_most == most


async def test_a_disk_without_room_is_told_before_the_first_byte(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelFiles, "free_bytes", lambda _self: len(BIG) - 1)
    async with shop(tmp_path, hub) as made:
        with pytest.raises(ProductError) as caught:
            await made.service.download("example")
        assert caught.value.code is ErrorCode.DISK_FULL
        assert (await made.service.get("example")).state == "absent"
    assert hub.seen == []


async def test_a_disk_that_fills_meanwhile_ends_the_download_and_keeps_the_part(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = downloader._Sink.flush
    calls = iter(range(100))

    def flush(sink: Any) -> None:
        if next(calls) == 1:
            with downloader._disk_words():
                raise OSError(28, "No space left on device")
        written(sink)

    monkeypatch.setattr(downloader._Sink, "flush", flush)
    async with shop(tmp_path, hub) as made:
        view = await made.fetched()
        assert view.state == "failed"
        assert view.error is not None
        assert view.error.code is ErrorCode.DISK_FULL
        assert view.downloaded_bytes > 1_000_000
        monkeypatch.setattr(downloader._Sink, "flush", written)
        assert (await made.fetched()).state == "ready"


async def test_offline_nothing_is_asked(hub: OddHub, tmp_path: Path) -> None:
    async with shop(tmp_path, hub, offline=True) as made:
        with pytest.raises(ProductError) as caught:
            await made.service.download("example")
        assert caught.value.code is ErrorCode.FETCH_REFUSED
        assert (await made.service.all()).offline
    assert hub.seen == []


async def test_progress_has_speed_and_time_left(hub: OddHub, tmp_path: Path) -> None:
    hub.rate = 2_000_000
    async with shop(tmp_path, hub) as made:
        await made.service.download("example")
        view = await made.when(lambda view: view.speed_bytes_s)
        assert view.speed_bytes_s is not None
        assert view.eta_s is not None
        # Sleeps make a loopback line slower than planned, never faster.
        assert view.speed_bytes_s < 3_000_000
        assert view.eta_s == pytest.approx((view.bytes - view.downloaded_bytes) / view.speed_bytes_s, rel=0.1)
