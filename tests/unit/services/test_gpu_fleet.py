"""How the workers of GPU engines are started, and which cards an environment serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.gpu_lanes import GpuLanes
from backend.engines.gpu_pool import GpuFacts, GpuPool
from backend.engines.gpu_workers import GpuWorkers
from backend.engines.process_tree import ProcessIdentity
from backend.engines.supervisor import WorkerSupervisor
from backend.engines.worker_types import WorkerSpec
from backend.services.engine_wiring import REMEMBERED_S, remembered
from backend.services.gpu_fleet import GPU_ENGINES, gpu_team, gpu_worker, processes, usable_gpus
from backend.utils.clock import ManualClock, SystemClock
from installer.state import InstallState, write_state
from tests.support.studio import settings_in
from tests.support.twin_gpus import TwinDriver, gpu
from tests.support.twin_worker import TwinWorker

CARDS = [gpu(0, capability=(6, 1)), gpu(1, capability=(8, 9)), gpu(2, capability=(12, 0))]


class Notes:
    """Hears of processes and forgets them."""

    def worker_spawned(self, identity: ProcessIdentity) -> None: ...

    def worker_died(self, identity: ProcessIdentity, exit_code: int | None) -> None: ...


def spec_of(name: str, folder: Path, one: GpuFacts | None, **changes: object) -> WorkerSpec:
    (engine,) = (engine for engine in GPU_ENGINES if engine.name == name)
    worker = gpu_worker(
        engine,
        folder / engine.core,
        settings_in(folder, **changes),
        one,
        ffmpeg=folder / "ffmpeg",
        clock=SystemClock(),
        notes=Notes(),
    )
    return worker._spec


def test_wan2gp_is_started_with_what_its_worker_needs_and_on_its_own_card(tmp_path: Path) -> None:
    spec = spec_of("wan2gp", tmp_path, gpu(2))
    assert spec.extra_env["CUDA_VISIBLE_DEVICES"] == "2"
    assert spec.device == {"index": 2, "uuid": gpu(2).uuid, "name": "Twin 2"}
    assert spec.extra_env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert spec.extra_env["HF_HUB_OFFLINE"] == "1"
    assert spec.extra_env["PYTHONUTF8"] == "1"
    assert spec.engine_root == tmp_path / "wan2gp_core"
    assert spec.handler == "workers.wan2gp.handler"
    assert set(spec.options) == {
        "assets_dir",
        "ffmpeg",
        "config_dir",
        "checkpoints",
        "profile",
        "attention",
    }
    assert spec.options["checkpoints"] == [str(tmp_path / "data" / "models" / "wan2gp")]
    assert Path(spec.options["config_dir"]).is_relative_to(tmp_path / "data" / "cache")
    assert spec.start_timeout_s == 180
    assert 0 < spec.recycle_after_tasks <= 50
    assert spec.limits.quiet_running_s > 600, "loading 20 GB may be silent for long"


def test_infinitetalk_is_started_in_its_own_environment_with_our_code(tmp_path: Path) -> None:
    spec = spec_of("infinitetalk", tmp_path, gpu(1))
    assert spec.extra_env["CUDA_VISIBLE_DEVICES"] == "1"
    assert spec.engine_root is None
    assert spec.handler == "workers.infinitetalk.handler"
    assert spec.python.is_relative_to(tmp_path / "infinitetalk_core" / "python_env")
    assert set(spec.options) == {"assets_dir", "ffmpeg"}
    assert spec.models_dir == tmp_path / "data" / "models"
    assert 0 < spec.recycle_after_tasks <= 50
    assert spec.limits.quiet_loading_s >= 600, "28 GB from a slow disk"


def test_without_a_gpu_nothing_is_said_about_which_one(tmp_path: Path) -> None:
    assert "CUDA_VISIBLE_DEVICES" not in spec_of("wan2gp", tmp_path, None).extra_env


@pytest.mark.parametrize(
    ("name", "asked", "idle_s"),
    [("wan2gp", 900, 900), ("wan2gp", 0, 0), ("voxcpm", 900, 60), ("voxcpm", 0, 60), ("voxcpm", 20, 20)],
)
def test_an_idle_engine_goes_as_the_settings_say_or_sooner(
    tmp_path: Path, name: str, asked: int, idle_s: int
) -> None:
    assert spec_of(name, tmp_path, None, worker_idle_unload_s=asked).idle_unload_s == idle_s


@pytest.mark.parametrize(("chosen", "usable"), [(0, {0}), (1, {1, 2}), (2, {1, 2}), (7, None), (None, None)])
def test_an_environment_serves_the_cards_on_its_side_of_the_builds(
    tmp_path: Path, chosen: int | None, usable: set[int] | None
) -> None:
    write_state(tmp_path, InstallState(str(tmp_path), ready=True, facts={"gpu_index": chosen}))
    assert usable_gpus(tmp_path, CARDS) == usable


def test_an_engine_has_a_process_for_each_card_and_a_twin_stays_itself(tmp_path: Path) -> None:
    twin = TwinWorker("voxcpm")
    lanes = GpuLanes(GpuPool(TwinDriver(CARDS)), CARDS, SystemClock())
    team = gpu_team(
        {"voxcpm": twin},
        settings_in(tmp_path),
        lanes,
        engines_dir=tmp_path,
        ffmpeg=tmp_path / "ffmpeg",
        clock=SystemClock(),
        notes=Notes(),
    )
    assert team["voxcpm"] is twin
    assert isinstance(team["wan2gp"], GpuWorkers)
    assert isinstance(team["infinitetalk"], GpuWorkers)
    assert len(processes(team)) == 1 + 2 * len(CARDS)


@pytest.mark.parametrize(
    ("per_lane", "engine", "visible"),
    [
        (1, "infinitetalk", ["0", "1", "2", "3"]),
        (2, "infinitetalk", ["0,2", "1", "3"]),
        (2, "wan2gp", ["0", "1", "3"]),
        (8, "infinitetalk", ["0,2,3", "1"]),
    ],
)
def test_equal_cards_share_a_video_where_the_engine_can(
    tmp_path: Path, per_lane: int, engine: str, visible: list[str]
) -> None:
    cards = [replace(gpu(index), name=name) for index, name in enumerate("ABAA")]
    lanes = GpuLanes(GpuPool(TwinDriver(cards)), cards, SystemClock(), per_lane=per_lane)
    team = gpu_team(
        {},
        settings_in(tmp_path),
        lanes,
        engines_dir=tmp_path,
        ffmpeg=tmp_path / "ffmpeg",
        clock=SystemClock(),
        notes=Notes(),
    )
    found = [
        worker._spec.extra_env["CUDA_VISIBLE_DEVICES"]
        for worker in processes({engine: team[engine]})
        if isinstance(worker, WorkerSupervisor)
    ]
    assert found == visible


def test_weights_are_looked_for_once_in_a_moment_and_anew_after_it() -> None:
    clock = ManualClock()
    here: set[str] = set()
    looked: list[str] = []

    def look(model_id: str) -> bool:
        looked.append(model_id)
        return model_id in here

    has_weights = remembered(look, clock)
    assert not has_weights("a")
    here.add("a")
    assert not has_weights("a")
    assert looked == ["a"]
    clock.advance(REMEMBERED_S)
    assert has_weights("a")
    assert not has_weights("b")
