"""What looks after the service itself, wired: settings, keys, logs, doctor, support bundle. Runs in the service process."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from backend.engines.gpu_pool import GpuPool
from backend.engines.worker_port import EngineWorker
from backend.services.access import Access
from backend.services.disk_wiring import limits_of
from backend.services.doctor import Doctor
from backend.services.doctor_engines import EngineChecks
from backend.services.doctor_machine import MachineChecks
from backend.services.key_ring import KeyRing
from backend.services.log_service import LogService
from backend.services.model_service import ModelService
from backend.services.page_settings import PageSettings
from backend.services.retention import Retention
from backend.services.script_requests import ScriptService
from backend.services.script_wiring import script_api
from backend.services.speech_router import SpeechRouter
from backend.services.support_bundle import SupportBundle
from backend.services.system_service import SystemService
from backend.storage.setup import DataLayout
from backend.storage.store import Store
from backend.utils.clock import Clock
from backend.utils.config import BASE_DIR, BUNDLE_DIR, Settings, process_environment
from backend.utils.logger import set_log_level
from backend.utils.redact import Redactor

# Variables whose values are nobody's business, whatever program they belong to.
_SECRET_NAME = re.compile(r"(?i)(token|secret|password|passwd|api_?key|_key)$")


@dataclass(frozen=True)
class OwnChoices:
    """What was decided on the page in earlier runs, and counts before anything else is made."""

    settings: PageSettings
    keys: KeyRing


async def open_own(
    settings: Settings, store: Store, access: Access, clock: Clock, on_death: Callable[[BaseException], None]
) -> OwnChoices:
    """Settings and keys of the page, read and in force. Stop the keys at the end."""
    chosen = PageSettings(settings, store.settings)
    set_log_level((await chosen.load()).log_level)
    keys = KeyRing(store.keys, clock, on_death=on_death)
    await keys.start()
    access.use(keys)
    return OwnChoices(chosen, keys)


@dataclass(frozen=True)
class AdminServices:
    """What the page's System screen asks."""

    settings: PageSettings
    keys: KeyRing
    logs: LogService
    doctor: Doctor
    bundle: SupportBundle


def wire_admin(
    *,
    store: Store,
    layout: DataLayout,
    own: OwnChoices,
    system: SystemService,
    speech: SpeechRouter,
    models: ModelService,
    scripts: ScriptService,
    retention: Retention,
    workers: Mapping[str, EngineWorker],
    gpus: GpuPool,
    ffmpeg: Path,
    clock: Clock,
) -> AdminServices:
    """The services, and who hears of changed settings."""
    settings = own.settings
    machine = MachineChecks(
        settings=settings, layout=layout, ffmpeg=ffmpeg, gpus=gpus, retention=retention, clock=clock
    )
    doctor = Doctor(
        machine=machine,
        engines=EngineChecks(system=system, speech=speech, models=models),
        system=system,
        models=models,
        retention=retention,
        workers=workers,
        clock=clock,
    )
    redactor = redactors(settings, layout)

    def apply(now: Settings) -> None:
        retention.use(limits_of(now))
        models.use_sources(now.model_source_order, hf_endpoint=now.hf_endpoint)
        scripts.use(script_api(now))
        machine.forget_network()
        set_log_level(now.log_level)

    settings.listen(apply)
    return AdminServices(
        settings=settings,
        keys=own.keys,
        logs=LogService(layout.logs, redactor),
        doctor=doctor,
        bundle=SupportBundle(
            store=store,
            system=system,
            doctor=doctor,
            settings=settings,
            logs_dir=layout.logs,
            redactor=redactor,
        ),
    )


def redactors(settings: PageSettings, layout: DataLayout) -> Callable[[tuple[str, ...]], Redactor]:
    """Makes a redactor that knows the folders and secrets of this moment, and names to hide besides."""
    folders = {
        layout.data: "data",
        layout.logs: "logs",
        BASE_DIR: "All-in-one",
        BUNDLE_DIR: "All-in-one",
        Path(sys.prefix): "python",
        Path(sys.base_prefix): "python",
        _home(): "~",
    }
    environment = [value for name, value in process_environment().items() if _SECRET_NAME.search(name)]

    def make(names: tuple[str, ...] = ()) -> Redactor:
        now = settings.now
        own = [key.get_secret_value() for key in (now.api_key, now.script_api_key) if key is not None]
        addresses = (now.hf_endpoint, now.script_api_url, now.fetch_proxy)
        passwords = [_password(address) for address in addresses if address]
        return Redactor(folders=folders, secrets=[*own, *passwords, *environment, *names])

    return make


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")  # an account without a home has nothing there to hide


def _password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:
        return None
