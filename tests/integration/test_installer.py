"""The installer with real processes: a fake index, uv and nvidia-smi on this machine; crashes and repeats.

The project folder has Chinese characters and spaces in its name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines.environment_probe import environment_python
from installer import cli, installation, steps_environment
from installer.state import STATE_NAME, read_state
from launcher.errors import Exit
from tests.support.fake_registry import Registry, serving
from tests.support.installer_rig import LABEL, RTX_4090, Rig
from tests.unit.launcher.twins import MemoryConsole

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,  # each starts some interpreters
    pytest.mark.skipif(
        sys.platform == "win32", reason="the stand-ins for uv and nvidia-smi are POSIX scripts"
    ),
]


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with serving(Registry()) as registry:
        yield Rig(tmp_path, registry, monkeypatch)


def test_an_engine_is_installed_into_its_own_folder_and_a_second_run_does_nothing(rig: Rig) -> None:
    rig.card(RTX_4090)
    status, text = rig.install()
    assert status == Exit.OK, text
    assert rig.words() == ["venv", "torch", "packages"]
    state = read_state(rig.core)
    assert state.ready
    assert state.facts["torch"] == LABEL
    assert state.facts["gpu"] == "NVIDIA GeForce RTX 4090"
    assert environment_python(rig.core) == rig.core / "python_env" / "bin" / "python"
    assert not (rig.core / "cache").exists()
    assert [path.name for path in rig.root.iterdir() if path.name != ".setup.lock"] == ["voxcpm_core"]
    status, text = rig.install()
    assert status == Exit.OK
    assert "is installed" in text
    assert rig.words() == ["venv", "torch", "packages"]


def test_a_plan_says_all_and_writes_nothing(rig: Rig) -> None:
    rig.card(RTX_4090)
    status, text = rig.install("--plan")
    assert status == Exit.OK
    assert not rig.core.exists()
    assert "RTX 4090 (24564 MiB, compute capability 8.9, driver 580.65.06)" in text
    assert f"PyTorch {LABEL}: this card and its driver support CUDA 13" in text
    assert text.count("[to do]") == len(rig.engine.steps)
    assert rig.registry.asked == []


def test_without_a_gpu_it_goes_as_far_as_it_can_and_says_so_with_its_own_status(rig: Rig) -> None:
    status, text = rig.install()
    assert status == Exit.NO_GPU
    assert "needs an NVIDIA GPU" in text
    assert "No devices were found" in text
    assert rig.words() == ["venv"]
    rig.card(RTX_4090)
    status, text = rig.install()
    assert status == Exit.OK, text
    assert rig.words() == ["venv", "torch", "packages"]


def test_without_a_gpu_a_chosen_build_is_installed_up_to_the_test_on_the_card(rig: Rig) -> None:
    status, text = rig.install("--torch", "2.5.1+cu124")
    assert status == Exit.NO_GPU
    assert rig.words() == ["venv", "torch", "packages"]
    assert "CVE-2025-32434" in text
    assert not read_state(rig.core).ready


def test_a_card_that_is_too_old_is_refused_before_anything_is_written(rig: Rig) -> None:
    rig.card("0, NVIDIA GeForce GTX 1060 6GB, 6.1, 6144, 560.94")
    status, text = rig.install()
    assert status == Exit.GPU_UNSUPPORTED
    assert "bfloat16" in text
    assert not rig.core.exists()


def test_a_small_card_is_warned_of_and_not_refused(rig: Rig) -> None:
    rig.card("0, NVIDIA GeForce RTX 2060, 7.5, 6144, 566.36")
    status, text = rig.install()
    assert status == Exit.OK, text
    assert "may run out of memory" in text
    assert read_state(rig.core).facts["torch"] == "2.10.0+cu128"


def test_a_new_driver_changes_only_what_depends_on_it(rig: Rig) -> None:
    rig.card("0, NVIDIA GeForce RTX 4090, 8.9, 24564, 566.36")
    assert rig.install()[0] == Exit.OK
    assert read_state(rig.core).facts["torch"] == "2.10.0+cu128"
    rig.card(RTX_4090)
    assert rig.install()[0] == Exit.OK
    assert rig.words() == ["venv", "torch", "packages", "torch", "packages"]
    assert read_state(rig.core).facts["torch"] == LABEL


@pytest.mark.parametrize("word", ["venv", "torch==", "--require-hashes"])
def test_a_run_that_is_killed_in_the_middle_is_gone_on_with(rig: Rig, word: str) -> None:
    rig.card(RTX_4090)
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from dataclasses import replace
from pathlib import Path
from installer import cli, context, engines, steps_environment
context.UV_LOCK = steps_environment.UV_LOCK = Path({str(rig.uv_lock)!r})
engines.EngineDefinition.lock_files = property(lambda _: (Path({str(rig.lock)!r}),))
cli.ENGINES = {{"voxcpm": replace(engines.VOXCPM, pythons=({rig.minor!r},), disk_mib=1)}}
cli.main(["voxcpm"], root=Path({str(rig.root)!r}))
"""
    environ = {**os.environ, "INSTALLER_HANG": word}
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environ,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    hangs = Path(f"{rig.log}.hangs")
    deadline = time.monotonic() + 60
    while not hangs.exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    state = read_state(rig.core)
    assert state.running is not None
    assert not state.ready
    before = len(rig.calls())
    status, text = rig.install()
    assert status == Exit.OK, text
    wanted = ["venv", "torch", "packages"]
    place = {"venv": 0, "torch==": 1, "--require-hashes": 2}[word]
    assert rig.words()[before:] == wanted[place:]
    assert read_state(rig.core).ready


