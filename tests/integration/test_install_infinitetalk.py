"""The installer of InfiniteTalk with real processes, against an index of this machine: without a card, and then with one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.engines.environment_probe import chosen_gpu, environment_python, is_installation_whole
from installer import engines, steps_film
from installer.state import read_state
from launcher.errors import Exit
from tests.support.fake_registry import Registry, serving
from tests.support.installer_rig import LABEL, RTX_4090, Rig

pytestmark = [
    pytest.mark.slow,  # each starts some interpreters
    pytest.mark.skipif(
        sys.platform == "win32", reason="the stand-ins for uv and nvidia-smi are POSIX scripts"
    ),
]
# In place of the film, which needs a real PyTorch: says on what it was asked for, or fails when told to.
_FILM = """import json, os, pathlib, sys
folder, device = pathlib.Path(sys.argv[1]), sys.argv[3]
(folder / "video.mp4").write_text(device)
code = os.environ.get("FAKE_FILM_CODE")
print("all-in-one:" + json.dumps({"code": code, "error": code and "It broke.", "detail": "", "device": device,
    "seconds": 1.5, "frames": 15, "width": 16, "height": 16}))
"""


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    script = tmp_path / "film.py"
    script.write_text(_FILM, encoding="utf-8")
    monkeypatch.setattr(steps_film, "SCRIPT", script)
    with serving(Registry()) as registry:
        yield Rig(tmp_path, registry, monkeypatch, engine=engines.INFINITETALK)


def test_it_is_whole_on_the_processor_and_a_card_that_is_put_in_changes_pytorch_alone(rig: Rig) -> None:
    status, text = rig.install()
    assert status == Exit.OK, text
    assert "PyTorch 2.13.0+cpu: no NVIDIA GPU was found (nvidia-smi: No devices were found)" in text
    assert "15 pictures of 16x16 on cpu in 1.5 s" in text
    assert rig.words() == ["venv", "torch", "packages"]
    assert is_installation_whole(rig.core)
    assert chosen_gpu(rig.core) is None
    assert read_state(rig.core).facts["device"] == "cpu"
    assert environment_python(rig.core) == rig.core / "python_env" / "bin" / "python"
    rig.card(RTX_4090)
    status, text = rig.install()
    assert status == Exit.OK, text
    assert rig.words() == ["venv", "torch", "packages", "torch", "packages"]
    assert [call[-1] for call in rig.calls() if "--index" in call] == [
        "torch==2.13.0+cpu",
        f"torch=={LABEL}",
    ]
    assert chosen_gpu(rig.core) == 0
    facts = read_state(rig.core).facts
    assert (facts["device"], facts["torch"], facts["gpu"]) == ("cuda", LABEL, "NVIDIA GeForce RTX 4090")
    assert "done before" not in rig.install()[1]
    assert [path.name for path in rig.root.iterdir() if path.name != ".setup.lock"] == ["infinitetalk_core"]
    assert {path.name for path in rig.core.iterdir()} == {"all-in-one.json", "python_env", "tools"}


def test_a_film_that_breaks_ends_with_its_reason_and_the_next_run_makes_only_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.card(RTX_4090)
    monkeypatch.setenv("FAKE_FILM_CODE", "gpu_oom")
    status, text = rig.install()
    assert status == Exit.GPU_UNSUPPORTED
    assert "Step “film” failed. It broke. (gpu_oom)" in text
    assert "close other programs" in text
    assert not is_installation_whole(rig.core)
    monkeypatch.delenv("FAKE_FILM_CODE")
    status, text = rig.install()
    assert status == Exit.OK, text
    assert text.count("done before") == len(engines.INFINITETALK.steps) - 1
    assert rig.words() == ["venv", "torch", "packages"]
