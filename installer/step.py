"""What a step of an installation is, and how it fails. Runs in the start script's Python."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from installer.causes import Cause, cause_of
from installer.context import Context
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome

ATTEMPTS = 3
PAUSE_BETWEEN_ATTEMPTS_S = 5.0


@dataclass(frozen=True)
class Step:
    """`inputs`: everything that decides what the step makes. `is_intact`: a look at what it made earlier.

    `about_mib`: what it downloads. `needs_torch`: it cannot begin before a build of PyTorch is chosen, by the graphics
    card or by the user. `needs_card`: it cannot succeed without a card.
    """

    name: str
    title: str
    inputs: Callable[[Context], object]
    is_intact: Callable[[Context], bool]
    run: Callable[[Context, dict[str, Any]], None]
    about_mib: Callable[[Context], int] = lambda context: 0
    needs_torch: bool = False
    needs_card: bool = False


def repeat(context: Context, step: str, call: Callable[[], Outcome]) -> None:
    """Call up to ATTEMPTS times while the network is the trouble. Raises LauncherError."""
    outcome = Outcome(-1)
    for attempt in range(1, ATTEMPTS + 1):
        outcome = call()
        if outcome.status == 0:
            return
        if not cause_of(outcome.text).is_network or attempt == ATTEMPTS:
            break
        pause_before(context, attempt + 1)
    cause = cause_of(outcome.text)
    raise error_of(step, cause.message, cause, outcome.lines[-6:])


def pause_before(context: Context, attempt: int) -> None:
    """Say that the network failed, and give it a moment."""
    context.console.warn(
        f"The connection failed; try {attempt} of {ATTEMPTS} in {PAUSE_BETWEEN_ATTEMPTS_S:.0f} s"
    )
    time.sleep(PAUSE_BETWEEN_ATTEMPTS_S)


def failed(step: str, message: str, outcome: Outcome) -> LauncherError:
    """A program ended badly, or did not do what it says."""
    return error_of(step, message, cause_of(outcome.text), outcome.lines[-6:])


def error_of(step: str, message: str, cause: Cause, details: tuple[str, ...] = ()) -> LauncherError:
    """The error of a step, with the fix of its cause."""
    return LauncherError(
        cause.status, f"Step “{step}” failed. {message}", details=details, fix=cause.fix, fix_zh=cause.fix_zh
    )


def visible_gpu(context: Context) -> dict[str, str]:
    """Variables that show a program the chosen card alone, numbered as nvidia-smi numbers them."""
    shown = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    if context.gpu is not None:
        shown["CUDA_VISIBLE_DEVICES"] = str(context.gpu.index)
    return shown


def no_gpu(context: Context) -> LauncherError:
    """Everything that needs no GPU is done; this is where one is needed."""
    others = context.graphics.others
    seen = f" Found: {', '.join(others)}." if others else ""
    trouble = context.graphics.trouble
    return LauncherError(
        Exit.NO_GPU,
        f"{context.engine.title} needs an NVIDIA GPU, and none was found.{seen}",
        details=(f"nvidia-smi: {trouble}",) if trouble else (),
        fix="install the NVIDIA driver and run this again: it goes on from here. Without such a card, use another "
        "engine. (--torch 2.10.0+cu128 installs everything all the same.)",
        fix_zh="请安装 NVIDIA 驱动后再次运行，会从这里继续。没有 NVIDIA 显卡时请使用其他引擎。",
    )
