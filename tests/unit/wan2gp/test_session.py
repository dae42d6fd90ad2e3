"""Upstream is initialised once, in a process that it must not be able to bend. Each case is a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.wan2gp_session import Script, scripted_engine

ROOT = Path(__file__).resolve().parents[3]

# A package with upstream's layout that does to its process what upstream does.
API = """
import json, os, sys
class Session:
    def __init__(self, given): self.given = given
    def get_model_def(self, model_type): return {}
    def close(self): pass
def init(*, root, config_path, output_dir, cli_args, console_output, console_isatty):
    given = {"root": str(root), "config": str(config_path), "output": str(output_dir), "argv": sys.argv[1:],
        "args": list(cli_args), "console": [console_output, console_isatty], "offline": os.environ.get("HF_HUB_OFFLINE"),
        "tools": os.environ["PATH"].split(os.pathsep)[0], "config_is_there": os.path.isfile(config_path)}
    import wgp
    return Session(given)
"""
WGP = """
import os, sys
WanGP_version = "12.60"
os.environ["HF_ENDPOINT"] = "https://elsewhere.example"
os.environ["HF_HUB_OFFLINE"] = "0"
os.chdir(os.sep)
sys.argv.append("--bent")
"""
STARTER = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
core, folder = Path(sys.argv[2]), Path(sys.argv[3])
from workers.handler import TaskError, WorkerSetup
from workers.wan2gp.session import start_engine, version_of_upstream
setup = WorkerSetup("wan2gp", core, folder / "work", folder / "models", folder / "cache", None, {})
answer = {}
try:
    engine = start_engine(setup)
    answer = {**engine._session.given, "version": version_of_upstream()}
except TaskError as error:
    answer = {"code": error.code, "message": error.message, "detail": error.detail}
answer |= {"cwd": os.getcwd(), "endpoint": os.environ.get("HF_ENDPOINT"), "left_argv": sys.argv[1:],
    "offline_after": os.environ.get("HF_HUB_OFFLINE"), "shared": str(getattr(sys.modules.get("shared.api"), "__file__", None))}
print("ANSWER " + json.dumps(answer))
"""


@pytest.fixture
def core(tmp_path: Path) -> Path:
    folder = tmp_path / "核心 core"
    (folder / "shared").mkdir(parents=True)
    (folder / "shared" / "api.py").write_text(API)
    (folder / "wgp.py").write_text(WGP)
    tools = folder / "tools" / "ffmpeg"
    tools.mkdir(parents=True)
    for name in ("ffmpeg", "ffprobe"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    return folder


def start(core: Path, tmp_path: Path, **environment: str) -> dict[str, Any]:
    """What `start_engine` does in a fresh process whose folder holds other things called `shared`."""
    folder = tmp_path / "cwd"
    (folder / "shared").mkdir(parents=True)
    (folder / "shared" / "api.py").write_text("raise RuntimeError('the wrong one')")
    variables = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "PYTHONPATH": str(folder), **environment}
    done = subprocess.run(
        [sys.executable, "-c", STARTER, str(ROOT), str(core), str(folder)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("ANSWER "))
    answer: dict[str, Any] = json.loads(line.removeprefix("ANSWER "))
    return {**answer, "started_in": str(folder)}


@pytest.mark.skipif(os.name == "nt", reason="on Windows upstream looks for its tools elsewhere")
def test_upstream_is_given_our_configuration_and_an_offline_process(core: Path, tmp_path: Path) -> None:
    answer = start(core, tmp_path)
    assert answer["root"] == str(core.resolve())
    assert answer["config_is_there"]
    assert Path(answer["config"]).name == "wgp_config.json"
    assert not Path(answer["config"]).is_relative_to(core)
    assert (answer["args"], answer["argv"], answer["console"]) == ([], [], [False, False])
    assert answer["offline"] == "1"
    assert answer["tools"] == str(core.resolve() / "tools" / "ffmpeg")
    assert answer["version"] == "12.60"
    assert answer["shared"] == str(core.resolve() / "shared" / "api.py")


@pytest.mark.skipif(os.name == "nt", reason="on Windows upstream looks for its tools elsewhere")
@pytest.mark.parametrize("endpoint", [None, "https://mirror.example"])
def test_what_upstream_bends_is_put_back(core: Path, tmp_path: Path, endpoint: str | None) -> None:
    answer = start(core, tmp_path, **({"HF_ENDPOINT": endpoint} if endpoint else {}))
    assert answer["cwd"] == answer["started_in"]
    assert answer["endpoint"] == endpoint
    assert answer["offline_after"] == "1"
    assert "--bent" not in answer["left_argv"]


@pytest.mark.skipif(os.name == "nt", reason="on Windows upstream looks for its tools elsewhere")
@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("exit()", "import_failed"),
        ("raise SystemExit(2)", "import_failed"),
        ("import a_package_that_is_not_there", "import_failed"),
        ("raise AssertionError('Torch not compiled with CUDA enabled')", "gpu_unsupported"),
        ("this is not Python", "import_failed"),
    ],
)
def test_an_upstream_that_cannot_start_says_why(core: Path, tmp_path: Path, source: str, code: str) -> None:
    (core / "wgp.py").write_text(source)
    answer = start(core, tmp_path)
    assert answer["code"] == code
    assert answer["detail"]
    assert str(core) not in answer["message"]
    assert answer["cwd"] == answer["started_in"]


@pytest.mark.parametrize("missing", ["wgp.py", "shared/api.py"])
def test_a_folder_without_upstream_is_not_installed(core: Path, tmp_path: Path, missing: str) -> None:
    (core / missing).unlink()
    assert start(core, tmp_path)["code"] == "engine_not_installed"


@pytest.mark.skipif(os.name == "nt", reason="on Windows upstream looks for its tools elsewhere")
def test_tools_that_are_missing_are_named_and_not_downloaded(core: Path, tmp_path: Path) -> None:
    (core / "tools" / "ffmpeg" / "ffprobe").unlink()
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = start(core, tmp_path, PATH=str(empty))
    assert answer["code"] == "import_failed"
    assert "ffprobe" in answer["message"]
    assert "ffmpeg" not in answer["message"].replace("ffprobe", "")


def test_a_session_is_made_for_every_folder_and_closing_releases_the_model(tmp_path: Path) -> None:
    engine, session = scripted_engine(tmp_path, Script())
    for folder in ("a", "a", "b"):
        job = engine.submit({"model_type": "t2v"}, tmp_path / folder)
        job.result(timeout=5)
        assert session.folder == tmp_path / folder
    engine.close()
    assert session.closed == 1
