"""The one place where everything is wired. Runs in the service process.

`start_services` takes settings to running services in the order that makes a crash harmless: folders, lock,
database, sweep of left-over processes, reaping of lost jobs, and only then the dispatcher.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from backend.engines.base import BaseEngineAdapter
from backend.engines.gpu_lanes import GpuLanes
from backend.engines.gpu_pool import GpuDriver, GpuPool, NvidiaDriver
from backend.engines.registry import EngineRegistry
from backend.engines.speech.base import BaseSpeechEngine
from backend.engines.wan2gp_models import Wan2GPModels, load_wan2gp_models
from backend.engines.worker_port import EngineWorker
from backend.services.access import Access
from backend.services.admin_wiring import AdminServices, open_own, wire_admin
from backend.services.avatar_service import AvatarService
from backend.services.batch_service import BatchService
from backend.services.catalog import Catalog
from backend.services.disk_service import DiskService
from backend.services.disk_wiring import ledger_folders, wire_retention
from backend.services.dispatcher import Dispatcher
from backend.services.engine_router import EngineRouter, register_engines
from backend.services.engine_wiring import video_engines
from backend.services.estimator import Estimator, GpuLook
from backend.services.event_bus import EventBus
from backend.services.event_stream import EventService
from backend.services.failure_desk import FailureDesk
from backend.services.file_keeper import FileKeeper
from backend.services.finish_service import FinishService
from backend.services.gpu_fleet import WorkerMaker, gpu_team, processes
from backend.services.hearing import WORKER_NAME as RECOGNISER
from backend.services.hearing import wire_hearing
from backend.services.housekeeper import Housekeeper
from backend.services.job_preview import JobPreviews
from backend.services.job_service import JobService
from backend.services.library_wiring import wire_library
from backend.services.local_executor import LocalExecutor
from backend.services.model_catalogue import ModelCatalogue
from backend.services.model_service import ModelService
from backend.services.model_wiring import wire_models
from backend.services.openai_speech import OpenAISpeech
from backend.services.portrait_fetch import Fetcher
from backend.services.portrait_probe import PortraitProbe
from backend.services.run_learning import RunLearning
from backend.services.script_wiring import wire_scripts
from backend.services.services import Services
from backend.services.speech_engines import clone_engines
from backend.services.speech_stage import SpeechStage
from backend.services.stage_runner import StageRunner
from backend.services.system_service import SystemService, limits_of
from backend.services.text_wiring import wire_texts
from backend.services.voice_wiring import VoiceServices, wire_voices
from backend.services.webhook_outbox import WebhookOutbox
from backend.services.webhook_sender import Sender, WebhookSender
from backend.services.webhook_service import JobWebhookSecret, WebhookService, delivery_data
from backend.services.worker_fleet import WorkerNotes, sweep_left_overs, worker_team
from backend.storage.migrations import MIGRATIONS
from backend.storage.setup import InstanceLock, prepare_directories
from backend.storage.store import Store, open_store
from backend.storage.sweep import clear_work
from backend.utils.clock import Clock, SystemClock
from backend.utils.config import BASE_DIR, BUNDLE_DIR, Settings, process_environment
from backend.utils.logger import app_logger, configure_logging
from backend.utils.media.ffmpeg import Ffmpeg, locate_ffmpeg

ASSETS_DIR = BUNDLE_DIR / "assets"
# With JOB_CONCURRENCY=0; what may be set by hand.
MAX_CONCURRENCY = 16


@contextlib.asynccontextmanager
async def running_services(
    settings: Settings,
    *,
    adapters: Sequence[BaseEngineAdapter] = (),
    speech_engines: Sequence[BaseSpeechEngine] = (),
    clock: Clock | None = None,
    access: Access,
    fetcher: Fetcher | None = None,
    workers: Mapping[str, EngineWorker | WorkerMaker] | None = None,
    catalogue: ModelCatalogue | None = None,
    gpu_driver: GpuDriver | None = None,
    engines_dir: Path = BASE_DIR,
    on_death: Callable[[BaseException], None],
) -> AsyncIterator[Services]:
    """Everything from folders to dispatcher; undone in reverse order, whatever happens.

    `adapters` and `speech_engines` are engines beside the built-in ones; `workers` (speech, draft, …) replace the real
    processes in tests, and `gpu_driver` the real cards. `engines_dir`: where the folders of engines with an environment
    of their own lie. `on_death` hears of a background task that died.
    """
    clock = clock or SystemClock()
    boot_id = f"boot-{secrets.token_hex(8)}"
    async with contextlib.AsyncExitStack() as stack:
        layout = await asyncio.to_thread(prepare_directories, settings.data_dir, settings.logs_dir)
        lock = InstanceLock(layout.data)
        await asyncio.to_thread(lock.acquire)
        stack.callback(lock.release)
        started_s = time.time()
        stack.callback(configure_logging(layout.logs, settings.log_level))
        app_logger.info("starting %s with data in %s", boot_id, layout.data)

        bus = EventBus(per_job=settings.sse_max_per_job, total=settings.sse_max_subscribers)
        store = await open_store(layout, clock, on_events=bus.publish, max_queued=settings.queue_limit)
        stack.push_async_callback(store.close)
        stack.callback(bus.close)

        await access.load(settings, store.settings)
        own = await open_own(settings, store, access, clock, on_death)
        stack.push_async_callback(own.keys.stop)
        # What was chosen on the page counts from here on; what is above, the page cannot change.
        settings = own.settings.now
        notes = WorkerNotes(store.workers, boot_id)
        await sweep_left_overs(store.workers, boot_id)
        # After the sweep: a process that is left over could fill an attempt's folder again.
        await clear_work(store.blobs)
        stack.push_async_callback(notes.settle)

        catalog = Catalog(ASSETS_DIR)
        await asyncio.to_thread(catalog.load)
        binary = await asyncio.to_thread(locate_ffmpeg)
        gpus = GpuPool(
            gpu_driver or NvidiaDriver(), visible=process_environment().get("CUDA_VISIBLE_DEVICES")
        )
        lanes = GpuLanes(gpus, await gpus.gpus(), clock, per_lane=settings.gpus_per_video)
        given = {name: worker for name, worker in (workers or {}).items() if not callable(worker)}
        team = worker_team(given, settings, ffmpeg=binary, clock=clock, notes=notes) | gpu_team(
            workers or {}, settings, lanes, engines_dir=engines_dir, ffmpeg=binary, clock=clock, notes=notes
        )
        # Together, not one after the other: a stop has 10 s for all.
        stack.push_async_callback(_stop_all, tuple(team.values()))
        for worker in team.values():
            await worker.start()

        sender = WebhookSender(allow_private=settings.webhook_allow_private)
        secret = JobWebhookSecret(store.settings)
        outbox = WebhookOutbox(
            store=store.webhooks,
            sender=sender,
            secrets=secret,
            data_of=partial(delivery_data, store),
            clock=clock,
            on_death=on_death,
        )
        retention = wire_retention(settings, store, clock)
        models = await wire_models(settings, store, ASSETS_DIR, catalogue=catalogue, on_death=on_death)
        stack.push_async_callback(models.stop)
        voice = wire_voices(
            store,
            catalog=catalog,
            files=FileKeeper(store),
            worker=team["speech"],
            speech_engines=(
                *clone_engines(team, models.ready_now, base_dir=engines_dir),
                *speech_engines,
            ),
            clock=clock,
            cache_dir=settings.cache_dir,
            max_bytes=settings.max_audio_mib << 20,
            on_death=on_death,
        )
        wan2gp = await asyncio.to_thread(load_wan2gp_models, ASSETS_DIR)
        services, dispatcher = _wire(
            settings,
            store,
            bus,
            catalog,
            voice,
            models,
            Ffmpeg(binary, settings.threads),
            team,
            (
                *video_engines(
                    team,
                    models,
                    wan2gp,
                    gpus,
                    engines_dir=engines_dir,
                    ffmpeg=Ffmpeg(binary, settings.threads),
                    clock=clock,
                ),
                *adapters,
            ),
            lanes,
            wan2gp,
            gpus.gpus,
            clock,
            fetcher or Fetcher(settings.fetch_proxy),
            boot_id,
            on_death,
            access,
            WebhookService(store=store, sender=sender, outbox=outbox, secret=secret),
            sender,
            DiskService(
                store=store, layout=layout, retention=retention, folders=ledger_folders(settings, layout)
            ),
            partial(
                wire_admin,
                store=store,
                layout=layout,
                own=own,
                models=models,
                retention=retention,
                workers=team,
                gpus=gpus,
                ffmpeg=binary,
                clock=clock,
            ),
        )
        stack.push_async_callback(services.admin.doctor.stop)
        report = await store.jobs.reap_lost(boot_id)
        if report.requeued or report.failed or report.cancelled:
            app_logger.warning("jobs of a crashed service: %s", report)
        stack.callback(bus.listen(lambda _events: dispatcher.wake()))
        stack.callback(bus.listen(outbox.on_events))
        await outbox.start()
        stack.push_async_callback(outbox.stop)
        housekeeper = Housekeeper(store, retention, started_s=started_s, on_death=on_death)
        await housekeeper.start()
        stack.push_async_callback(housekeeper.stop)
        await models.start()
        await dispatcher.start()
        stack.push_async_callback(dispatcher.stop)
        await voice.refiner.start()
        stack.push_async_callback(voice.refiner.stop)
        app_logger.info("ready")
        yield services
        app_logger.info("stopping")


async def _stop_all(workers: Sequence[EngineWorker]) -> None:
    await asyncio.gather(*(worker.stop() for worker in workers))


def _wire(
    settings: Settings,
    store: Store,
    bus: EventBus,
    catalog: Catalog,
    voice: VoiceServices,
    models: ModelService,
    ffmpeg: Ffmpeg,
    workers: dict[str, EngineWorker],
    adapters: Sequence[BaseEngineAdapter],
    lanes: GpuLanes,
    wan2gp: Wan2GPModels,
    gpus: GpuLook,
    clock: Clock,
    fetcher: Fetcher,
    boot_id: str,
    on_death: Callable[[BaseException], None],
    access: Access,
    webhooks: WebhookService,
    sender: Sender,
    disk: DiskService,
    admin: Callable[..., AdminServices],
) -> tuple[Services, Dispatcher]:
    registry = EngineRegistry()
    register_engines(registry, adapters)
    router = EngineRouter(registry)
    files = FileKeeper(store)
    voices = voice.library
    avatars = AvatarService(
        store=store,
        catalog=catalog,
        files=files,
        probe=PortraitProbe(workers["draft"]),
        fetcher=fetcher,
        uploads_dir=settings.uploads_dir,
        max_bytes=settings.max_image_mib << 20,
        ffmpeg=ffmpeg,
    )
    scripts = wire_scripts(
        settings,
        catalogue_dir=ASSETS_DIR / "catalogue",
        worker=workers["writer"],
        files=files,
        avatars=avatars,
        clock=clock,
    )
    stages = StageRunner(
        files=files,
        script=scripts.stage,
        avatars=avatars,
        speech=SpeechStage(
            store=store,
            files=files,
            voices=voices,
            router=voice.router,
            speech=voice.speech,
            hearing=wire_hearing(workers[RECOGNISER], settings),
            deadline_s=settings.job_deadline_s,
        ),
        finish=FinishService(ffmpeg, ASSETS_DIR),
        checkpoints=store.checkpoints,
        learning=RunLearning(store.run_times),
        clock=clock,
        deadline_s=settings.job_deadline_s,
    )
    executor = LocalExecutor(
        store=store.jobs,
        stages=stages,
        router=router,
        speech_router=voice.router,
        voices=voices,
        failures=FailureDesk(
            store=store.jobs,
            router=router,
            speech_router=voice.router,
            speech_plan=stages.speech_plan,
            is_own=voices.is_own,
            clock=clock,
        ),
        quiet=voice.quiet,
        checkpoints=store.checkpoints,
        clock=clock,
        work_dir=settings.work_dir,
    )
    dispatcher = Dispatcher(
        store.jobs,
        executor,
        boot_id=boot_id,
        # One lane is a machine without a GPU, too.
        concurrency=settings.job_concurrency or min(len(lanes.lanes), MAX_CONCURRENCY),
        clock=clock,
        on_death=on_death,
    )
    jobs = JobService(
        store=store,
        router=router,
        speech_router=voice.router,
        voices=voices,
        avatars=avatars,
        files=files,
        previews=JobPreviews(settings.work_dir),
        max_script_chars=settings.max_script_chars,
        check_webhook=sender.check,
        on_cancel=dispatcher.cancel,
    )
    batches = BatchService(store=store.batches, jobs=jobs, on_cancel=dispatcher.cancel)
    system = SystemService(
        store=store,
        router=router,
        workers=processes(workers),
        lanes=lanes,
        data_dir=settings.data_dir,
        limits=limits_of(settings),
        schema_version=len(MIGRATIONS),
        clock=clock,
        on_resume=dispatcher.wake,
    )
    events = EventService(store.jobs, bus)
    services = Services(
        jobs=jobs,
        estimator=Estimator(
            jobs=jobs,
            router=router,
            models=models,
            wan2gp=wan2gp,
            run_times=store.run_times,
            gpus=gpus,
            data_dir=settings.data_dir,
        ),
        voices=voices,
        enrolment=voice.enrolment,
        speaker=voice.speaker,
        speech=voice.router,
        models=models,
        openai=OpenAISpeech(
            voices=voice.library,
            speaker=voice.speaker,
            router=voice.router,
            ffmpeg=ffmpeg.binary,
            max_chars=settings.max_script_chars,
        ),
        avatars=avatars,
        batches=batches,
        webhooks=webhooks,
        disk=disk,
        events=events,
        system=system,
        access=access,
        scripts=scripts.requests,
        texts=wire_texts(store, workers["speech"], voices, files, max_chars=settings.max_script_chars),
        library=wire_library(store, jobs=jobs, router=router, voices=voices, clock=clock),
        admin=admin(system=system, speech=voice.router, scripts=scripts.requests),
    )
    return services, dispatcher
