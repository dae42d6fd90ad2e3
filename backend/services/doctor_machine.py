"""Checks of the machine: disk, memory, folders, ffmpeg, driver, network, port, clock. Runs in the service process.

Each is a coroutine that gives one `CheckView`; the doctor runs them side by side, each with a deadline.
"""

from __future__ import annotations

import asyncio
import email.utils
import importlib
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import httpx
import psutil

from backend.engines.gpu_pool import GpuPool
from backend.models.doctor import CheckStatus, CheckView, FixView
from backend.services.model_sources import ADDRESSES, SOURCE_NAMES
from backend.services.page_settings import PageSettings
from backend.services.retention import Retention
from backend.storage.setup import DataLayout
from backend.utils.clock import Clock
from backend.utils.config import Settings
from backend.utils.download_http import TransferTrouble, new_client

GIB = 1 << 30
# Below this a long video does not fit; below the other a few of them, or the next model.
MIN_FREE_BYTES = 1 * GIB
LOW_FREE_BYTES = 8 * GIB
LOW_MEMORY_BYTES = 1 * GIB
FFMPEG_WITHIN_S = 10.0
REACHED_WITHIN_S = 5.0
PORT_WITHIN_S = 2.0
# People press the button again and again; the mirrors need not hear of it each time.
NETWORK_KEPT_S = 60.0
# Certificates and signed addresses of downloads tolerate a few minutes.
MAX_CLOCK_ERROR_S = 300.0
# Windows would open a console for a moment.
_NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
# This code was written then: a clock that says less is wrong.
_WRITTEN = datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()


@dataclass(frozen=True)
class Reached:
    """What the sources of models answered. `clock_error_s`: how far this clock is ahead of theirs, None when unknown."""

    here: tuple[str, ...]
    away: tuple[str, ...]
    clock_error_s: float | None


