"""The installer of Wan2GP with real processes, against an index, a GitHub and an upstream of this machine."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.environment_probe import chosen_gpu, environment_python, is_installation_whole
from installer import engines
from installer.git_tree import Blob, blob_id, tree_id
from installer.state import read_state
from launcher.errors import Exit
from tests.support.fake_github import COMMIT, EXECUTABLE, FILES, GitHub, archive, serving_archive
from tests.support.fake_registry import Registry, serving
from tests.support.installer_rig import LABEL, RTX_4090, Rig

pytestmark = [
    pytest.mark.slow,  # each starts some interpreters
    pytest.mark.skipif(
        sys.platform == "win32", reason="the stand-ins for uv and nvidia-smi are POSIX scripts"
    ),
]
SMALL = "0, NVIDIA GeForce GTX 1650, 7.5, 4096, 580.65.06"
WHOLE = ["venv", "ffmpeg", "torch", "packages", "sources"]


class Wan2GPRig(Rig):
    """The rig, with upstream's source behind it."""

    github: GitHub


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wan2GPRig]:
    assert engines.WAN2GP.upstream is not None
    tree = tree_id({path: Blob(blob_id(text.encode()), path in EXECUTABLE) for path, text in FILES.items()})
    engine = replace(engines.WAN2GP, upstream=replace(engines.WAN2GP.upstream, commit=COMMIT, tree=tree))
    # What this machine has must not stand in for what the installer brings.
    monkeypatch.setattr("installer.steps_ffmpeg._PACKAGED", ("x86_64", "amd64", "aarch64", "arm64"))
    with serving(Registry()) as registry, serving_archive(GitHub(archive())) as github:
        settings = {"GITHUB_MIRROR": github.address}
        made = Wan2GPRig(tmp_path, registry, monkeypatch, engine=engine, settings=settings)
        made.github = github
        yield made


