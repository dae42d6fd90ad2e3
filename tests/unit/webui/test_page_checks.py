"""The tools that check the page: pinned, from no named registry, and left out in words where they cannot run."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.unit.webui.page_files import ROOT
from tools.page_checks import check

FOLDER = ROOT / "tools" / "page_checks"
LOCK = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
WANTED = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))


def test_every_tool_is_pinned_and_needed_for_development_only() -> None:
    assert "dependencies" not in WANTED
    for name, version in WANTED["devDependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
        assert LOCK["packages"][f"node_modules/{name}"]["version"] == version


def test_the_lock_names_hashes_and_no_registry() -> None:
    packages = {name: entry for name, entry in LOCK["packages"].items() if name}
    assert len(packages) > 10
    assert all(entry["integrity"].startswith("sha512-") and entry["dev"] for entry in packages.values())
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert "registry" not in json.dumps(LOCK)


def test_a_machine_without_node_is_told_and_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert check.main() == 0
    assert "left out" in capsys.readouterr().out


def test_one_finding_fails_and_the_other_check_still_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if "--version" in command:
            return subprocess.CompletedProcess(command, 0, "v20.11.0\n", "")
        return subprocess.CompletedProcess(command, int("tsc" in command[1]), "", "")

    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(check, "install", lambda npm: None)
    monkeypatch.setattr(subprocess, "run", run)
    assert check.main() == 1
    said = capsys.readouterr().out
    assert "tsc --checkJs: failed" in said
    assert "eslint: nothing found" in said


def test_an_old_node_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "node_version", lambda node: (16, 20))
    assert "16.20" in (check.why_not("node", "npm") or "")