class MachineChecks:
    """Looks at the machine. What could hang has a deadline of its own or runs on a thread."""

    def __init__(
        self,
        *,
        settings: PageSettings,
        layout: DataLayout,
        ffmpeg: Path,
        gpus: GpuPool,
        retention: Retention,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._ffmpeg = ffmpeg
        self._gpus = gpus
        self._retention = retention
        self._clock = clock
        self._transport = transport
        self._reached: tuple[float, Reached] | None = None
        self._reaching = asyncio.Lock()

    @property
    def _now(self) -> Settings:
        return self._settings.now

    async def disk(self) -> CheckView:
        usage = await asyncio.to_thread(shutil.disk_usage, self._layout.data)
        detail = f"{usage.free / GIB:.1f} GiB of {usage.total / GIB:.1f} GiB are free where the data lies."
        if usage.free >= LOW_FREE_BYTES:
            return CheckView(id="disk", status="ok", title="Room on the disk", detail=detail, fix=None)
        rules = await self._retention.reclaimable()
        freeable = sum(rules[rule].size_bytes for rule in ("caches", "unused_uploads"))
        label = f"Clear caches and uploads that nothing needs ({freeable / (1 << 20):.0f} MiB)"
        fix = (
            FixView(action="free_space", label=label, automatic=True)
            if freeable
            else FixView(action="open_models", label="Delete models or videos that are no longer needed")
        )
        is_short = usage.free < MIN_FREE_BYTES
        status: CheckStatus = "error" if is_short else "warning"
        return CheckView(id="disk", status=status, title="Little room on the disk", detail=detail, fix=fix)

    async def data_writable(self) -> CheckView:
        title = "Data folder"
        try:
            await asyncio.to_thread(_write_and_read, self._layout.data)
        except OSError as error:
            return CheckView(
                id="data_writable",
                status="error",
                title=title,
                detail=f"The data folder cannot be written to ({error.strerror or type(error).__name__}).",
                fix=FixView(
                    action="read_docs", label="Give this account the right to write to the data folder"
                ),
            )
        return CheckView(
            id="data_writable",
            status="ok",
            title=title,
            detail="The data folder can be written to.",
            fix=None,
        )

    async def memory(self) -> CheckView:
        memory = await asyncio.to_thread(psutil.virtual_memory)
        free = memory.available / GIB
        detail = f"{free:.1f} GiB of {memory.total / GIB:.1f} GiB of memory are free."
        if memory.available >= LOW_MEMORY_BYTES:
            return CheckView(id="memory", status="ok", title="Memory", detail=detail, fix=None)
        fix = FixView(action="read_docs", label="Close other programs")
        return CheckView(id="memory", status="warning", title="Little memory", detail=detail, fix=fix)

    async def ffmpeg(self) -> CheckView:
        repair = FixView(action="repair", label="Start once with --repair")
        title = "Video encoder (ffmpeg)"
        try:
            told = await asyncio.to_thread(_version_of, self._ffmpeg)
        except (OSError, subprocess.SubprocessError) as error:
            detail = f"ffmpeg does not start ({type(error).__name__})."
            return CheckView(id="ffmpeg", status="error", title=title, detail=detail, fix=repair)
        return CheckView(id="ffmpeg", status="ok", title=title, detail=told, fix=None)

    async def gpu_driver(self) -> CheckView:
        title = "NVIDIA graphics card"
        gpus = await self._gpus.gpus()
        if gpus:
            names = ", ".join(
                gpu.name if gpu.total_mib is None else f"{gpu.name} ({gpu.total_mib / 1024:.0f} GiB)"
                for gpu in gpus
            )
            return CheckView(id="gpu_driver", status="ok", title=title, detail=f"Found: {names}.", fix=None)
        has_library = await asyncio.to_thread(_is_importable, "pynvml")
        detail = "No NVIDIA graphics card with a driver was found. Drafts are made on the processor."
        if not has_library:
            return CheckView(
                id="gpu_driver",
                status="warning",
                title=title,
                detail="The package that asks the NVIDIA driver is missing.",
                fix=FixView(action="repair", label="Start once with --repair"),
            )
        fix = FixView(
            action="read_docs", label="If there is a card, install its newest driver and start again"
        )
        return CheckView(id="gpu_driver", status="skipped", title=title, detail=detail, fix=fix)

    async def network_mirror(self) -> CheckView:
        title = "Sources of models"
        if self._now.model_offline:
            detail = "MODEL_OFFLINE is set: models are never downloaded."
            return CheckView(id="network_mirror", status="skipped", title=title, detail=detail, fix=None)
        reached = await self._reach()
        if reached.here:
            away = f" No answer from {', '.join(reached.away)}." if reached.away else ""
            detail = f"Reached: {', '.join(reached.here)}.{away}"
            return CheckView(id="network_mirror", status="ok", title=title, detail=detail, fix=None)
        return CheckView(
            id="network_mirror",
            status="warning",
            title=title,
            detail=f"None of the sources answers: {', '.join(reached.away) or 'none is set'}.",
            fix=FixView(
                action="open_settings", label="Check the network, or set a mirror", target="HF_ENDPOINT"
            ),
        )

    async def time(self) -> CheckView:
        title = "Clock of this computer"
        fix = FixView(action="read_docs", label="Set the clock, best from the internet")
        now_s = self._clock.now_ms() / 1000
        if now_s < _WRITTEN:
            detail = "The clock of this computer is years behind."
            return CheckView(id="time", status="error", title=title, detail=detail, fix=fix)
        reached = None if self._now.model_offline else await self._reach()
        error_s = None if reached is None else reached.clock_error_s
        if error_s is not None and abs(error_s) > MAX_CLOCK_ERROR_S:
            side = "ahead" if error_s > 0 else "behind"
            detail = f"The clock is {abs(error_s) / 60:.0f} minutes {side}; downloads may be refused."
            return CheckView(id="time", status="warning", title=title, detail=detail, fix=fix)
        detail = (
            "The clock is right." if error_s is not None else "The clock looks right; nobody could be asked."
        )
        return CheckView(id="time", status="ok", title=title, detail=detail, fix=None)

    async def port(self) -> CheckView:
        settings = self._now
        title = "Address of the service"
        where = "this computer alone" if settings.is_loopback else "the local network, with a key"
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared
        try:
            _reader, writer = await asyncio.wait_for(
                asyncio.open_connection(host, settings.port), PORT_WITHIN_S
            )
            writer.close()
        except (OSError, asyncio.TimeoutError):
            detail = (
                f"Nobody answers at port {settings.port} of the settings: the service was started on another."
            )
            fix = FixView(action="read_docs", label="Set HOST and PORT in .env to where the service listens")
            return CheckView(id="port", status="warning", title=title, detail=detail, fix=fix)
        detail = f"The service listens at port {settings.port}, for {where}."
        return CheckView(id="port", status="ok", title=title, detail=detail, fix=None)

    # -- the network -------------------------------------------------------------------------------
    async def _reach(self) -> Reached:
        async with self._reaching:
            if self._reached is None or self._clock.monotonic_s() - self._reached[0] > NETWORK_KEPT_S:
                found = await _reach_all(_sources(self._now), self._transport)
                self._reached = (self._clock.monotonic_s(), found)
            return self._reached[1]

    def forget_network(self) -> None:
        """The settings changed."""
        self._reached = None


def _sources(settings: Settings) -> dict[str, str]:
    """Name to address, as MODEL_SOURCES orders them."""
    order = SOURCE_NAMES if settings.model_source_order == ("auto",) else settings.model_source_order
    known = {**ADDRESSES, "hf_endpoint": settings.hf_endpoint or ""}
    return {name: known[name] for name in order if known.get(name)}


async def _reach_all(sources: dict[str, str], transport: httpx.AsyncBaseTransport | None) -> Reached:
    try:
        client = await asyncio.to_thread(new_client, transport)
    except TransferTrouble:
        return Reached((), tuple(sources), None)
    async with client:
        answers = await asyncio.gather(*(_date_at(client, address) for address in sources.values()))
    found = dict(zip(sources, answers, strict=True))
    errors = [error for answer in answers if answer is not None for error in answer]
    return Reached(
        tuple(name for name, answer in found.items() if answer is not None),
        tuple(name for name, answer in found.items() if answer is None),
        # The middle one: a mirror's own clock may be wrong too.
        sorted(errors)[len(errors) // 2] if errors else None,
    )


async def _date_at(client: httpx.AsyncClient, address: str) -> tuple[float, ...] | None:
    """None when nobody answers; else how far our clock is ahead of the answer's, s, if it says so."""
    try:
        answer = await asyncio.wait_for(client.head(address), REACHED_WITHIN_S)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, asyncio.TimeoutError):
        return None
    try:
        stated = email.utils.parsedate_to_datetime(answer.headers.get("date", ""))
        return (time.time() - stated.timestamp(),)
    except (ValueError, TypeError, OverflowError):
        return ()


# -- on a thread -----------------------------------------------------------------------------------
def _write_and_read(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"doctor")
        file.flush()
        file.seek(0)
        if file.read() != b"doctor":
            raise OSError("what was written cannot be read")


def _version_of(ffmpeg: Path) -> str:
    """The first line of `ffmpeg -version`, without what follows the version."""
    told = subprocess.run(  # noqa: S603 - our own ffmpeg
        [str(ffmpeg), "-version"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=FFMPEG_WITHIN_S,
        creationflags=_NO_WINDOW,
    )
    words = told.stdout.decode("utf-8", "replace").split()
    return f"ffmpeg {words[2]} works." if len(words) > 2 else "ffmpeg works."


def _is_importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
