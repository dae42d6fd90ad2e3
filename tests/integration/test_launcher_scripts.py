"""The shell scripts and the real operating system: finders, environments, locks, a busy port, a clean end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from launcher import ports, state
from launcher.client import ApiClient
from launcher.errors import Exit, LauncherError
from launcher.process import SystemRunner
from launcher.project import child_environment, python_of
from launcher.setup_lock import setup_lock
from launcher.venv import ensure_environment
from tests.unit.launcher.twins import MemoryConsole, spec_in

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BASH = shutil.which("bash")
# A service start imports FastAPI and opens the database; a loaded machine needs a while.
PATIENCE_S = 60.0

needs_bash = pytest.mark.skipif(BASH is None or os.name == "nt", reason="needs bash")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The scripts in a folder with spaces, brackets and Chinese characters, beside a launcher that only reports."""
    folder = tmp_path / "我的 项目 (1)"
    (folder / "launcher").mkdir(parents=True)
    for name in ("start.sh", "test.sh", "launcher/run.sh"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "launcher" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "launcher" / "__main__.py").write_text(
        "import os, sys\nprint(sys.argv[1:], os.getcwd(), sys.version_info[:2])\n", encoding="utf-8"
    )
    return folder


def run_script(
    script: Path, *arguments: str, cwd: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    assert BASH is not None
    return subprocess.run(
        [BASH, str(script), *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        encoding="utf-8",
    )


@needs_bash
@pytest.mark.parametrize("name", ["start", "test"])
def test_the_script_hands_its_arguments_over_from_any_folder(
    scripts: Path, tmp_path: Path, name: str
) -> None:
    env = {
        **os.environ,
        "PYTHON": sys.executable,
        "PYTHONPATH": "/somewhere/else",
        "PYTHONIOENCODING": "utf-8",
    }

    done = run_script(scripts / f"{name}.sh", "--demo", "a b", "中文", cwd=tmp_path, env=env)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{[name, '--demo', 'a b', '中文']} {scripts}")


@needs_bash
def test_without_a_fitting_python_the_script_says_where_to_get_one(scripts: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "cat"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    # A shim that is on the path but does not work, as version managers leave them.
    shim = tools / "python3.11"
    shim.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)

    done = run_script(scripts / "start.sh", cwd=tmp_path, env={"PATH": str(tools)})

    assert done.returncode == Exit.PYTHON
    assert "[Error] Python 3.10, 3.11 or 3.12 was not found." in done.stderr
    assert "python.org/downloads" in done.stderr


@pytest.mark.slow
def test_a_real_environment_is_made_probed_and_mended(tmp_path: Path) -> None:
    root = tmp_path / "我的 项目 (1)"
    root.mkdir()
    spec, runner = spec_in(root), SystemRunner()

    version = ensure_environment(spec, runner, MemoryConsole())

    assert version == ".".join(str(part) for part in sys.version_info[:3])
    done = subprocess.run(
        [str(python_of(spec.folder)), "-m", "pip", "--version"], capture_output=True, text=True
    )
    assert str(spec.folder) in done.stdout

    python_of(spec.folder).unlink()
    console = MemoryConsole()
    assert ensure_environment(spec, runner, console) == version
    assert "made again" in console.text


def test_two_starts_do_not_prepare_at_the_same_time(tmp_path: Path) -> None:
    order = []
    entered, release = threading.Event(), threading.Event()

    def first() -> None:
        with setup_lock(tmp_path, MemoryConsole()):
            entered.set()
            release.wait(PATIENCE_S)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(PATIENCE_S)
    with pytest.raises(LauncherError, match="too long"), setup_lock(tmp_path, MemoryConsole(), wait_s=0.0):
        pytest.fail("two starts prepared at once")
    release.set()
    console = MemoryConsole()
    with setup_lock(tmp_path, console):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_child_that_does_not_exist_is_a_status_and_not_a_crash(tmp_path: Path) -> None:
    runner = SystemRunner()
    assert runner.capture(["no-such-program"], timeout_s=5, env=child_environment()).status == -1
    assert (
        runner.stream([str(tmp_path / "no-such-program")], cwd=tmp_path, env=child_environment()).status == -1
    )


def test_the_error_lines_of_a_child_are_shown_and_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = "import sys; print('progress'); sys.stderr.write('wrong: 错误\\n'); sys.exit(3)"
    outcome = SystemRunner().stream([sys.executable, "-c", program], cwd=tmp_path, env=child_environment())
    assert (outcome.status, outcome.lines) == (3, ("wrong: 错误",))
    shown = capfd.readouterr()
    assert "progress" in shown.out
    assert "wrong: 错误" in shown.err


def test_a_child_that_hangs_is_a_status_and_not_a_wait(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert SystemRunner().capture(command, timeout_s=0.2, env=child_environment()).status == -1


def test_a_state_file_that_is_damaged_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / state.STATE_NAME).write_text('{"phase": "ready"', encoding="utf-8")
    assert state.read_state(tmp_path) is None


# -- the real service ------------------------------------------------------------------------------------


def service_environment(tmp_path: Path) -> dict[str, str]:
    return child_environment({"DATA_DIR": str(tmp_path / "数据"), "LOGS_DIR": str(tmp_path / "日志")})


def start_service(tmp_path: Path, port: int) -> subprocess.Popen[str]:
    # --ends-with-parent skips the speech model, which these tests do not need.
    return subprocess.Popen(
        [sys.executable, "-m", "launcher", "run", "--port", str(port), "--ends-with-parent"],
        cwd=ROOT,
        env=service_environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def wait_until_alive(client: ApiClient, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not client.is_alive():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"the service did not start: {process.communicate()[0]}")
        time.sleep(0.05)


@pytest.mark.skipif(os.name == "nt", reason="SIGINT")
def test_the_service_serves_names_itself_on_a_second_start_and_ends_well_on_ctrl_c(tmp_path: Path) -> None:
    port = ports.any_free_port()
    client = ApiClient(f"http://127.0.0.1:{port}")
    process = start_service(tmp_path, port)
    try:
        wait_until_alive(client, process)
        second = subprocess.run(
            [sys.executable, "-m", "launcher", "run", "--port", str(port), "--ends-with-parent"],
            cwd=ROOT,
            env=service_environment(tmp_path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
        )
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert second.returncode == Exit.PORT
    assert f"[Error] Port {port} is already in use." in second.stderr
    assert f"(process {process.pid})" in second.stderr
    assert f"open http://127.0.0.1:{port}" in second.stderr
    assert "PORT=" in second.stderr
    assert process.returncode == 0, output
    assert "All-in-one has stopped" in output
    assert "Traceback" not in output


def test_a_data_folder_that_is_in_use_is_said_in_a_sentence(tmp_path: Path) -> None:
    port = ports.any_free_port()
    process = start_service(tmp_path, port)
    try:
        wait_until_alive(ApiClient(f"http://127.0.0.1:{port}"), process)
        second = start_service(tmp_path, ports.any_free_port())
        output, _ = second.communicate(timeout=PATIENCE_S)
    finally:
        process.communicate("", timeout=PATIENCE_S)
    assert second.returncode == Exit.FAILED
    assert "Another instance already uses the data folder" in output
    assert process.returncode == 0
