"""The command line: `python -m launcher install ENGINE …`. Runs in the start script's Python."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from installer import gpus, torch_builds
from installer.context import Context
from installer.engines import ENGINES, EngineDefinition
from installer.gpus import Gpu, Graphics
from installer.installation import carry_out, lines, make_plan
from installer.sources import KINDS, Measure, Sources, configured, fastest, measured, without_secret
from installer.torch_builds import TorchBuild
from launcher.console import Console, prepare_streams
from launcher.errors import Exit, LauncherError
from launcher.process import Runner, SystemRunner
from launcher.project import ROOT
from launcher.setup_lock import setup_lock

_AMD = re.compile(r"\b(amd|radeon)\b", re.IGNORECASE)


def main(
    argv: Sequence[str],
    runner: Runner | None = None,
    console: Console | None = None,
    *,
    root: Path = ROOT,
    measure: Measure = measured,
) -> int:
    """Run the installer; returns the exit status and never raises for what a person can mend."""
    prepare_streams()
    runner = runner or SystemRunner()
    console = console or Console()
    arguments = _parse(argv)
    try:
        return _install(arguments, runner, console, root, measure)
    except LauncherError as error:
        console.fail(error)
        return error.status
    except KeyboardInterrupt:
        console.plain("")
        console.warn("Stopped; run this again to go on")
        return Exit.INTERRUPTED


def _install(
    arguments: argparse.Namespace, runner: Runner, console: Console, root: Path, measure: Measure
) -> int:
    engine = ENGINES[arguments.engine]
    _refuse_machine(engine)
    graphics = gpus.look(runner)
    if engine.refuses_others and arguments.torch is None:
        _refuse_cards(engine, graphics)
    gpu = _chosen_gpu(graphics, arguments.gpu)
    torch = _chosen_torch(engine, graphics, gpu, arguments.torch)
    sources = configured(root)
    if arguments.fastest_mirrors:
        sources = _fastest(sources, measure, console)
    context = Context(
        engine=engine,
        root=root,
        graphics=graphics,
        gpu=gpu,
        torch=torch,
        sources=sources,
        runner=runner,
        console=console,
        private_python=arguments.private_python,
    )
    if arguments.plan:
        for line in lines(make_plan(context, repair=arguments.repair)):
            console.plain(line)
        return Exit.OK
    with setup_lock(root, console):
        plan = make_plan(context, repair=arguments.repair)
        for line in lines(plan):
            console.plain(line)
        carry_out(plan, repair=arguments.repair)
    return Exit.OK


def _refuse_machine(engine: EngineDefinition) -> None:
    if engine.refuses_macos and sys.platform == "darwin":
        raise LauncherError(
            Exit.GPU_UNSUPPORTED,
            f"{engine.title} is not installed on macOS: it needs an NVIDIA GPU.",
            fix="use the engines that run on the processor, or a computer with an NVIDIA card.",
            fix_zh="请使用 CPU 引擎，或换用带 NVIDIA 显卡的电脑。",
        )


def _refuse_cards(engine: EngineDefinition, graphics: Graphics) -> None:
    """An AMD card alone: said before gigabytes are fetched that cannot run on it."""
    if graphics.gpus or graphics.trouble or not any(_AMD.search(name) for name in graphics.others):
        return
    if any("nvidia" in name.casefold() for name in graphics.others):
        return
    raise LauncherError(
        Exit.GPU_UNSUPPORTED,
        f"{engine.title} needs an NVIDIA GPU; only {' and '.join(graphics.others)} was found. Upstream's way for AMD "
        "cards (ROCm) is an experiment that this installer does not make.",
        fix="use the engines that run on the processor. If there is an NVIDIA card too, install its driver and run "
        "this again.",
        fix_zh="请使用 CPU 引擎。若还有 NVIDIA 显卡，请安装其驱动后再次运行。",
    )


def _chosen_gpu(graphics: Graphics, index: int | None) -> Gpu | None:
    if index is None:
        return gpus.best(graphics.gpus) if graphics.gpus else None
    for gpu in graphics.gpus:
        if gpu.index == index:
            return gpu
    there = ", ".join(f"{gpu.index}: {gpu.name}" for gpu in graphics.gpus) or "none"
    raise LauncherError(
        Exit.USAGE,
        f"There is no NVIDIA GPU {index} (found: {there}).",
        fix="leave --gpu out, or name one that is there.",
        fix_zh="请去掉 --gpu，或指定存在的显卡编号。",
    )


def _chosen_torch(
    engine: EngineDefinition, graphics: Graphics, gpu: Gpu | None, text: str | None
) -> TorchBuild | None:
    """The build for this machine; None when there is no GPU to choose for. Raises LauncherError."""
    if text is not None:
        return torch_builds.asked(text, engine.torch_packages, engine.oldest_torch)
    if gpu is None:
        return torch_builds.for_processor(_why_processor(graphics)) if engine.runs_without_card else None
    if gpu.capability < engine.min_capability:
        needed = ".".join(map(str, engine.min_capability))
        raise LauncherError(
            Exit.GPU_UNSUPPORTED,
            f"{engine.title} needs compute capability {needed}; {gpu} is older: {engine.why_capability}.",
            fix="use another engine; --torch 2.7.1+cu126 installs it all the same, without a promise.",
            fix_zh="请使用其他引擎；也可加 --torch 2.7.1+cu126 强制安装，但不保证可用。",
        )
    return torch_builds.choose(gpu)


def _why_processor(graphics: Graphics) -> str:
    """Why PyTorch for the processor is taken, as it stands in the plan."""
    seen = f", but {' and '.join(graphics.others)}" if graphics.others else ""
    trouble = f" (nvidia-smi: {graphics.trouble})" if graphics.trouble else ""
    return f"no NVIDIA GPU was found{seen}{trouble}"


def _fastest(sources: Sources, measure: Measure, console: Console) -> Sources:
    console.doing("Measuring the mirrors")
    chosen, rates = fastest(sources, measure)
    for name, kind in KINDS.items():
        for address, rate in rates[name].items():
            said = f"{rate / 1024:.0f} KiB/s" if rate else "no answer"
            console.plain(f"     {kind.title}: {without_secret(address)}: {said}")
        console.ok(
            f"{kind.title} from {without_secret(chosen.of(name))} (to keep it: {kind.setting} in .env)"
        )
    return chosen


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="install", description="Installs an engine of All-in-one.")
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("--plan", action="store_true", help="show what would be done, and do nothing")
    parser.add_argument("--repair", action="store_true", help="do every step again")
    parser.add_argument(
        "--fastest-mirrors", action="store_true", help="measure the known mirrors and use the fastest"
    )
    parser.add_argument("--torch", metavar="VERSION+CUDA", help="this build of PyTorch, such as 2.10.0+cu128")
    parser.add_argument("--gpu", type=int, metavar="NUMBER", help="for this GPU (numbers of nvidia-smi)")
    parser.add_argument(
        "--private-python", action="store_true", help="fetch a Python even if a suitable one is there"
    )
    return parser.parse_args(list(argv))
