"""docs/infinitetalk.md: its tables are what the code, the planner, the installer and the catalogue of models say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.engines.infinitetalk_models import MIN_VRAM_MIB, PRESETS
from backend.models.codes import ErrorCode
from backend.models.job import JobCreate
from backend.services.model_catalogue import load_catalogue
from installer import torch_builds
from installer.engines import ENGINES, INFINITETALK
from installer.gpus import Gpu
from installer.steps import steps_of
from tests.contract.docs_pages import Table, column, page, section, tables, words
from workers.infinitetalk import config, inputs
from workers.infinitetalk.memory import GIB, HOST_RESERVE_BYTES, Facts, Plan, plan

ROOT = Path(__file__).resolve().parents[2]
NAME = "docs/infinitetalk.md"
PICTURES = {"512p": 640, "720p": 960}  # sides of a square picture
FREE_RAM = 60 * GIB
TAKEN_GIB = 0.6  # of a card, by other programs


def table_of(heading: str, number: int = 0) -> Table:
    return tables(section(page(NAME), heading))[number]


def test_the_presets_cost_what_the_code_says() -> None:
    rows = table_of("## Presets")[1:]
    assert [words(row[0])[0] for row in rows] == list(PRESETS) == list(config.PRESETS)
    for row in rows:
        preset, worker = PRESETS[words(row[0])[0]], config.PRESETS[words(row[0])[0]]  # type: ignore[index]
        assert [int(cell) for cell in row[1:4]] == [preset.steps, preset.passes, preset.steps * preset.passes]
        assert (words(row[4]) or [None])[0] == preset.lora
        assert row[5] == f"{worker.text_scale:g} / {worker.audio_scale:g}"
        assert row[6] == " / ".join(f"{preset.s_per_video_s(size):.0f}" for size in MIN_VRAM_MIB)
    text = section(page(NAME), "## Presets")
    assert f"one window of {config.WINDOW} frames, {config.WINDOW - config.MOTION} of them new" in text
    assert f"{(config.WINDOW - config.MOTION) / config.FPS:.2f} s of film" in text
    assert {config.PRESETS[name].steps for name in ("balanced", "fast", "turbo")} == {8, 4}
    assert JobCreate.model_fields["preset"].default == "balanced"


def chosen(card: int, stored: str, size: str) -> Plan:
    side = PICTURES[size]
    return plan(
        Facts(
            free_vram=round((card - TAKEN_GIB) * GIB),
            free_ram=FREE_RAM,
            tokens=config.token_count(side, side),
            pixels=side * side,
            stored="full" if stored == "bf16" else "fp8",
        )
    )


def written(made: Plan) -> str:
    storage = "bf16" if made.storage == "full" else made.storage
    tight = " (tight)" if made.tight else ""
    return f"{made.placement} {storage}, {made.vram_bytes / GIB:.1f} GiB{tight}"


def test_the_memory_table_is_the_planners() -> None:
    rows = table_of("## Memory")[1:]
    assert len(rows) == 8
    for row in rows:
        card = int(row[0].removesuffix(" GB"))
        for size, cell in zip(PICTURES, row[2:], strict=True):
            # What the service does not offer on such a card has no plan.
            offered = card * 1000 >= MIN_VRAM_MIB[size]
            assert cell == (written(chosen(card, row[1], size)) if offered else "–"), row


def test_the_host_memory_of_streaming_is_the_planners() -> None:
    text = section(page(NAME), "## Memory")
    for name in ("fp8", "bf16"):
        made = chosen(24, name, "512p")
        assert made.placement == "streamed"
        figure = re.escape(f"{made.ram_bytes / GIB:.1f} GiB")
        assert re.search(rf"\b{name}( takes)? {figure}", text), figure
    assert f"{HOST_RESERVE_BYTES // GIB} GiB more must be free" in text


def test_the_weights_are_the_catalogues() -> None:
    catalogue = load_catalogue(ROOT / "assets" / "catalogue")
    table = table_of("## Weights")
    names = column(table)
    assert set(names) == {entry.id for entry in catalogue.all() if entry.id.startswith("infinitetalk-")}
    assert len(names) == len(set(names))
    for row in table[1:]:
        entry = catalogue.get(words(row[0])[0])
        assert entry is not None
        assert row[1] == f"{entry.expected_bytes / 1e9:.1f} GB", row
        assert words(row[3]) == list(entry.requires), row
    everything = [catalogue.get(name) for name in (INFINITETALK.model_id, *INFINITETALK_REQUIRES)]
    total = sum(entry.expected_bytes for entry in everything if entry is not None) / 1e9
    assert f"{total:.0f} GB with what it requires" in table[1][2]
    assert INFINITETALK.weights_gb == round(total)
    assert words(table[1][0]) == [INFINITETALK.model_id]


def _requires() -> tuple[str, ...]:
    entry = load_catalogue(ROOT / "assets" / "catalogue").get(INFINITETALK.model_id)
    assert entry is not None
    return tuple(entry.requires)


INFINITETALK_REQUIRES = _requires()


def test_the_steps_are_the_installers() -> None:
    assert column(table_of("## Install")) == [step.name for step in steps_of(INFINITETALK)]
    text = section(page(NAME), "## Install")
    assert (
        f"{INFINITETALK.disk_mib} MiB of free disk are asked for ({INFINITETALK.disk_cpu_mib} without" in text
    )
    assert f"PyTorch before {'.'.join(map(str, INFINITETALK.oldest_torch))} is refused" in text


def test_every_card_gets_the_pytorch_that_is_written() -> None:
    rows = table_of("## Install", 1)[1:]
    for row in rows[:-1]:
        major, minor = row[0].split(".")
        builds = [
            torch_builds.choose(Gpu(0, "card", (int(major), int(minor)), None, driver))
            for driver in ("580.1", "579.9")
        ]
        cuda = [f"{build.cuda[2:-1]}.{build.cuda[-1]}" for build in builds]
        assert row[2] == f"{builds[0].version}, CUDA {cuda[0]}; driver older than 580: CUDA {cuda[1]}"
        assert (int(major), int(minor)) >= INFINITETALK.min_capability
    assert rows[-1][0].startswith("none")
    assert rows[-1][2].startswith(torch_builds.for_processor("").version)


def test_the_parameters_are_those_that_the_worker_reads() -> None:
    source = (ROOT / "workers" / "infinitetalk" / "inputs.py").read_text(encoding="utf-8")
    read = set(re.findall(r'params(?:, |\.get\()"(\w+)"', source))
    table = table_of("## The worker")
    rows = {words(row[0])[0]: row for row in table[1:]}
    assert set(rows) == read
    choices = {
        "preset": (tuple(config.PRESETS), inputs.DEFAULT_PRESET),
        "resolution": (tuple(inputs.RESOLUTIONS), "512p"),
        "aspect": (tuple(inputs.ASPECTS), "1:1"),
        "cache": (inputs.CACHES, inputs.CACHES[0]),
    }
    for name, (values, default) in choices.items():
        assert tuple(words(rows[name][1])) == values
        assert words(rows[name][2]) == [default]


def test_the_codes_are_codes() -> None:
    table = table_of("## When it fails")
    named = [code for row in table[1:] for code in words(row[0])]
    assert len(named) > 6
    assert set(named) <= {code.value for code in ErrorCode}


def test_the_page_says_what_was_not_tested() -> None:
    text = page(NAME)
    assert "Nobody has run it with the real weights, on a graphics card, or on Windows yet." in text
    assert "Not tested: real weights, any graphics card, Windows, ARM." in text


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_has_the_commands_and_the_presets(name: str) -> None:
    text = page(name)
    assert "bash install_infinitetalk.sh\n" in text
    assert "install_infinitetalk.bat\n" in text
    table = next(t for t in tables(text) if column(t) == list(PRESETS))
    for row in table[1:]:
        preset = PRESETS[words(row[0])[0]]  # type: ignore[index]
        assert row[1] == str(preset.steps * preset.passes)
    # The tree of folders names all scripts that install.
    assert sorted(ENGINES) == sorted(re.findall(r"^install_(\w+)\.sh  ", text, re.MULTILINE))
