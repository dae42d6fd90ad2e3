"""The step that makes a first film: how the engine is called, and what each answer of it becomes."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from installer import steps_film
from installer.context import Context
from installer.engines import INFINITETALK
from installer.gpus import Gpu, Graphics
from installer.sources import Sources
from installer.steps_film import FILM, MARK, SCRIPT
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import python_of
from tests.unit.launcher.twins import FakeRunner, MemoryConsole

GOOD: dict[str, Any] = {
    "code": None,
    "error": None,
    "detail": "",
    "device": "cpu",
    "seconds": 9.2,
    "frames": 15,
    "width": 16,
    "height": 16,
}


def made(root: Path, outcome: Outcome, gpu: Gpu | None = None) -> tuple[Context, FakeRunner]:
    def answer(command: list[str]) -> Outcome:
        folder = Path(command[command.index(str(SCRIPT)) + 1])
        assert folder.is_dir()
        (folder / "half a film").write_text("")
        return outcome

    runner = FakeRunner({str(SCRIPT): answer})
    context = Context(
        engine=INFINITETALK,
        root=root,
        graphics=Graphics(),
        gpu=gpu,
        torch=None,
        sources=Sources(),
        runner=runner,
        console=MemoryConsole(),
    )
    context.core.mkdir()
    return context, runner


def said(**changes: Any) -> Outcome:
    facts = {**GOOD, **changes}
    return Outcome(0 if facts["code"] is None else 1, ("a greeting", MARK + json.dumps(facts)))


def test_a_good_film_is_told_with_its_figures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    context, runner = made(tmp_path, said())
    facts: dict[str, Any] = {"device": "cpu"}
    FILM.run(context, facts)
    assert facts == {"device": "cpu", "selftest_seconds": 9.2}
    (call,) = runner.calls
    assert call[0] == str(python_of(context.core / "python_env"))
    assert call[1:5] == ["-I", "-X", "utf8", str(SCRIPT)]
    assert call[-2:] == ["--device", "cpu"]
    assert runner.environments[0]["HF_HUB_OFFLINE"] == "1"
    assert isinstance(context.console, MemoryConsole)
    assert "15 pictures of 16x16 on cpu in 9.2 s" in context.console.text
    assert list((context.core / "tools").iterdir()) == []


def test_the_chosen_card_alone_is_shown_to_it(tmp_path: Path) -> None:
    gpu = Gpu(2, "NVIDIA Card", (8, 9), 24_564, "580.65")
    context, runner = made(tmp_path, said(device="cuda"), gpu)
    FILM.run(context, {"device": "cuda"})
    assert runner.calls[0][-1] == "cuda"
    assert runner.environments[0]["CUDA_VISIBLE_DEVICES"] == "2"


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("gpu_oom", Exit.GPU_UNSUPPORTED, "close other programs that use the graphics card"),
        ("host_oom", Exit.DEPENDENCIES, "close other programs"),
        ("disk_full", Exit.DISK, "what was downloaded is kept"),
        ("gpu_unsupported", Exit.GPU_UNSUPPORTED, "update the NVIDIA driver"),
        ("no_output", Exit.DEPENDENCIES, "--repair"),
        ("internal_error", Exit.DEPENDENCIES, "--repair"),
    ],
)
def test_a_film_that_fails_names_the_step_the_reason_and_how_to_go_on(
    tmp_path: Path, code: str, status: Exit, words: str
) -> None:
    context, _ = made(tmp_path, said(code=code, error="It did not work.", detail="\n".join("abcdefgh")))
    with pytest.raises(LauncherError) as caught:
        FILM.run(context, {})
    error = caught.value
    assert error.message == f"Step “film” failed. It did not work. ({code})"
    assert error.status == status
    assert words in error.fix
    assert error.fix_zh
    assert error.details == tuple("defgh")
    assert list((context.core / "tools").iterdir()) == []


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(-1, ("timed out after 900.0 seconds",)),
        Outcome(-11, ("Fatal Python error: Segmentation fault",)),
        Outcome(0, (f"{MARK}{{not json",)),
        Outcome(0, (f"{MARK}[]",)),
        Outcome(0, (MARK + json.dumps({"code": None}),)),
    ],
)
def test_a_program_that_does_not_answer_is_an_error_with_its_last_lines(
    tmp_path: Path, outcome: Outcome
) -> None:
    context, _ = made(tmp_path, outcome)
    with pytest.raises(LauncherError, match="did not start, or not within 900 s") as caught:
        FILM.run(context, {})
    assert caught.value.details == outcome.lines


def test_both_ends_speak_the_same_language() -> None:
    """The installer's Python has no torch and cannot import the other end: its text is read instead."""
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert constants["MARK"] == MARK
    text = ast.get_docstring(tree) or ""
    assert all(f"`{name}`" in text for name in steps_film._ANSWER)


def test_it_needs_a_pytorch_and_no_card(tmp_path: Path) -> None:
    assert FILM.needs_torch
    assert not FILM.needs_card
    context, _ = made(tmp_path, said())
    assert FILM.is_intact(context)
