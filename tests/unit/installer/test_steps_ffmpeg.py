"""Where FFmpeg goes: the layout that upstream wants on each system, what is there already, machines without a package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from installer import steps_ffmpeg
from installer.context import Context
from installer.engines import WAN2GP
from installer.gpus import Graphics
from installer.sources import Sources
from installer.steps_ffmpeg import FFMPEG
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from tests.unit.launcher.twins import FakeRunner, MemoryConsole


class Bench:
    """The step with a scripted uv that unpacks a package of the given files."""

    def __init__(self, root: Path, package: tuple[str, ...]) -> None:
        self.package = package
        self.runner = FakeRunner({"install": self.unpack, "-version": Outcome(0)})
        self.context = Context(
            engine=WAN2GP,
            root=root,
            graphics=Graphics(),
            gpu=None,
            torch=None,
            sources=Sources(),
            runner=self.runner,
            console=MemoryConsole(),
        )
        self.core = self.context.core
        self.core.mkdir()
        self.facts: dict[str, Any] = {}

    def unpack(self, command: list[str]) -> Outcome:
        target = Path(command[command.index("--target") + 1])
        assert "--require-hashes" in command
        for path in self.package:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_text(f"new {path}")
        return Outcome(0)

    def run(self) -> None:
        FFMPEG.run(self.context, self.facts)


LINUX = (
    "ffmpeg/binaries/ffmpeg",
    "ffmpeg/binaries/ffprobe",
    "ffmpeg/binaries/GPLv3.txt",
    "ffmpeg/__init__.py",
    "bin/ffmpeg",
)
WINDOWS = tuple(f"ffmpeg/binaries/bin/{name}" for name in steps_ffmpeg.WINDOWS_PROGRAMS)


@pytest.fixture(autouse=True)
def _packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps_ffmpeg, "_is_packaged", lambda: True)


def _as(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(steps_ffmpeg.sys, "platform", platform)


def test_on_linux_both_programs_go_where_the_worker_looks_and_nothing_else_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, LINUX)
    _as(monkeypatch, "linux")
    assert not FFMPEG.is_intact(bench.context)
    bench.run()
    folder = bench.core / "tools" / "ffmpeg"
    assert sorted(path.name for path in folder.iterdir()) == ["GPLv3.txt", "ffmpeg", "ffprobe"]
    assert (folder / "ffmpeg").read_text() == "new ffmpeg/binaries/ffmpeg"
    assert (folder / "ffmpeg").stat().st_mode & 0o111
    assert [path.name for path in (bench.core / "tools").iterdir()] == ["ffmpeg"]
    # Upstream's own folder stays empty there: a program in it makes upstream ask for libraries beside it.
    assert not (bench.core / "ffmpeg_bins").exists()
    assert FFMPEG.is_intact(bench.context)
    assert bench.facts == {"ffmpeg": str(folder)}
    bench.run()
    assert bench.runner.count("--target") == 1


def test_on_windows_all_three_programs_go_into_upstreams_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, WINDOWS)
    _as(monkeypatch, "win32")
    (bench.core / "ffmpeg_bins").mkdir()
    (bench.core / "ffmpeg_bins" / "own.dll").write_text("mine")
    bench.run()
    names = sorted(path.name for path in (bench.core / "ffmpeg_bins").iterdir())
    assert names == ["ffmpeg.exe", "ffplay.exe", "ffprobe.exe", "own.dll"]
    assert FFMPEG.is_intact(bench.context)


def test_programs_that_are_there_and_start_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, WINDOWS)
    _as(monkeypatch, "win32")
    (bench.core / "ffmpeg_bins").mkdir()
    for name in steps_ffmpeg.WINDOWS_PROGRAMS:
        (bench.core / "ffmpeg_bins" / name).write_text("mine")
    bench.run()
    assert bench.runner.count("--target") == 0
    assert (bench.core / "ffmpeg_bins" / "ffmpeg.exe").read_text() == "mine"


def test_programs_that_do_not_start_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, LINUX)
    _as(monkeypatch, "linux")
    bench.runner.answers["-version"] = Outcome(126, ("cannot execute binary file",))
    with pytest.raises(LauncherError, match="does not start"):
        bench.run()


def test_a_package_without_a_program_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, LINUX[:1])
    _as(monkeypatch, "linux")
    with pytest.raises(LauncherError, match="Step “ffmpeg” failed"):
        bench.run()


def test_a_machine_without_a_package_uses_the_systems_own_or_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, LINUX)
    monkeypatch.setattr(steps_ffmpeg, "_is_packaged", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LauncherError) as caught:
        bench.run()
    assert caught.value.status == Exit.DEPENDENCIES
    assert "apt install ffmpeg" in caught.value.fix
    for name in steps_ffmpeg.programs():
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    bench.run()
    assert FFMPEG.is_intact(bench.context)
    assert bench.facts == {"ffmpeg": "PATH"}
    assert bench.runner.count("--target") == 0