def test_a_connection_that_breaks_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.card(RTX_4090)
    monkeypatch.setenv("INSTALLER_FAIL", "torch==")
    monkeypatch.setenv("INSTALLER_FAIL_TEXT", "error: Failed to fetch: error sending request")
    Path(f"{rig.log}.fail").write_text("2")
    status, text = rig.install()
    assert status == Exit.OK, text
    assert rig.words() == ["venv", "torch", "torch", "torch", "packages"]
    assert "try 3 of 3" in text


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ("error: Failed to fetch: dns error", Exit.DEPENDENCIES, "--fastest-mirrors"),
        ("error: No space left on device (os error 28)", Exit.DISK, "what was downloaded is kept"),
        ("x No solution found when resolving dependencies", Exit.DEPENDENCIES, "mirror may lag behind"),
        ("thread panicked", Exit.DEPENDENCIES, "--repair"),
    ],
)
def test_a_failure_names_the_step_the_reason_and_how_to_go_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, said: str, status: Exit, words: str
) -> None:
    rig.card(RTX_4090)
    monkeypatch.setenv("INSTALLER_FAIL", "torch==")
    monkeypatch.setenv("INSTALLER_FAIL_TEXT", said)
    Path(f"{rig.log}.fail").write_text("9")
    got, text = rig.install()
    assert got == status
    assert "Step “torch” failed." in text
    assert said in text
    assert words in text
    Path(f"{rig.log}.fail").unlink()
    assert rig.install()[0] == Exit.OK


def test_a_package_that_was_changed_is_not_installed(rig: Rig) -> None:
    rig.card(RTX_4090)
    rig.lock.write_text(rig.lock.read_text().replace("sha256:", "sha256:0000", 1)[:-5] + "\n")
    lines = rig.lock.read_text().splitlines()
    rig.lock.write_text("\n".join(line[: line.index("sha256:") + 7] + "0" * 64 for line in lines) + "\n")
    status, text = rig.install()
    assert status == Exit.DEPENDENCIES
    assert "Step “packages” failed." in text
    assert "not the one this version" in text


def test_too_little_space_is_told_before_anything_is_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.card(RTX_4090)
    monkeypatch.setattr(installation, "_free_mib", lambda folder: 100)
    monkeypatch.setattr(cli, "ENGINES", {"voxcpm": replace(cli.ENGINES["voxcpm"], disk_mib=13_000)})
    status, text = rig.install()
    assert status == Exit.DISK
    assert "Only 100 MiB are free" in text
    assert not rig.core.exists()


