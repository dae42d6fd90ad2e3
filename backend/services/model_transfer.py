"""Brings the files of one model to the disk: what is here already, then what others on this computer have, then the
network, source after source. Runs in the service process; one `Transfer` is what a listing shows of it meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import httpx

from backend.models.codes import ErrorCode
from backend.models.errors import InputError, ProductError
from backend.models.model import ModelError, VerifiedBy
from backend.models.model_catalogue import CatalogueFile, CatalogueModel
from backend.services.model_sources import Candidate, ModelSources
from backend.storage.model_adoption import Stock, adopt, take_stock
from backend.storage.model_files import FileLook, ModelFiles, expected_digest
from backend.utils.digests import Digest, hash_file
from backend.utils.download_http import TransferTrouble, new_client
from backend.utils.downloader import Steps, WantedFile, download
from backend.utils.logger import app_logger

T = TypeVar("T")

# Must stay free after a download: a full system disk takes the whole machine down.
RESERVE_BYTES = 1 << 30
# When no source delivers because the line is down: a night's download outlives a router that restarts.
ROUND_PAUSES_S = (5.0, 30.0, 120.0, 300.0)
# Speed is that of the last seconds, so that it follows the line and does not flicker.
SPEED_WINDOW_S = 8.0


@dataclass
class Transfer:
    """How far one model is. Written by the task that fetches, read by listings; one thread, the loop."""

    phase: Literal["waiting", "downloading", "verifying"] = "waiting"
    source: str | None = None
    trouble: ModelError | None = None
    current: str | None = None
    current_bytes: int = 0
    _samples: deque[tuple[float, int]] = field(default_factory=deque)
    _counted: int = 0

    def begin(self, path: str, source: str) -> None:
        self.phase, self.source, self.current, self.current_bytes = "downloading", source, path, 0

    def received(self, file_bytes: int) -> None:
        """So many bytes of the current file are there."""
        if self.current_bytes and file_bytes > self.current_bytes:
            self._counted += file_bytes - self.current_bytes
        self.current_bytes = file_bytes
        now = time.monotonic()
        self._samples.append((now, self._counted))
        while now - self._samples[0][0] > SPEED_WINDOW_S:
            self._samples.popleft()

    def speed(self) -> float | None:
        """Bytes a second of late; None while nothing is known."""
        now = time.monotonic()
        late = [(at, count) for at, count in self._samples if now - at <= SPEED_WINDOW_S]
        if self.phase != "downloading" or len(late) < 2 or now <= late[0][0]:
            return None
        return (late[-1][1] - late[0][1]) / (now - late[0][0])


class ModelTransfers:
    """How a model is fetched. Holds no state of a single download; those are `Transfer`s."""

    def __init__(
        self,
        files: ModelFiles,
        sources: ModelSources,
        *,
        hub_caches: Sequence[Path] = (),
        folders: Sequence[Path] = (),
        offline: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._files = files
        self._sources = sources
        self._hub_caches = tuple(hub_caches)
        self._folders = tuple(folders)
        self._offline = offline
        self._transport = transport
        # Two models may share a file.
        self._locks: dict[Path, asyncio.Lock] = {}

    def use_sources(self, order: Sequence[str], *, hf_endpoint: str | None) -> None:
        """Another order or mirror, from the next file on."""
        self._sources.use(order, hf_endpoint=hf_endpoint)

    async def run(self, model: CatalogueModel, transfer: Transfer) -> None:
        """Bring every file. Raises ProductError: fetch_failed, fetch_refused (offline), disk_full."""
        transfer.phase = "downloading"
        await self.check(model, transfer)
        missing = [look for look in await self._look(model) if look.state != "ready"]
        if not missing:
            return
        stock = await self._stock()
        missing = await self._adopt(model, missing, stock, transfer)
        if not missing:
            return
        if self._offline:
            raise offline()
        self._sources.forget_listings()
        try:
            client = new_client(self._transport)
        except TransferTrouble as trouble:
            raise _failed(missing[0].file, [("network", trouble)]) from trouble
        async with client:
            transfer.phase = "downloading"
            await self._sources.measure(client, model)
            for look in missing:
                async with self._lock(model, look.file):
                    await self._fetch(client, model, look.file, stock, transfer)

    async def check(self, model: CatalogueModel, transfer: Transfer, *, again: bool = False) -> None:
        """Hash what lies there unproven (`again`: everything) and note what it is."""
        for look in await self._look(model):
            expected = expected_digest(look.file, look.marker)
            if expected is None or not (look.state == "unchecked" or (again and look.state == "ready")):
                continue
            transfer.phase = "verifying"
            async with self._lock(model, look.file):
                path = self._files.path(model, look.file)
                sha256, _git = await _stoppable(partial(_hash, path))
                if sha256 == expected:
                    by: VerifiedBy = "pinned" if look.file.sha256 else "hub"
                    source = look.marker.source if look.marker else "here"
                    await asyncio.to_thread(self._files.mark, model, look.file, sha256.value, by, source)
                else:
                    app_logger.warning("model %s: %s is damaged", model.id, look.file.path)
                    await asyncio.to_thread(self._files.unmark, model, look.file)
                    await asyncio.to_thread(self._files.mark_wrong, model, look.file)

    async def adoptable(self, model: CatalogueModel, missing: Sequence[FileLook]) -> dict[str, int]:
        """Sizes, by path, of the files that a look at names and sizes says need not be fetched."""
        stock = await self._stock()
        return {
            known.path: known.bytes or 0
            for look in missing
            if (known := await self._known(model, look.file, stock)) is not None
            and stock.candidates(known.bytes or 0, known.sha256 or "")
        }

    async def _stock(self) -> Stock:
        return await _stoppable(partial(take_stock, self._hub_caches, self._folders))

    async def _known(self, model: CatalogueModel, file: CatalogueFile, stock: Stock) -> CatalogueFile | None:
        """The file with its size and hash: those of the catalogue, else, where no hub may be asked, those under
        which a hub's client keeps it on this computer. None while they are not known."""
        if file.sha256 is not None:
            return file
        place = model.places(file).huggingface
        blob = stock.by_place.get((place.repo, place.path or "")) if place and self._offline else None
        if blob is None:
            return None
        size = (await asyncio.to_thread(blob.stat)).st_size
        return file.model_copy(update={"bytes": size, "sha256": blob.name})

    async def _adopt(
        self, model: CatalogueModel, missing: Sequence[FileLook], stock: Stock, transfer: Transfer
    ) -> list[FileLook]:
        left = []
        for look in missing:
            known = await self._known(model, look.file, stock)
            async with self._lock(model, look.file):
                if known is None or not await self._take_over(model, look.file, known, stock, transfer):
                    left.append(look)
        return left

    async def _take_over(
        self,
        model: CatalogueModel,
        file: CatalogueFile,
        known: CatalogueFile,
        stock: Stock,
        transfer: Transfer,
    ) -> bool:
        """Put the file in place from this computer. `known` is the file with its size and hash."""
        candidates = stock.candidates(known.bytes or 0, known.sha256 or "")
        if not candidates or known.sha256 is None:
            return False
        transfer.phase, transfer.current = "verifying", file.path
        target = await asyncio.to_thread(self._files.make_room_for, model, file)
        if not await _stoppable(partial(adopt, known, candidates, target)):
            return False
        by: VerifiedBy = "pinned" if file.sha256 else "hub"
        await asyncio.to_thread(self._files.mark, model, file, known.sha256, by, "this computer")
        app_logger.info("model %s: took over %s from this computer", model.id, file.path)
        return True

    async def _fetch(
        self,
        client: httpx.AsyncClient,
        model: CatalogueModel,
        file: CatalogueFile,
        stock: Stock,
        transfer: Transfer,
    ) -> None:
        """One file from the first source that delivers it."""
        for pause_s in (*ROUND_PAUSES_S, None):
            troubles: list[tuple[str, TransferTrouble]] = []
            for candidate in self._sources.candidates(model, file):
                try:
                    await self._from(client, model, file, candidate, stock, transfer)
                except TransferTrouble as trouble:
                    app_logger.warning(
                        "model %s: %s of %s: %s", model.id, file.path, candidate.source, trouble
                    )
                    troubles.append((candidate.source, trouble))
                else:
                    transfer.trouble = None
                    return
            failure = _failed(file, troubles)
            if pause_s is None or not any(trouble.network for _, trouble in troubles):
                raise failure
            transfer.trouble = ModelError(code=failure.code, detail=failure.detail, hint=failure.hint)
            transfer.current_bytes = 0
            await asyncio.sleep(pause_s)

    async def _from(
        self,
        client: httpx.AsyncClient,
        model: CatalogueModel,
        file: CatalogueFile,
        candidate: Candidate,
        stock: Stock,
        transfer: Transfer,
    ) -> None:
        if file.sha256 is not None and file.bytes is not None:
            wanted = WantedFile(file.bytes, Digest("sha256", file.sha256))
        else:
            wanted = await self._sources.describe(client, candidate)
            if file.bytes not in (None, wanted.size_bytes):
                raise TransferTrouble("the hub has a file of another size", again=False)
        by: VerifiedBy = "pinned" if file.sha256 is not None else "hub"
        target = await asyncio.to_thread(self._files.make_room_for, model, file)
        look = next(look for look in await self._look(model) if look.file == file)
        if look.state == "ready" and look.marker is not None and by == "pinned":
            return  # another model that shares it was faster
        if look.state in ("ready", "unchecked"):
            found = await _stoppable(partial(_hash, target))
            if wanted.digest in found:
                await asyncio.to_thread(self._files.mark, model, file, found[0].value, by, candidate.source)
                return
        if look.state not in ("absent", "partial"):
            await asyncio.to_thread(self._files.drop_damaged, model, file)
        if by == "hub" and wanted.digest.kind == "sha256":
            # Only now is it known what to look for.
            stated = {"bytes": wanted.size_bytes, "sha256": wanted.digest.value}
            if await self._take_over(model, file, file.model_copy(update=stated), stock, transfer):
                return
        await self.require_room(wanted.size_bytes - look.have_bytes)
        transfer.begin(file.path, candidate.source)

        def checking() -> None:
            transfer.phase = "verifying"

        steps = Steps(received=transfer.received, checking=checking)
        sha256 = await download(client, candidate.address, wanted, target, steps)
        await asyncio.to_thread(self._files.mark, model, file, sha256.value, by, candidate.source)
        app_logger.info("model %s: %s is here, from %s", model.id, file.path, candidate.source)

    async def require_room(self, needed_bytes: int) -> None:
        """Raises disk_full when the disk would not keep its reserve."""
        free = await asyncio.to_thread(self._files.free_bytes)
        if free < needed_bytes + RESERVE_BYTES:
            raise InputError(
                ErrorCode.DISK_FULL,
                f"The download needs {max(0, needed_bytes) / 1e9:.1f} GB and {RESERVE_BYTES / 1e9:.1f} GB in reserve, "
                f"but the disk has {free / 1e9:.1f} GB left.",
                hint="Free some space, or set DATA_DIR to a larger disk in .env.",
            )

    async def _look(self, model: CatalogueModel) -> tuple[FileLook, ...]:
        return await asyncio.to_thread(self._files.look, model)

    def _lock(self, model: CatalogueModel, file: CatalogueFile) -> asyncio.Lock:
        return self._locks.setdefault(self._files.folder(model) / file.path, asyncio.Lock())


