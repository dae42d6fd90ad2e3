"""The engines that live on GPUs: how each of their workers is started, one process per GPU. Service process; wiring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from backend.engines.environment_probe import chosen_gpu, expected_python
from backend.engines.gpu_lanes import GpuLanes
from backend.engines.gpu_pool import GpuFacts
from backend.engines.gpu_workers import GpuWorkers
from backend.engines.infinitetalk_home import INFINITETALK_CORE
from backend.engines.supervisor import WorkerSupervisor
from backend.engines.wan2gp_home import WAN2GP_CORE
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import WorkerLimits, WorkerObserver, WorkerSpec
from backend.services.speech_engines import VOXCPM_CORE
from backend.services.worker_fleet import SPARE_IDLE_S, SPEECH_CACHE
from backend.utils.clock import Clock
from backend.utils.config import BUNDLE_DIR, Settings, worker_environment
from backend.utils.logger import worker_logger

# A worker, or what makes the worker of a GPU (None: of a machine without).
WorkerMaker = Callable[[GpuFacts | None], EngineWorker]
# PyTorch's builds for cards below this compute capability are others than those for cards above (docs/operations.md),
# so an environment serves only the cards on the side of the one for which it was installed.
BUILD_EDGE = (7, 5)
# Twenty gigabytes from a slow disk, read by native code that lets nobody else speak: far longer than a token of life
# takes, far shorter than a person's patience with a dead process.
LOADING_LIMITS = WorkerLimits(quiet_loading_s=600.0, quiet_running_s=1800.0)


@dataclass(frozen=True)
class GpuEngine:
    """`core`: folder of the project with its environment. `idle_unload_s` None: as the settings say."""

    name: str
    title: str
    core: str
    start_timeout_s: float
    recycle_after_tasks: int
    idle_unload_s: int | None = None
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    # Whether its folder holds the engine's own code, which the worker runs.
    has_code: bool = False
    # Whether one worker of it can use several GPUs for one video (GPUS_PER_VIDEO).
    shares_gpus: bool = False


GPU_ENGINES = (
    # Five gigabytes from a slow disk to the GPU, and the first compilation of its kernels.
    GpuEngine("voxcpm", "VoxCPM2", VOXCPM_CORE, 900.0, 50, idle_unload_s=SPARE_IDLE_S),
    # It starts without weights; its memory grows from task to task, and it keeps a list of all it ever made.
    GpuEngine("wan2gp", "Wan2GP", WAN2GP_CORE, 180.0, 20, limits=LOADING_LIMITS, has_code=True),
    # Nothing in it is known to grow; it is replaced all the same, so that what is not known does no harm. Rarely: the
    # next job would read its weights again.
    GpuEngine(
        "infinitetalk", "InfiniteTalk", INFINITETALK_CORE, 180.0, 50, limits=LOADING_LIMITS, shares_gpus=True
    ),
)


def _alone(_gpu: GpuFacts) -> tuple[GpuFacts, ...]:
    """No GPU shares its work with another."""
    return ()


def gpu_team(
    given: Mapping[str, EngineWorker | WorkerMaker],
    settings: Settings,
    lanes: GpuLanes,
    *,
    engines_dir: Path,
    ffmpeg: Path,
    clock: Clock,
    notes: WorkerObserver,
) -> dict[str, EngineWorker]:
    """The workers of all GPU engines by name, not started; those that are `given` (twins, in tests) as they are, and
    what only makes workers for each GPU."""
    team: dict[str, EngineWorker] = {}
    for engine in GPU_ENGINES:
        core_dir = engines_dir / engine.core
        own = given.get(engine.name)
        if own is not None and not callable(own):
            team[engine.name] = own
            continue
        make = own or partial(
            gpu_worker,
            engine,
            core_dir,
            settings,
            ffmpeg=ffmpeg,
            clock=clock,
            notes=notes,
            partners=lanes.partners if engine.shares_gpus else _alone,
        )
        usable = partial(usable_gpus, core_dir)
        team[engine.name] = GpuWorkers(engine.name, lanes, make, clock=clock, usable=usable)
    return team


def processes(team: Mapping[str, EngineWorker]) -> tuple[EngineWorker, ...]:
    """Every worker process that there may be: an engine on several GPUs has several."""
    return tuple(
        one
        for worker in team.values()
        for one in (worker.processes if isinstance(worker, GpuWorkers) else (worker,))
    )


def gpu_worker(
    engine: GpuEngine,
    core_dir: Path,
    settings: Settings,
    gpu: GpuFacts | None,
    *,
    ffmpeg: Path,
    clock: Clock,
    notes: WorkerObserver,
    partners: Callable[[GpuFacts], Sequence[GpuFacts]] = _alone,
) -> WorkerSupervisor:
    """A worker in an environment of its own below `core_dir`; nobody asks it before that is there. It sees its GPU and
    the `partners` of that."""
    extra = {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # the numbers of nvidia-smi
        "HF_HUB_OFFLINE": "1",  # weights come from the model service, never by the way
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",  # its bars would fill the log
        "PYTHONUTF8": "1",
    }
    if gpu is not None:
        extra["CUDA_VISIBLE_DEVICES"] = ",".join(str(one.index) for one in (gpu, *partners(gpu)))
    spec = WorkerSpec(
        name=engine.name,
        title=engine.title,
        python=expected_python(core_dir),
        handler=f"workers.{engine.name}.handler",
        host_script=BUNDLE_DIR / "workers" / "host.py",
        work_dir=settings.work_dir,
        models_dir=settings.models_dir,
        cache_dir=settings.cache_dir / SPEECH_CACHE,
        engine_root=core_dir if engine.has_code else None,
        options=_options(engine, settings, ffmpeg),
        env=worker_environment(settings),
        extra_env=extra,
        device=None if gpu is None else {"index": gpu.index, "uuid": gpu.uuid, "name": gpu.name},
        start_timeout_s=engine.start_timeout_s,
        idle_unload_s=_idle_s(engine, settings),
        recycle_after_tasks=engine.recycle_after_tasks,
        limits=engine.limits,
    )
    return WorkerSupervisor(spec, log=worker_logger, clock=clock, observer=notes)


def _idle_s(engine: GpuEngine, settings: Settings) -> float:
    """The settings', or the engine's own when that is shorter."""
    asked = settings.worker_idle_unload_s
    if engine.idle_unload_s is None:
        return asked
    return min(engine.idle_unload_s, asked or engine.idle_unload_s)


def _options(engine: GpuEngine, settings: Settings, ffmpeg: Path) -> dict[str, Any]:
    options: dict[str, Any] = {"assets_dir": str(BUNDLE_DIR / "assets"), "ffmpeg": str(ffmpeg)}
    if engine.has_code:
        options |= {
            "config_dir": str(settings.cache_dir / engine.name / "config"),
            "checkpoints": [str(settings.models_dir / engine.name)],
            # The worker's own defaults: what runs on every card, and the fastest attention that is installed.
            "profile": None,
            "attention": "auto",
        }
    return options


def usable_gpus(core_dir: Path, gpus: Sequence[GpuFacts]) -> frozenset[int] | None:
    """Indices of the GPUs that the environment below `core_dir` serves; None when nothing is known. Reads a file."""
    index = chosen_gpu(core_dir)
    chosen = next((gpu.compute_capability for gpu in gpus if gpu.index == index), None)
    if chosen is None:
        return None
    side = chosen >= BUILD_EDGE
    return frozenset(
        gpu.index
        for gpu in gpus
        if gpu.compute_capability is None or (gpu.compute_capability >= BUILD_EDGE) == side
    )