def test_a_gpu_that_pytorch_does_not_see_or_that_computes_wrong_fails_the_test(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.card(RTX_4090)
    monkeypatch.delenv("FAKE_GPU")
    status, text = rig.install()
    assert status == Exit.GPU_UNSUPPORTED
    assert "does not see NVIDIA GeForce RTX 4090" in text
    monkeypatch.setenv("FAKE_GPU", "NVIDIA GeForce RTX 4090")
    monkeypatch.setenv("FAKE_GPU_SUM", "1.0")
    status, text = rig.install()
    assert status == Exit.GPU_UNSUPPORTED
    assert "computes wrong results" in text
    assert not read_state(rig.core).ready
    monkeypatch.delenv("FAKE_GPU_SUM")
    assert rig.install()[0] == Exit.OK
    assert rig.words() == ["venv", "torch", "packages"]


def test_a_package_that_cannot_be_imported_fails_the_test_with_its_words(rig: Rig) -> None:
    rig.card(RTX_4090)
    assert rig.install()[0] == Exit.OK
    broken = next((rig.core / "python_env").glob("lib/python*/site-packages/librosa/__init__.py"))
    broken.write_text("raise OSError('libsndfile is missing')")
    state = json.loads((rig.core / STATE_NAME).read_text())
    del state["done"]["self-test"]
    (rig.core / STATE_NAME).write_text(json.dumps(state))
    status, text = rig.install()
    assert status == Exit.DEPENDENCIES
    assert "librosa: OSError: libsndfile is missing" in text
    assert rig.install("--repair")[0] == Exit.OK


def test_what_was_deleted_by_hand_is_made_again(rig: Rig) -> None:
    rig.card(RTX_4090)
    assert rig.install()[0] == Exit.OK
    next((rig.core / "python_env").glob("lib/python*/site-packages/voxcpm-1.0.dist-info/METADATA")).unlink()
    assert rig.install()[0] == Exit.OK
    assert rig.words() == ["venv", "torch", "packages", "packages"]


def test_a_folder_that_is_somebodys_own_is_not_deleted(rig: Rig) -> None:
    rig.card(RTX_4090)
    own = rig.core / "python_env"
    own.mkdir(parents=True)
    (own / "diary.txt").write_text("mine")
    status, text = rig.install()
    assert status == Exit.ENVIRONMENT
    assert "is not an environment of this installer" in text
    assert (own / "diary.txt").read_text() == "mine"


def test_a_project_that_was_moved_is_installed_anew_where_it_is(rig: Rig) -> None:
    rig.card(RTX_4090)
    assert rig.install()[0] == Exit.OK
    moved = rig.root.with_name("另一个 place")
    rig.root.rename(moved)
    rig.root = moved
    assert rig.install()[0] == Exit.OK
    assert rig.words() == ["venv", "torch", "packages"] * 2
    assert read_state(rig.core).folder == str(rig.core)


def test_measured_mirrors_are_used(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.card(RTX_4090)
    good = f"{rig.registry.address}/simple"
    monkeypatch.setenv("PIP_INDEX_URL", f"{rig.registry.address}/gone")
    console = MemoryConsole()

    def measure(address: str) -> float:
        return 1000.0 if address.startswith(good) else 0.0

    from installer import sources

    kind = replace(sources.KINDS["pypi"], mirrors=(good,))
    monkeypatch.setitem(sources.KINDS, "pypi", kind)
    status = cli.main(["voxcpm", "--fastest-mirrors"], console=console, root=rig.root, measure=measure)
    assert status == Exit.OK, console.text
    assert f"packages from {good} (to keep it: PIP_INDEX_URL in .env)" in console.text


def test_a_gpu_can_be_named(rig: Rig) -> None:
    rig.card("0, NVIDIA GeForce RTX 4090, 8.9, 24564, 580.65\n1, NVIDIA GeForce RTX 3090, 8.6, 24576, 580.65")
    status, text = rig.install("--plan", "--gpu", "0")
    assert "RTX 4090" in text
    status, text = rig.install("--plan", "--gpu", "7")
    assert status == Exit.USAGE
    assert "0: NVIDIA GeForce RTX 4090, 1: NVIDIA GeForce RTX 3090" in text


def test_everything_that_uv_keeps_lies_in_the_engines_folder(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.card(RTX_4090)
    monkeypatch.setenv("GITHUB_MIRROR", "https://mirror.example/https://github.com/")
    assert rig.install()[0] == Exit.OK
    entry: dict[str, Any] = json.loads(rig.log.read_text("utf-8").splitlines()[0])
    assert entry["cache"] == str(rig.core / "cache")
    assert entry["mirror"].startswith("https://mirror.example/https://github.com/astral-sh/")


def test_a_private_python_is_fetched_when_there_is_none_or_when_asked_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.card(RTX_4090)
    monkeypatch.setattr(steps_environment.interpreters, "find", lambda wanted, runner, **_: None)
    status, text = rig.install("--private-python")
    assert status == Exit.OK, text
    assert rig.words() == ["python", "venv", "torch", "packages"]
    assert (rig.core / "python").is_dir()
    assert rig.install("--private-python")[0] == Exit.OK
    assert rig.words() == ["python", "venv", "torch", "packages"]


def test_an_unknown_engine_is_refused(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["no_such_engine"], root=rig.root)
    assert caught.value.code == 2
    assert "voxcpm" in capsys.readouterr().err
