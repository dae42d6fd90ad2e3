"""An installation: the plan, and carrying it out step by step. Runs in the start script's Python.

Flow: context -> `Plan` (what is done, what is to do, what it needs) -> printed, or carried out with the state written
around every step.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from installer.context import Context
from installer.engines import EngineDefinition
from installer.sources import without_secret
from installer.state import InstallState, begun, finished, read_state, write_state
from installer.step import Step, no_gpu
from installer.steps import steps_of
from installer.steps_source import source_line
from installer.torch_builds import CPU
from launcher.errors import Exit, LauncherError

_MIB = 1 << 20
# Nothing is downloaded any more: the files around an installation that is whole.
_SMALL_MIB = 200


@dataclass(frozen=True)
class PlannedStep:
    """A step, the fingerprint it would get, and whether it is done already."""

    step: Step
    fingerprint: str
    is_done: bool


@dataclass(frozen=True)
class Plan:
    """All steps in order, the space they need and the space there is, MiB."""

    context: Context
    steps: tuple[PlannedStep, ...]
    needs_mib: int
    free_mib: int

    @property
    def to_do(self) -> tuple[PlannedStep, ...]:
        return tuple(planned for planned in self.steps if not planned.is_done)


def make_plan(context: Context, *, repair: bool = False) -> Plan:
    """Look at what is there. Writes nothing. A step is done when its fingerprint is the kept one, everything before
    it is done, and what it made is still whole."""
    state = InstallState(str(context.core)) if repair else read_state(context.core)
    planned: list[PlannedStep] = []
    before = ""
    for step in steps_of(context.engine):
        before = _fingerprint(step, context, before)
        is_done = (
            all(earlier.is_done for earlier in planned)
            and state.running != step.name
            and state.done.get(step.name) == before
            and step.is_intact(context)
        )
        planned.append(PlannedStep(step, before, is_done))
    downloads = sum(p.step.about_mib(context) for p in planned if not p.is_done)
    needs = _disk_mib(context) if downloads > _SMALL_MIB else _SMALL_MIB
    return Plan(context, tuple(planned), needs, _free_mib(context.core))


def _disk_mib(context: Context) -> int:
    engine = context.engine
    if engine.disk_cpu_mib is not None and context.torch is not None and context.torch.cuda == CPU:
        return engine.disk_cpu_mib
    return engine.disk_mib


def _fingerprint(step: Step, context: Context, before: str) -> str:
    text = json.dumps([step.name, step.inputs(context), before], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def lines(plan: Plan) -> list[str]:
    """The plan as a person reads it."""
    context = plan.context
    engine = context.engine
    text = [
        f"{engine.title}, {engine.licence}, {engine.home}",
        f"into {context.core}",
        f"GPU: {context.gpu or 'none that can be used'}",
    ]
    if engine.upstream is not None:
        text.append(source_line(context))
    if context.torch is not None:
        text.append(f"PyTorch {context.torch.label}: {context.torch.reason}")
        if context.torch.warning:
            text.append(f"  note: {context.torch.warning}")
    for note in (_memory_note(context), _processor_note(context)):
        if note:
            text.append(f"  note: {note}")
    sources = context.sources
    text.append(
        "from "
        + ", ".join(without_secret(address) for address in (sources.pypi, sources.torch, sources.github))
    )
    text.append(f"disk: {plan.needs_mib} MiB needed, {plan.free_mib} MiB free")
    stopping = next((p.step for p in plan.steps if not p.is_done and _is_stopped(p.step, context)), None)
    for number, planned in enumerate(plan.steps, 1):
        step = planned.step
        about = 0 if planned.is_done else step.about_mib(context)
        size = f", about {about} MiB to download" if about else ""
        stop = " - stops here without an NVIDIA GPU" if step is stopping else ""
        text.append(
            f"{number}. [{'done' if planned.is_done else 'to do'}] {step.name}: {step.title}{size}{stop}"
        )
    text.append(_weights(engine))
    return text


def _is_stopped(step: Step, context: Context) -> bool:
    """Whether this step cannot be done on this machine as it is."""
    needs_card = step.needs_card and not context.engine.runs_without_card
    return (step.needs_torch and context.torch is None) or (needs_card and context.gpu is None)


def _weights(engine: EngineDefinition) -> str:
    size = f", about {engine.weights_gb} GB for the usual ones" if engine.weights_gb else ""
    text = f"then the weights: model “{engine.model_id}” in the page under Models{size}"
    more = ", ".join(f"“{model}” for {purpose}" for model, purpose in engine.more_models)
    return f"{text}; besides it {more}" if more else text


def carry_out(plan: Plan, *, repair: bool = False) -> None:
    """Do what is left. Raises LauncherError naming the step; a second call goes on from there."""
    context = plan.context
    console = context.console
    if not plan.to_do:
        _settle(context, plan)
        console.ok(f"{context.engine.title} is installed{_for_processor(context)}")
        return
    if plan.free_mib < plan.needs_mib:
        raise LauncherError(
            Exit.DISK,
            f"Only {plan.free_mib} MiB are free on this drive; installing {context.engine.title} needs "
            f"{plan.needs_mib} MiB.",
            fix="free some space on this drive (or move the project to another one), then run this again.",
            fix_zh="请清理本磁盘空间（或把项目移到其他磁盘），然后再次运行。",
        )
    for note in (_memory_note(context), _processor_note(context)):
        if note:
            console.warn(note)
    _prepare_folder(context)
    state = InstallState(str(context.core)) if repair else read_state(context.core)
    write_state(context.core, state)
    facts: dict[str, Any] = dict(state.facts)
    for number, planned in enumerate(plan.steps, 1):
        step = planned.step
        if planned.is_done:
            console.ok(f"{step.title} ({number} of {len(plan.steps)}): done before")
            continue
        if step.needs_torch and context.torch is None:
            raise no_gpu(context)
        console.doing(f"{step.title} ({number} of {len(plan.steps)})")
        state = begun(state, step.name)
        write_state(context.core, state)
        step.run(context, facts)
        state = replace(finished(state, step.name, planned.fingerprint), facts=dict(facts))
        write_state(context.core, state)
        console.ok(step.title)
    _settle(context, plan)
    more = _for_processor(context) or "; its weights: Models in the page"
    console.ok(f"{context.engine.title} is installed{more}")


def _settle(context: Context, plan: Plan) -> None:
    """Mark the installation as whole, and give back the space of the downloads."""
    state = read_state(context.core)
    facts = {**state.facts, "engine": context.engine.name}
    if context.gpu is not None:
        facts["gpu_index"] = context.gpu.index
    else:
        facts.pop("gpu_index", None)
    write_state(context.core, replace(state, ready=True, facts=facts))
    shutil.rmtree(context.core / "cache", ignore_errors=True)


def _prepare_folder(context: Context) -> None:
    try:
        context.core.mkdir(parents=True, exist_ok=True)
        probe = context.core / ".write-test"
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"The folder {context.core} cannot be written: {error}",
            fix="put the project in a folder of your own (not Program Files), then run this again.",
            fix_zh="请把项目放在自己有写权限的文件夹中（不要放在 Program Files），然后再次运行。",
        ) from error


def _memory_note(context: Context) -> str | None:
    gpu = context.gpu
    if gpu is None or gpu.memory_mib is None or gpu.memory_mib >= context.engine.memory_mib:
        return None
    return (
        f"{gpu.name} has {gpu.memory_mib} MiB; {context.engine.title} uses about {context.engine.memory_mib} MiB. "
        "It may run out of memory; another engine takes over then."
    )


def _processor_note(context: Context) -> str | None:
    """What to know of an engine that is installed without a card."""
    on_processor = context.torch is not None and context.torch.cuda == CPU
    if not context.engine.runs_without_card or not (on_processor or context.gpu is None):
        return None
    return (
        "this is the installation for the processor: it is tested there with a tiny model, but a film of the real one "
        "would take weeks, so no films are made with it. With an NVIDIA card and its driver, run this again."
    )


def _for_processor(context: Context) -> str:
    return " for the processor; run this again when there is a card" if _processor_note(context) else ""


def _free_mib(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free // _MIB