def offline() -> ProductError:
    """MODEL_OFFLINE is set."""
    return InputError(
        ErrorCode.FETCH_REFUSED,
        "Nothing is downloaded: this service is set to stay offline.",
        hint="Set MODEL_OFFLINE=false in .env and restart, or put the files in place by hand.",
    )


def _failed(file: CatalogueFile, troubles: Sequence[tuple[str, TransferTrouble]]) -> ProductError:
    told = "; ".join(f"{source}: {trouble}" for source, trouble in troubles)
    return InputError(
        ErrorCode.FETCH_FAILED,
        f"The file {file.path} could not be downloaded. {told or 'No source of MODEL_SOURCES has it'}.",
        hint="Check the network and the proxy, or set MODEL_SOURCES or HF_ENDPOINT in .env, then resume; "
        "what has arrived is kept.",
    )


def _hash(path: Path, stopped: Callable[[], bool]) -> tuple[Digest, Digest]:
    return hash_file(path, stopped=stopped)


async def _stoppable(work: Callable[[Callable[[], bool]], T]) -> T:
    """Run `work(stopped)` on a thread; a cancelled caller makes `stopped()` true, so that it ends soon."""
    gone = threading.Event()
    try:
        return await asyncio.to_thread(work, gone.is_set)
    except asyncio.CancelledError:
        gone.set()
        raise
