"""pip runs only when the list of dependencies or the Python changed, and its failures are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import state
from launcher.dependencies import ATTEMPTS, classify, ensure_dependencies
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import EnvironmentSpec
from tests.unit.launcher.twins import FakeRunner, MemoryConsole, make_venv, spec_in

PYTHON = "3.11.7"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnvironmentSpec:
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    spec = spec_in(tmp_path)
    make_venv(spec.folder)
    state.write_state(spec.folder, state.CREATED)
    return spec


def install(spec: EnvironmentSpec, runner: FakeRunner, python: str = PYTHON) -> bool:
    return ensure_dependencies(spec, python, runner, MemoryConsole(), sleep=lambda _: None)


def phase(spec: EnvironmentSpec) -> str | None:
    known = state.read_state(spec.folder)
    return known.phase if known else None


def test_the_first_start_installs_the_lock_with_hashes(spec: EnvironmentSpec) -> None:
    runner = FakeRunner()

    assert install(spec, runner) is True

    [command] = runner.calls
    assert command[0].startswith(str(spec.folder))
    assert "--require-hashes" in command
    # Nobody needs a compiler; tools/lock.py --check proves that wheels exist.
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert command[command.index("-r") + 1] == str(spec.lock)
    assert "--retries" in command
    assert "--timeout" in command
    assert phase(spec) == state.READY


def test_the_second_start_does_not_run_pip(spec: EnvironmentSpec) -> None:
    install(spec, FakeRunner())
    runner = FakeRunner()

    assert install(spec, runner) is False
    assert runner.calls == []


def test_a_changed_lock_installs_again(spec: EnvironmentSpec) -> None:
    install(spec, FakeRunner())
    spec.lock.write_text("fastapi==2.0\n", encoding="utf-8")

    assert install(spec, FakeRunner()) is True
    assert install(spec, FakeRunner()) is False


def test_another_minor_python_installs_again_but_a_patch_release_does_not(spec: EnvironmentSpec) -> None:
    install(spec, FakeRunner())

    assert install(spec, FakeRunner(), "3.11.9") is False
    assert install(spec, FakeRunner(), "3.12.1") is True


def test_line_ends_of_a_windows_checkout_are_the_same_list(spec: EnvironmentSpec) -> None:
    install(spec, FakeRunner())
    spec.lock.write_bytes(spec.lock.read_bytes().replace(b"\n", b"\r\n"))

    assert install(spec, FakeRunner()) is False


def test_while_pip_runs_the_environment_counts_as_half_done(spec: EnvironmentSpec) -> None:
    seen: list[str | None] = []

    def pip(_: list[str]) -> Outcome:
        seen.append(phase(spec))
        return Outcome(0)

    install(spec, FakeRunner({"pip": pip}))

    assert seen == [state.INSTALLING]


def test_a_start_that_is_killed_during_pip_leaves_the_environment_marked(spec: EnvironmentSpec) -> None:
    def killed(_: list[str]) -> Outcome:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(spec, FakeRunner({"pip": killed}))

    assert phase(spec) == state.INSTALLING


NETWORK = "WARNING: Retrying ... NewConnectionError: Temporary failure in name resolution"


def test_a_broken_connection_is_tried_again_and_then_explained(spec: EnvironmentSpec) -> None:
    runner = FakeRunner({"pip": Outcome(1, (NETWORK,))})

    with pytest.raises(LauncherError) as raised:
        install(spec, runner)

    assert len(runner.calls) == ATTEMPTS
    assert raised.value.status is Exit.DEPENDENCIES
    assert "PIP_INDEX_URL" in raised.value.fix
    # Nothing was unpacked, so the next start goes on with the same environment.
    assert phase(spec) == state.CREATED


def test_a_connection_that_comes_back_needs_no_person(spec: EnvironmentSpec) -> None:
    outcomes = [Outcome(1, (NETWORK,)), Outcome(0)]

    assert install(spec, FakeRunner({"pip": lambda _: outcomes.pop(0)})) is True
    assert phase(spec) == state.READY


def test_a_full_disk_is_not_tried_again_and_the_environment_is_not_trusted(spec: EnvironmentSpec) -> None:
    runner = FakeRunner({"pip": Outcome(1, ("OSError: [Errno 28] No space left on device",))})

    with pytest.raises(LauncherError) as raised:
        install(spec, runner)

    assert len(runner.calls) == 1
    assert "disk" in raised.value.message.lower()
    assert phase(spec) == state.INSTALLING


def test_too_little_disk_is_said_before_anything_is_downloaded(spec: EnvironmentSpec) -> None:
    runner = FakeRunner()
    huge = EnvironmentSpec(spec.folder, spec.lock, spec.title, needs_mib=10**9)

    with pytest.raises(LauncherError, match="MiB are free"):
        install(huge, runner)

    assert runner.calls == []


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407'))", "proxy"),
        ("ReadTimeoutError: Read timed out.", "reached"),
        ("ERROR: No matching distribution found for onnxruntime==1.32.0", "version"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one"),
        ("OSError: [WinError 5] Access is denied: 'C:\\\\用户'", "written"),
        ("OSError: [WinError 112] There is not enough space on the disk", "disk is full"),
        ("something never seen before", "pip failed"),
    ],
)
def test_each_kind_of_failure_has_its_own_words_in_two_languages(output: str, words: str) -> None:
    cause = classify(output)
    assert words in cause.message
    assert cause.fix
    assert any("\u4e00" <= character <= "\u9fff" for character in cause.fix_zh)


def test_the_mirror_of_the_env_file_reaches_pip_and_its_password_not_the_terminal(
    spec: EnvironmentSpec,
) -> None:
    (spec.lock.parent / ".env").write_text(
        "PORT=8001\nPIP_INDEX_URL=https://me:secret@mirror.example/simple\n", encoding="utf-8"
    )
    runner, console = FakeRunner(), MemoryConsole()

    ensure_dependencies(spec, PYTHON, runner, console)

    assert runner.environments[0]["PIP_INDEX_URL"] == "https://me:secret@mirror.example/simple"
    assert "mirror.example" in console.text
    assert "secret" not in console.text


def test_foreign_python_settings_of_the_shell_do_not_reach_pip(
    spec: EnvironmentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setenv("PIP_TARGET", "/somewhere/else")
    monkeypatch.setenv("PIP_USER", "1")
    runner = FakeRunner()

    install(spec, runner)

    [env] = runner.environments
    assert "PYTHONPATH" not in env
    assert "PIP_TARGET" not in env
    assert env["PIP_USER"] == "0"
