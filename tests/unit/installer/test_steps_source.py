"""The step that brings the source of Wan2GP: pinned, a user's own, cut short, changed, in the way."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from installer import checkout, engines, step, steps_source
from installer.checkout import MANIFEST_NAME, read_manifest
from installer.context import Context
from installer.git_tree import Blob, blob_id, tree_id
from installer.gpus import Graphics
from installer.sources import Sources
from installer.steps_source import SOURCE
from launcher.errors import Exit, LauncherError
from tests.support.fake_github import COMMIT, EXECUTABLE, FILES, TOP, GitHub, archive, serving_archive
from tests.unit.launcher.twins import FakeRunner, MemoryConsole


def _tree(files: dict[str, str]) -> str:
    return tree_id({path: Blob(blob_id(text.encode()), path in EXECUTABLE) for path, text in files.items()})


class Bench:
    """A project folder, a server with the archive, and the step."""

    def __init__(self, root: Path, github: GitHub) -> None:
        self.root, self.github = root, github
        self.console = MemoryConsole()
        self.facts: dict[str, Any] = {}
        self.pin(COMMIT, dict(FILES))

    def pin(self, commit: str, files: dict[str, str]) -> None:
        """Expect these files under this commit, and serve them."""
        self.files = files
        self.github.data = archive(files)
        upstream = engines.WAN2GP.upstream
        assert upstream is not None
        engine = replace(engines.WAN2GP, upstream=replace(upstream, commit=commit, tree=_tree(files)))
        self.context = Context(
            engine=engine,
            root=self.root,
            graphics=Graphics(),
            gpu=None,
            torch=None,
            sources=Sources(github=self.github.address),
            runner=FakeRunner(),
            console=self.console,
        )
        self.core.mkdir(exist_ok=True)

    @property
    def core(self) -> Path:
        return self.root / "wan2gp_core"

    def run(self) -> None:
        SOURCE.run(self.context, self.facts)

    def refused(self) -> LauncherError:
        with pytest.raises(LauncherError) as caught:
            self.run()
        assert caught.value.message.startswith("Step “source” failed.")
        assert caught.value.fix
        assert caught.value.fix_zh
        return caught.value

    @property
    def is_intact(self) -> bool:
        return SOURCE.is_intact(self.context)

    def write(self, path: str, text: str) -> Path:
        file = self.core / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def left(self) -> set[str]:
        """Everything in the folder."""
        return {path.relative_to(self.core).as_posix() for path in self.core.rglob("*") if not path.is_dir()}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(step, "PAUSE_BETWEEN_ATTEMPTS_S", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving_archive(GitHub(b"")) as github:
        yield Bench(tmp_path, github)


def test_the_files_of_the_pinned_commit_are_put_into_the_engines_folder(bench: Bench) -> None:
    assert not bench.is_intact
    bench.run()
    assert bench.is_intact
    assert bench.left() == {*FILES, MANIFEST_NAME}
    for path, text in FILES.items():
        assert (bench.core / path).read_text(encoding="utf-8") == text
    assert os.access(bench.core / EXECUTABLE[0], os.X_OK) or sys.platform == "win32"
    assert bench.github.asked == [(f"/deepbeepmeep/Wan2GP/archive/{COMMIT}.tar.gz", None, 200)]
    assert bench.facts == {"source": COMMIT, "source_version": "12.60"}
    bench.run()
    assert len(bench.github.asked) == 1


def test_a_cut_download_is_gone_on_with(bench: Bench) -> None:
    half = len(bench.github.data) // 2
    bench.github.cuts = [half]
    bench.run()
    assert bench.is_intact
    assert [(wanted, status) for _, wanted, status in bench.github.asked] == [
        (None, 200),
        (f"bytes={half}-", 206),
    ]


def test_a_line_that_breaks_every_time_fails_and_the_next_run_goes_on(bench: Bench) -> None:
    bench.github.cuts = [100, 100, 100]
    error = bench.refused()
    assert error.status == Exit.DEPENDENCIES
    assert "GITHUB_MIRROR" in error.fix
    assert bench.github.address in error.details[0]
    bench.run()
    assert bench.github.asked[-1][1:] == ("bytes=300-", 206)
    assert bench.is_intact


@pytest.mark.parametrize(
    "change",
    [
        {"shared/api.py": "import os; os.system('evil')\n"},
        {"shared/evil.py": ""},
        {"wgp.py": FILES["wgp.py"].replace("12.60", "12.61")},
    ],
)
def test_a_mirror_that_serves_other_code_is_refused_and_nothing_of_it_stays(
    bench: Bench, change: dict[str, str]
) -> None:
    bench.github.data = archive({**FILES, **change})
    error = bench.refused()
    assert "not the source" in error.message
    assert "its tree is" in error.details[0]
    assert bench.left() == set()
    bench.github.data = archive()
    bench.run()
    assert bench.is_intact


def test_a_file_that_lost_or_won_its_executable_bit_is_other_code(bench: Bench) -> None:
    bench.github.data = archive(executable=())
    assert "not the source" in bench.refused().message


def test_an_evil_archive_is_refused_and_nothing_of_it_stays(bench: Bench, tmp_path: Path) -> None:
    import tarfile

    evil = tarfile.TarInfo(f"{TOP}/../../outside.txt")
    bench.github.data = archive(extra=(evil,))
    assert "not a name" in bench.refused().details[0]
    assert bench.left() == set()
    assert [path.name for path in tmp_path.iterdir()] == ["wan2gp_core"]


def test_parts_that_do_not_fit_are_fetched_anew(bench: Bench) -> None:
    bench.github.names_version = False  # so that the server cannot tell that the file changed
    bench.github.cuts = [200, 0, 0]
    bench.refused()
    bench.github.data = archive({**FILES, "more.txt": "y" * 5000})
    bench.pin(COMMIT, {**FILES, "more.txt": "y" * 5000, "again.txt": "z"})
    bench.run()
    assert bench.is_intact
    assert [status for _, _, status in bench.github.asked][-2:] == [206, 200]
    assert "do not fit" in bench.console.text


def test_a_page_instead_of_an_archive_is_refused(bench: Bench) -> None:
    bench.github.data = b"<html>Log in to the hotel's network</html>"
    assert bench.refused().status == Exit.DEPENDENCIES
    assert bench.left() == set()


# --- a user's own copy ---------------------------------------------------------------------------


def test_a_users_own_copy_wins_and_is_not_touched(bench: Bench) -> None:
    bench.write("wgp.py", 'WanGP_version = "12.60"\n')
    bench.write("shared/api.py", "mine")
    assert SOURCE.about_mib(bench.context) == 0
    bench.run()
    assert bench.is_intact
    assert bench.left() == {"wgp.py", "shared/api.py"}
    assert bench.github.asked == []
    assert bench.facts == {"source": "own", "source_version": "12.60"}
    assert bench.console.text == ""


@pytest.mark.parametrize(
    ("text", "version"), [('WanGP_version = "11.2"\n', "11.2"), ("print()\n", None), ("", None)]
)
def test_an_own_copy_of_another_version_is_warned_of(bench: Bench, text: str, version: str | None) -> None:
    bench.write("wgp.py", text)
    bench.run()
    assert bench.facts["source_version"] == version
    assert "tested with 12.60" in bench.console.text
    assert (version or "unknown version") in bench.console.text


def test_another_version_of_an_own_copy_is_another_installation(bench: Bench) -> None:
    pinned = SOURCE.inputs(bench.context)
    bench.write("wgp.py", 'WanGP_version = "11.2"\n')
    before = SOURCE.inputs(bench.context)
    bench.write("wgp.py", 'WanGP_version = "12.60"\n')
    assert len({str(pinned), str(before), str(SOURCE.inputs(bench.context))}) == 3


# --- repeated and cut short ----------------------------------------------------------------------


@pytest.mark.parametrize("moved", [0, 1, 4, len(FILES) - 1])
def test_a_run_that_is_killed_while_files_are_moved_is_gone_on_with(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    real, done = Path.replace, [0]

    def killed(self: Path, target: Any) -> Path:
        if steps_source._STAGE in self.parts:
            if done[0] == moved:
                raise KeyboardInterrupt
            done[0] += 1
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    monkeypatch.undo()
    assert not checkout.is_own(bench.core, bench.context.engine.upstream)  # type: ignore[arg-type]
    assert not bench.is_intact
    bench.run()
    assert bench.is_intact
    assert bench.left() == {*FILES, MANIFEST_NAME}


@pytest.mark.parametrize("path", ["wgp.py", "shared/api.py"])
def test_a_file_that_was_deleted_is_put_back(bench: Bench, path: str) -> None:
    bench.run()
    (bench.core / path).unlink()
    assert not bench.is_intact
    bench.run()
    assert bench.is_intact


def test_a_file_that_a_person_changed_is_replaced_and_kept_under_another_name(bench: Bench) -> None:
    bench.run()
    bench.write("shared/api.py", "mine")
    assert not bench.is_intact
    bench.run()
    assert bench.is_intact
    assert (bench.core / "shared/api.py.changed").read_text() == "mine"
    assert "kept as shared/api.py.changed" in bench.console.text


def test_a_new_pin_replaces_our_files_and_leaves_everything_else(bench: Bench) -> None:
    bench.run()
    bench.write("loras/wan/mine.safetensors", "lora")
    bench.write("models/wan/mine.txt", "mine")
    bench.write("settings/kept.json", "{}")
    newer = {path: text for path, text in FILES.items() if not path.startswith(("models/", "scripts/"))}
    newer["wgp.py"] = FILES["wgp.py"].replace("12.60", "13.00")
    bench.pin("f" * 40, newer)
    assert not bench.is_intact
    bench.run()
    assert bench.is_intact
    assert bench.left() == {
        *newer,
        MANIFEST_NAME,
        "loras/wan/mine.safetensors",
        "models/wan/mine.txt",
        "settings/kept.json",
    }
    assert not (bench.core / "scripts").exists()
    manifest = read_manifest(bench.core)
    assert manifest is not None
    assert set(manifest.files) == set(newer)


def test_files_of_somebody_else_in_the_way_are_not_overwritten(bench: Bench) -> None:
    bench.write("shared/api.py", "mine")
    error = bench.refused()
    assert error.status == Exit.ENVIRONMENT
    assert error.details == ("shared/api.py",)
    assert bench.left() - {"cache/source-0123456789ab.tar.gz"} == {"shared/api.py"}
    (bench.core / "shared/api.py").unlink()
    bench.run()
    assert bench.is_intact
    assert len(bench.github.asked) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_in_the_way_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (bench.core / "models").symlink_to(elsewhere)
    assert bench.refused().details == ("models",)
    assert list(elsewhere.iterdir()) == []


def test_a_list_that_was_tampered_with_removes_nothing_outside(bench: Bench, tmp_path: Path) -> None:
    bench.run()
    (tmp_path / "precious.txt").write_text("keep me")
    text = (bench.core / MANIFEST_NAME).read_text("utf-8")
    (bench.core / MANIFEST_NAME).write_text(text.replace('"wgp.py"', '"../precious.txt"'), "utf-8")
    assert read_manifest(bench.core) is None
    bench.run()
    assert bench.is_intact
    assert (tmp_path / "precious.txt").read_text() == "keep me"


def test_a_full_disk_is_told_as_such(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(steps_source.unpack, "unpack", full)
    assert bench.refused().status == Exit.DISK
    monkeypatch.undo()
    bench.run()
    assert bench.is_intact


def test_a_path_that_windows_refuses_is_found_before_it_is_half_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_source.sys, "platform", "win32")
    monkeypatch.setattr(steps_source, "WINDOWS_PATH", len(str(bench.core)) + 20)
    monkeypatch.setattr(steps_source, "_takes_long_paths", lambda core: False)
    error = bench.refused()
    assert "too long for Windows" in error.message
    assert error.status == Exit.ENVIRONMENT
    assert bench.left() == {"cache/source-0123456789ab.tar.gz"}


def test_the_archive_is_given_back_when_the_files_are_in_place(bench: Bench) -> None:
    bench.run()
    assert not list(bench.core.rglob("*.tar.gz*"))
    shutil.rmtree(bench.core)
