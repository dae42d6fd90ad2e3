"""InfiniteTalk as an engine to install: which PyTorch, with and without a card, and what the plan says of it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from backend.services.model_catalogue import load_catalogue
from installer import cli, installation, steps_packages
from installer.context import Context
from installer.engines import INFINITETALK, VOXCPM, WAN2GP
from installer.gpus import Gpu, Graphics
from installer.installation import carry_out, lines, make_plan
from installer.sources import Sources
from installer.state import STATE_NAME, read_state
from installer.step import Step
from installer.torch_builds import CPU_VERSION, TorchBuild, asked
from launcher import torch_cpu
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from tests.unit.launcher.twins import FakeRunner, MemoryConsole
from workers.infinitetalk.model_folder import CATALOGUE

ROOT = Path(__file__).resolve().parents[3]
# Name, compute capability -> the build with a driver for CUDA 13, and with an older one.
CARDS = {
    "RTX 2060": ((7, 5), "2.10.0+cu130", "2.10.0+cu128"),
    "A100": ((8, 0), "2.10.0+cu130", "2.10.0+cu128"),
    "RTX 3090": ((8, 6), "2.10.0+cu130", "2.10.0+cu128"),
    "RTX 4090": ((8, 9), "2.10.0+cu130", "2.10.0+cu128"),
    "H100": ((9, 0), "2.10.0+cu130", "2.10.0+cu128"),
    "B200": ((10, 0), "2.10.0+cu130", "2.10.0+cu128"),
    "RTX 5090": ((12, 0), "2.10.0+cu130", "2.10.0+cu128"),
}


def card(capability: tuple[int, int], driver: str = "580.65", memory: int = 24_564) -> Gpu:
    return Gpu(1, "NVIDIA Card", capability, memory, driver)


def chosen(graphics: Graphics, text: str | None = None) -> TorchBuild | None:
    return cli._chosen_torch(INFINITETALK, graphics, cli._chosen_gpu(graphics, None), text)


NO_CARDS = Graphics()


def context_in(root: Path, graphics: Graphics = NO_CARDS, text: str | None = None) -> Context:
    return Context(
        engine=INFINITETALK,
        root=root,
        graphics=graphics,
        gpu=cli._chosen_gpu(graphics, None),
        torch=chosen(graphics, text),
        sources=Sources(),
        runner=FakeRunner({"nvidia-smi": Outcome(-1)}),
        console=MemoryConsole(),
    )


@pytest.mark.parametrize("name", CARDS)
def test_every_card_from_rtx_20_to_rtx_50_has_its_build(name: str) -> None:
    capability, newest, older = CARDS[name]
    for driver, wanted in (("580.65", newest), ("572.16", older)):
        build = chosen(Graphics(gpus=(card(capability, driver),)))
        assert build is not None
        assert build.label == wanted
        assert tuple(map(int, build.version.split(".")[:2])) >= INFINITETALK.oldest_torch


@pytest.mark.parametrize("capability", [(6, 1), (7, 0)])
def test_an_older_card_is_refused_and_told_why(capability: tuple[int, int]) -> None:
    with pytest.raises(LauncherError, match=r"needs compute capability 7\.5") as caught:
        chosen(Graphics(gpus=(card(capability),)))
    assert caught.value.status == Exit.GPU_UNSUPPORTED


@pytest.mark.parametrize(
    ("graphics", "words"),
    [
        (Graphics(), "no NVIDIA GPU was found"),
        (Graphics(others=("an AMD graphics card",)), "no NVIDIA GPU was found, but an AMD graphics card"),
        (Graphics(trouble="driver mismatch"), "no NVIDIA GPU was found (nvidia-smi: driver mismatch)"),
    ],
)
def test_without_a_card_it_is_installed_for_the_processor_and_says_why(
    graphics: Graphics, words: str
) -> None:
    build = chosen(graphics)
    assert build is not None
    assert (build.label, build.reason) == (f"{CPU_VERSION}+cpu", words)
    assert build.pins(INFINITETALK.torch_packages) == [f"torch=={CPU_VERSION}+cpu"]


def test_the_build_for_the_processor_is_the_one_that_the_tests_run_with() -> None:
    assert CPU_VERSION == torch_cpu.VERSION


def test_other_engines_still_want_a_card() -> None:
    for engine in (VOXCPM, WAN2GP):
        assert cli._chosen_torch(engine, Graphics(), None, None) is None


def test_a_build_before_2_6_cannot_be_asked_for_nor_one_without_what_an_engine_needs() -> None:
    with pytest.raises(LauncherError, match=r"2\.5\.1\+cu124") as caught:
        chosen(Graphics(), "2.5.1+cu124")
    assert caught.value.status == Exit.USAGE
    assert "2.5.1" not in caught.value.fix
    assert asked("2.13.0+cpu").label == "2.13.0+cpu"
    with pytest.raises(LauncherError):
        asked("2.13.0+cpu", WAN2GP.torch_packages)  # there is no torchaudio for it


def test_a_mac_is_refused_and_another_makers_card_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not INFINITETALK.refuses_others
    monkeypatch.setattr(cli.sys, "platform", "darwin")
    with pytest.raises(LauncherError, match="macOS"):
        cli._refuse_machine(INFINITETALK)


def test_the_weights_that_it_names_are_in_the_catalogue_with_the_size_that_it_says() -> None:
    catalogue = load_catalogue(ROOT / "assets" / "catalogue")
    default = catalogue.get(INFINITETALK.model_id)
    assert default is not None
    everything = {default.id, *default.requires}
    entries = [catalogue.get(name) for name in everything]
    total = sum(entry.expected_bytes for entry in entries if entry is not None) / 1e9
    assert INFINITETALK.weights_gb is not None
    assert abs(total - INFINITETALK.weights_gb) < 1
    assert all(catalogue.get(name) is not None for name, _ in INFINITETALK.more_models)
    # Together they bring every part of the network that speaks.
    wanted = {entry for role, entry in CATALOGUE.items() if not role.startswith("t2v")}
    assert wanted == everything | {name for name, _ in INFINITETALK.more_models}


def test_the_plan_for_the_processor_says_what_it_is_good_for_and_stops_nowhere(tmp_path: Path) -> None:
    text = "\n".join(lines(make_plan(context_in(tmp_path, Graphics(others=("an AMD graphics card",))))))
    assert f"PyTorch {CPU_VERSION}+cpu: no NVIDIA GPU was found, but an AMD graphics card" in text
    assert "note: this is the installation for the processor" in text
    assert "stops here" not in text
    assert f"disk: {INFINITETALK.disk_cpu_mib} MiB needed" in text
    assert text.count("[to do]") == len(INFINITETALK.steps)
    assert "model “infinitetalk-single” in the page under Models, about 29 GB" in text
    assert "besides it “infinitetalk-multi” for two speakers" in text
    assert list(tmp_path.iterdir()) == []


def test_the_plan_for_a_card_has_no_such_note_and_wants_more_room(tmp_path: Path) -> None:
    plan = make_plan(context_in(tmp_path, Graphics(gpus=(card((12, 0)),))))
    text = "\n".join(lines(plan))
    assert plan.needs_mib == INFINITETALK.disk_mib
    assert "processor" not in text
    small = make_plan(context_in(tmp_path, Graphics(gpus=(card((7, 5), memory=6_144),))))
    assert "6144 MiB" in "\n".join(lines(small))


def test_too_little_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "_free_mib", lambda folder: 2_999)
    with pytest.raises(LauncherError, match="Only 2999 MiB are free") as caught:
        carry_out(make_plan(context_in(tmp_path)))
    assert caught.value.status == Exit.DISK
    assert not (tmp_path / "infinitetalk_core").exists()


# --- carried out with steps that do nothing -------------------------------------------------------


def _steps(done: list[str], *, fails: str | None = None) -> tuple[Step, ...]:
    """Steps that write down their names; `fails` raises."""

    def step(name: str) -> Step:
        def run(context: Context, facts: dict[str, object]) -> None:
            done.append(name)
            if name == fails:
                raise LauncherError(Exit.DEPENDENCIES, f"Step “{name}” failed.", fix="again", fix_zh="再来")

        return Step(
            name=name,
            title=name,
            inputs=lambda c: [c.torch.label if c.torch else None] if name == "torch" else None,
            is_intact=lambda c: True,
            run=run,
            needs_torch=name in {"torch", "self-test", "film"},
            needs_card=name == "self-test",
        )

    return tuple(step(name) for name in INFINITETALK.steps)


def _install(root: Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[Step, ...], graphics: Graphics) -> str:
    monkeypatch.setattr(installation, "steps_of", lambda engine: steps)
    monkeypatch.setattr(installation, "_free_mib", lambda folder: 99_999)
    context = context_in(root, graphics)
    carry_out(make_plan(context))
    console = context.console
    assert isinstance(console, MemoryConsole)
    return console.text


def test_it_is_whole_without_a_card_and_a_card_that_comes_later_changes_what_depends_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    text = _install(tmp_path, monkeypatch, _steps(done), Graphics())
    assert done == list(INFINITETALK.steps)
    assert "is installed for the processor" in text
    core = tmp_path / "infinitetalk_core"
    state = read_state(core)
    assert state.ready
    assert "gpu_index" not in state.facts
    done.clear()
    assert "is installed for the processor" in _install(tmp_path, monkeypatch, _steps(done), Graphics())
    assert done == []
    text = _install(tmp_path, monkeypatch, _steps(done), Graphics(gpus=(card((8, 9)),)))
    assert done == ["torch", "packages", "self-test", "film"]
    assert "its weights: Models in the page" in text
    assert read_state(core).facts["gpu_index"] == 1
    _install(tmp_path, monkeypatch, _steps(done), Graphics())
    assert "gpu_index" not in read_state(core).facts


def test_a_film_that_fails_leaves_the_installation_unfinished_and_only_it_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    with pytest.raises(LauncherError, match="film"):
        _install(tmp_path, monkeypatch, _steps(done, fails="film"), Graphics())
    core = tmp_path / "infinitetalk_core"
    assert not read_state(core).ready
    assert read_state(core).running == "film"
    done.clear()
    _install(tmp_path, monkeypatch, _steps(done), Graphics())
    assert done == ["film"]
    assert (core / STATE_NAME).is_file()
    assert read_state(core).ready


# --- the test of the packages ---------------------------------------------------------------------


def _probed(root: Path, graphics: Graphics, said: str, text: str | None = None) -> dict[str, object]:
    context = replace(
        context_in(root, graphics, text), runner=FakeRunner({"-I": Outcome(0, ("noise", said))})
    )
    facts: dict[str, object] = {}
    steps_packages.SELF_TEST.run(context, facts)
    return facts


NO_CARD = (
    '{"torch": "2.13.0+cpu", "cuda": null, "gpu": null, "computed": false, "imported": [], "error": null}'
)
A_CARD = '{"torch": "2.10.0+cu130", "cuda": "13.0", "gpu": "NVIDIA Card", "computed": true, "imported": [], "error": null}'


def test_the_packages_pass_without_a_card_only_where_none_is_meant(tmp_path: Path) -> None:
    assert _probed(tmp_path, Graphics(), NO_CARD) == {"device": "cpu", "gpu": None}
    with_card = Graphics(gpus=(card((8, 9)),))
    assert _probed(tmp_path, with_card, A_CARD) == {"device": "cuda", "gpu": "NVIDIA Card"}
    assert _probed(tmp_path, with_card, NO_CARD, "2.13.0+cpu") == {"device": "cpu", "gpu": None}
    with pytest.raises(LauncherError, match="does not see NVIDIA Card"):
        _probed(tmp_path, with_card, NO_CARD)


def test_the_command_takes_the_same_options_as_the_other_installers() -> None:
    arguments = cli._parse(["infinitetalk", "--plan", "--repair", "--gpu", "1", "--fastest-mirrors"])
    assert isinstance(arguments, argparse.Namespace)
    assert (arguments.engine, arguments.plan, arguments.repair, arguments.gpu) == (
        "infinitetalk",
        True,
        True,
        1,
    )
