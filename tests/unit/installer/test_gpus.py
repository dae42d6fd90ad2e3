"""What nvidia-smi says, and which build of PyTorch follows from it, for recorded cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer import gpus, torch_builds
from installer.gpus import Gpu
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from tests.unit.launcher.twins import FakeRunner

# index, name, compute_cap, memory.total, driver_version -> the build, or the reason why there is none
RECORDED = {
    "GTX 1060": ("0, NVIDIA GeForce GTX 1060 6GB, 6.1, 6144, 560.94", "2.7.1+cu126"),
    "GTX 1060, newest driver": ("0, NVIDIA GeForce GTX 1060 6GB, 6.1, 6144, 580.88", "2.7.1+cu126"),
    "V100": ("0, Tesla V100-SXM2-16GB, 7.0, 16384, 535.129.03", "2.7.1+cu126"),
    "RTX 2060": ("0, NVIDIA GeForce RTX 2060, 7.5, 6144, 566.36", "2.10.0+cu128"),
    "GTX 1650": ("0, NVIDIA GeForce GTX 1650, 7.5, 4096, 581.42", "2.10.0+cu130"),
    "RTX 3090": ("0, NVIDIA GeForce RTX 3090, 8.6, 24576, 535.183.01", "2.10.0+cu128"),
    "RTX 4090": ("0, NVIDIA GeForce RTX 4090, 8.9, 24564, 580.65.06", "2.10.0+cu130"),
    "RTX 5090": ("0, NVIDIA GeForce RTX 5090, 12.0, 32607, 581.29", "2.10.0+cu130"),
    "RTX 5090, older driver": ("0, NVIDIA GeForce RTX 5090, 12.0, 32607, 572.83", "2.10.0+cu128"),
    "H200": ("0, NVIDIA H200, 9.0, 143771, 580.82.07", "2.10.0+cu130"),
    "RTX PRO 6000": (
        "0, NVIDIA RTX PRO 6000 Blackwell Workstation Edition, 12.0, 97887, 580.95",
        "2.10.0+cu130",
    ),
    "GB10": ("0, NVIDIA GB10, 12.1, [N/A], 580.95.05", "2.10.0+cu130"),
}
REFUSED = {
    "GTX 780": ("0, NVIDIA GeForce GTX 780, 3.5, 3072, 570.10", "older than any build"),
    "RTX 3090, old driver": ("0, NVIDIA GeForce RTX 3090, 8.6, 24576, 470.256.02", "525 or newer is needed"),
    "RTX 5090, impossible driver": ("0, NVIDIA GeForce RTX 5090, 12.0, 32607, 560.94", "570 or newer"),
    "a card of the future": ("0, NVIDIA GeForce RTX 7090, 14.0, 65536, 700.10", "newer than the builds"),
}


@pytest.mark.parametrize("card", RECORDED)
def test_every_card_gets_the_build_that_has_code_for_it_and_runs_with_its_driver(card: str) -> None:
    line, wanted = RECORDED[card]
    (gpu,) = gpus.parse(line)
    build = torch_builds.choose(gpu)
    assert build.label == wanted
    assert build.reason
    assert build.pins(("torch", "torchaudio")) == [
        f"torch=={wanted}",
        f"torchaudio=={wanted}",
    ]


@pytest.mark.parametrize("card", REFUSED)
def test_a_card_or_driver_without_a_build_is_refused_with_what_to_do(card: str) -> None:
    line, reason = REFUSED[card]
    (gpu,) = gpus.parse(line)
    with pytest.raises(LauncherError) as caught:
        torch_builds.choose(gpu)
    assert caught.value.status == Exit.GPU_UNSUPPORTED
    assert reason in caught.value.message
    assert caught.value.fix
    assert caught.value.fix_zh


def test_the_name_of_a_card_decides_nothing() -> None:
    (gpu,) = gpus.parse("0, NVIDIA GeForce RTX 3050, 8.6, 8192, 580.10")
    assert torch_builds.choose(gpu).cuda == "cu130"  # "50" in its name makes it no Blackwell card
    (gpu,) = gpus.parse("0, NVIDIA A10, 8.6, 23028, 580.10")
    assert torch_builds.choose(gpu).version == "2.10.0"


def test_lines_that_are_no_gpus_are_left_out() -> None:
    text = "\n".join(
        [
            "Unable to determine the device handle for GPU 0000:65:00.0",
            "0, NVIDIA GeForce GT 710, [Not Supported], 2048, 470.10",
            "1, NVIDIA GeForce RTX 4090, 8.9, 24564, 580.65",
        ]
    )
    assert [gpu.index for gpu in gpus.parse(text)] == [1]
    assert gpus.parse("") == ()


def test_of_several_gpus_the_one_with_the_most_memory_is_taken() -> None:
    found = gpus.parse(
        "0, A, 8.6, 8192, 580.1\n1, B, 8.9, 24564, 580.1\n2, C, 8.9, 24564, 580.1\n3, D, 9.0, [N/A], 580.1"
    )
    assert gpus.best(found).name == "B"
    assert found[3].memory_mib is None


def test_a_driver_that_does_not_answer_is_told(tmp_path: Path) -> None:
    text = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    runner = FakeRunner({"nvidia-smi": Outcome(9, (text,))})
    found = gpus.look(runner, {}, tmp_path)
    assert found.gpus == ()
    assert found.trouble == text


def test_a_machine_without_nvidia_tells_of_its_other_card(tmp_path: Path) -> None:
    for name, vendor in (("card0", "0x1002"), ("card1", "0x8086"), ("card2", "0x1002"), ("card3", "0xffff")):
        (tmp_path / name / "device").mkdir(parents=True)
        (tmp_path / name / "device" / "vendor").write_text(vendor + "\n")
    found = gpus.look(FakeRunner({"nvidia-smi": Outcome(-1, ("not found",))}), {}, tmp_path)
    assert found.trouble is None
    assert found.others == ("an AMD graphics card", "an Intel graphics card")


def test_the_build_of_the_product_document_can_be_asked_for_and_is_warned_of() -> None:
    build = torch_builds.asked("2.5.1+cu124")
    assert build.pins(("torch", "torchvision")) == ["torch==2.5.1+cu124", "torchvision==0.20.1+cu124"]
    assert build.warning is not None
    assert "CVE-2025-32434" in build.warning
    assert torch_builds.asked("2.10.0+cpu").warning is None


@pytest.mark.parametrize("text", ["2.10.0", "newest", "2.9.0+cu128", "2.10.0+cu13", "2.10.0+cu130; rm"])
def test_another_build_is_refused_with_those_that_can_be_had(text: str) -> None:
    with pytest.raises(LauncherError, match="can be chosen") as caught:
        torch_builds.asked(text)
    assert caught.value.status == Exit.USAGE


def test_a_driver_without_a_number_is_an_old_one() -> None:
    assert Gpu(0, "X", (8, 6), 1, "N/A").driver_major == 0