def test_it_is_installed_whole_and_a_second_run_does_nothing(
    rig: Wan2GPRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANTED_GPU", "1")  # asked by the stand-in of upstream: the card with the most memory
    rig.card(f"{SMALL}\n{RTX_4090.replace('0', '1', 1)}")
    status, text = rig.install()
    assert status == Exit.OK, text
    assert rig.words() == WHOLE
    assert is_installation_whole(rig.core)
    assert environment_python(rig.core) == rig.core / "python_env" / "bin" / "python"
    assert chosen_gpu(rig.core) == 1
    facts = read_state(rig.core).facts
    assert facts["source"] == COMMIT
    assert facts["torch"] == LABEL
    assert facts["started_version"] == "12.60"
    assert facts["models"] == 2
    assert facts["ffmpeg"] == str(rig.core / "tools" / "ffmpeg")
    # PyTorch's index gave all three parts of it, in the versions that belong together.
    torch = next(call for call in rig.calls() if "--index" in call)
    assert torch[-3:] == ["torch==2.10.0+cu130", "torchvision==0.25.0+cu130", "torchaudio==2.10.0+cu130"]
    assert {path.name for path in rig.core.iterdir()} == {
        *{path.split("/")[0] for path in FILES},
        *("all-in-one.json", "all-in-one-source.json", "python_env", "tools", "settings", "__pycache__"),
    }
    assert [path.name for path in rig.root.iterdir() if path.name != ".setup.lock"] == ["wan2gp_core"]
    (rig.core / "settings" / "mine.json").write_text("{}")
    status, text = rig.install()
    assert status == Exit.OK
    assert "is installed" in text
    assert rig.words() == WHOLE
    assert len(rig.github.asked) == 1
    # A project that is moved is installed anew where it is, with the source that is there already.
    moved = rig.root.with_name("另一个 place")
    rig.root.rename(moved)
    rig.root = moved
    status, text = rig.install()
    assert status == Exit.OK, text
    assert len(rig.github.asked) == 1
    assert read_state(rig.core).facts["ffmpeg"] == str(rig.core / "tools" / "ffmpeg")
    assert (rig.core / "settings" / "mine.json").exists()


def test_the_plan_is_printed_and_nothing_is_written(rig: Wan2GPRig) -> None:
    status, text = rig.install("--plan")
    assert status == Exit.OK
    lines = text.splitlines()
    assert lines[0] == (
        "Wan2GP (WanGP by deepbeepmeep), WanGP Community License 2.0, https://github.com/deepbeepmeep/Wan2GP"
    )
    assert lines[1:4] == [
        f"into {rig.core}",
        "GPU: none that can be used",
        f"source: 12.60, commit {COMMIT[:12]}; WanGP Community License 2.0: free of charge, no paid or hosted use; read "
        "LICENSE.txt in its folder",
    ]
    assert [line.partition(":")[0] for line in lines[6:-1]] == [
        "1. [to do] uv",
        "2. [to do] python",
        "3. [to do] environment",
        "4. [to do] ffmpeg",
        "5. [to do] source",
        "6. [to do] torch",
        "7. [to do] packages",
        "8. [to do] self-test",
        "9. [to do] start",
    ]
    assert [line for line in lines if "stops here" in line] == [lines[11]]
    assert lines[-1] == (
        "then the weights: model “wan2gp-core” in the page under Models, about 30 GB for the usual ones"
    )
    assert not rig.core.exists()
    assert rig.registry.asked == []
    assert rig.github.asked == []
    # A user's own copy is in the plan of the next run.
    rig.core.mkdir()
    (rig.core / "wgp.py").write_text('WanGP_version = "11.2"\n')
    rig.card(RTX_4090)
    _, text = rig.install("--plan")
    assert "source: your own copy (11.2), used as it is; tested was 12.60" in text
    assert f"PyTorch {LABEL}: this card and its driver support CUDA 13" in text


def test_without_a_gpu_everything_before_pytorch_is_done_and_gone_on_with_later(rig: Wan2GPRig) -> None:
    status, text = rig.install()
    assert status == Exit.NO_GPU
    assert "needs an NVIDIA GPU" in text
    assert rig.words() == ["venv", "ffmpeg"]
    assert (rig.core / "shared" / "api.py").is_file()
    assert not is_installation_whole(rig.core)
    rig.card(RTX_4090)
    status, text = rig.install()
    assert status == Exit.OK, text
    assert rig.words() == WHOLE
    assert len(rig.github.asked) == 1


def test_a_chosen_build_is_installed_without_a_gpu_up_to_the_test_on_the_card(rig: Wan2GPRig) -> None:
    status, text = rig.install("--torch", "2.5.1+cu124")
    assert status == Exit.NO_GPU
    assert rig.words() == WHOLE
    assert "CVE-2025-32434" in text
    torch = next(call for call in rig.calls() if "--index" in call)
    assert torch[-3:] == ["torch==2.5.1+cu124", "torchvision==0.20.1+cu124", "torchaudio==2.5.1+cu124"]


def test_an_older_card_gets_the_last_build_that_has_code_for_it(rig: Wan2GPRig) -> None:
    rig.card("0, NVIDIA GeForce GTX 1080 Ti, 6.1, 11264, 560.94")
    status, text = rig.install()
    assert status == Exit.OK, text
    assert read_state(rig.core).facts["torch"] == "2.7.1+cu126"


def test_a_card_below_what_upstream_supports_is_refused_before_anything_is_written(rig: Wan2GPRig) -> None:
    rig.card("0, NVIDIA GeForce GTX 980, 5.2, 4096, 560.94")
    status, text = rig.install()
    assert status == Exit.GPU_UNSUPPORTED
    assert "GTX 10" in text
    assert not rig.core.exists()


def test_a_start_that_fails_names_the_reason_and_is_tried_again(
    rig: Wan2GPRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.card(RTX_4090)
    monkeypatch.setenv("FAKE_START", "mmgp does not fit")
    status, text = rig.install()
    assert status == Exit.DEPENDENCIES
    assert "Step “start” failed." in text
    assert "RuntimeError: mmgp does not fit (api.py:" in text
    assert "what upstream printed" in text
    assert "--repair" in text
    assert not is_installation_whole(rig.core)
    # Upstream ends its process when it does not like its packages.
    monkeypatch.setenv("FAKE_START", "exit")
    status, text = rig.install()
    assert status == Exit.DEPENDENCIES
    assert "SystemExit: 0" in text
    monkeypatch.delenv("FAKE_START")
    status, text = rig.install()
    assert status == Exit.OK, text
    assert rig.words() == WHOLE
    assert not (rig.core / "tools" / "start-test").exists()


def test_a_users_own_copy_gets_an_environment_and_is_not_changed(
    rig: Wan2GPRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.card(RTX_4090)
    for path, text in FILES.items():
        (rig.core / path).parent.mkdir(parents=True, exist_ok=True)
        (rig.core / path).write_text(text.replace("12.60", "11.2"), encoding="utf-8")
    status, said = rig.install()
    assert status == Exit.OK, said
    assert "Your own copy in wan2gp_core is 11.2" in said
    assert rig.github.asked == []
    facts = read_state(rig.core).facts
    assert (facts["source"], facts["source_version"], facts["started_version"]) == ("own", "11.2", "11.2")
    for path, text in FILES.items():
        assert (rig.core / path).read_text(encoding="utf-8") == text.replace("12.60", "11.2")
    assert not (rig.core / "all-in-one-source.json").exists()
    monkeypatch.setenv("FAKE_START", "no such option")
    state = json.loads((rig.core / "all-in-one.json").read_text())
    del state["done"]["start"]
    (rig.core / "all-in-one.json").write_text(json.dumps(state))
    _, said = rig.install()
    assert "move it away" in said


def test_what_was_deleted_by_hand_is_brought_back(rig: Wan2GPRig) -> None:
    rig.card(RTX_4090)
    assert rig.install()[0] == Exit.OK
    shutil.rmtree(rig.core / "tools" / "ffmpeg")
    (rig.core / "shared" / "api.py").unlink()
    status, text = rig.install()
    assert status == Exit.OK, text
    assert is_installation_whole(rig.core)
    assert (rig.core / "tools" / "ffmpeg" / "ffprobe").is_file()
    assert (rig.core / "tools" / "ffmpeg" / "GPLv3.txt").is_file()
    assert (rig.core / "shared" / "api.py").is_file()


def test_a_source_that_cannot_be_had_names_its_step_and_leaves_the_rest_for_later(rig: Wan2GPRig) -> None:
    rig.card(RTX_4090)
    rig.github.status = 404
    status, text = rig.install()
    assert status == Exit.DEPENDENCIES
    assert "Step “source” failed." in text
    assert "404" in text
    assert "GITHUB_MIRROR" in text
    rig.github.status = 200
    status, text = rig.install()
    assert status == Exit.OK, text
    assert rig.words() == WHOLE
