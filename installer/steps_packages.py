"""The steps that fill an engine's environment: PyTorch, the packages of its locks, a self-test. Start script's Python."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from installer.context import Context
from installer.step import Step, failed, no_gpu, repeat, visible_gpu
from installer.torch_builds import CPU
from launcher.errors import Exit, LauncherError
from launcher.project import child_environment
from launcher.state import lock_digest

_PROBE_S, _SELF_TEST_S = 60.0, 600.0
_LIST = (
    "import importlib.metadata as m, json, re; "
    "print(json.dumps({re.sub('[-_.]+', '-', d.name).lower(): d.version for d in m.distributions() if d.name}))"
)
# A line of a lock: name, version, and whether a marker follows that says where it belongs.
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)([ ]*;)?", re.MULTILINE)
# bfloat16 is what the engines compute in; cards before this have no matrix product of it.
_BFLOAT16_SINCE = (7, 5)
# What PyTorch and the libraries that it needs take on the way.
_CUDA_MIB, _CPU_MIB = 3_500, 200


def _install_torch(context: Context, facts: dict[str, Any]) -> None:
    torch = context.torch
    if torch is None:
        raise no_gpu(context)
    if torch.warning:
        context.console.warn(torch.warning)
    repeat(
        context,
        "torch",
        lambda: context.run_uv(
            *("pip", "install", "--python", str(context.python), "--only-binary", ":all:"),
            *("--default-index", context.sources.pypi, "--index", f"{context.sources.torch}/{torch.cuda}"),
            *torch.pins(context.engine.torch_packages),
        ),
    )
    facts["torch"] = torch.label
    facts["torch_reason"] = torch.reason


def _torch_intact(context: Context) -> bool:
    installed = _installed(context)
    torch = context.torch
    if torch is None:
        return False
    pins = dict(pin.split("==") for pin in torch.pins(context.engine.torch_packages))
    return all(installed.get(name) == version for name, version in pins.items())


def _install_packages(context: Context, facts: dict[str, Any]) -> None:
    wheels, *sources = context.engine.lock_files
    _install_lock(context, wheels, "--only-binary", ":all:")
    for lock in sources:
        # Without isolation: they are built with the setuptools of the first lock, which is held to its hash too.
        _install_lock(context, lock, "--no-build-isolation")


def _install_lock(context: Context, lock: Path, *options: str) -> None:
    repeat(
        context,
        "packages",
        lambda: context.run_uv(
            *("pip", "install", "--python", str(context.python), "--require-hashes", "--no-deps"),
            *options,
            *("--default-index", context.sources.pypi, "-r", str(lock)),
        ),
    )


def _packages_intact(context: Context) -> bool:
    """Everything that the locks name for every system is there, and nothing of them in another version."""
    installed = _installed(context)
    wanted: dict[str, set[str]] = {}
    needed: set[str] = set()
    for lock in context.engine.lock_files:
        for name, version, marker in _PIN.findall(lock.read_text("utf-8")):
            wanted.setdefault(_plain(name), set()).add(version)
            if not marker:
                needed.add(_plain(name))
    if any(name in installed and installed[name] not in versions for name, versions in wanted.items()):
        return False
    return needed <= installed.keys()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(context: Context) -> dict[str, str]:
    outcome = context.runner.capture(
        [str(context.python), "-I", "-c", _LIST], timeout_s=_PROBE_S, env=child_environment()
    )
    try:
        found = json.loads(outcome.lines[-1]) if outcome.status == 0 else {}
    except (IndexError, ValueError):
        found = {}
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}


def _self_test(context: Context, facts: dict[str, Any]) -> None:
    probe = Path(__file__).with_name("probe.py")
    is_old = context.gpu is not None and context.gpu.capability < _BFLOAT16_SINCE
    dtype = "float16" if is_old else "bfloat16"
    outcome = context.runner.capture(
        [str(context.python), "-I", str(probe), dtype, *context.engine.imports],
        timeout_s=_SELF_TEST_S,
        env=child_environment(visible_gpu(context)),
    )
    try:
        found = json.loads(outcome.lines[-1])
        error = found["error"]
    except (IndexError, ValueError, KeyError, TypeError):
        raise failed("self-test", "The new environment does not start.", outcome) from None
    if error:
        raise LauncherError(
            Exit.DEPENDENCIES,
            "Step “self-test” failed. The packages are installed but cannot be used.",
            details=(str(error),),
            fix="run this again with --repair; if it stays so, report it with the line above.",
            fix_zh="请加 --repair 再次运行；若仍失败，请附上上面的内容反馈。",
        )
    facts["device"] = "cuda" if found["gpu"] else "cpu"
    if not found["gpu"]:
        if _on_processor(context):
            facts["gpu"] = None
            return
        if context.gpu is None:
            raise no_gpu(context)
        raise LauncherError(
            Exit.GPU_UNSUPPORTED,
            f"Step “self-test” failed. PyTorch {found['torch']} does not see {context.gpu.name}.",
            fix="update the NVIDIA driver and restart; then run this again.",
            fix_zh="请更新 NVIDIA 驱动并重启，然后再次运行。",
        )
    if not found["computed"]:
        raise LauncherError(
            Exit.GPU_UNSUPPORTED,
            f"Step “self-test” failed. {found['gpu']} computes wrong results.",
            fix="update the NVIDIA driver; a card that still does this is broken or overclocked too far.",
            fix_zh="请更新 NVIDIA 驱动；若仍出现，显卡可能损坏或超频过高。",
        )
    facts["gpu"] = str(found["gpu"])


def _on_processor(context: Context) -> bool:
    """Whether the engine is installed to be tested without a card: there is none, or a build without CUDA was asked for."""
    is_cpu = context.torch is not None and context.torch.cuda == CPU
    return context.engine.runs_without_card and (is_cpu or context.gpu is None)


TORCH = Step(
    name="torch",
    title="PyTorch, as the plan says",
    inputs=lambda c: [c.torch.label if c.torch else None, c.engine.torch_packages],
    is_intact=_torch_intact,
    run=_install_torch,
    about_mib=lambda c: _CPU_MIB if c.torch is not None and c.torch.cuda == CPU else _CUDA_MIB,
    needs_torch=True,
)
PACKAGES = Step(
    name="packages",
    title="the engine's packages",
    inputs=lambda c: [lock_digest(lock) for lock in c.engine.lock_files],
    is_intact=_packages_intact,
    run=_install_packages,
    about_mib=lambda c: c.engine.packages_mib,
)
SELF_TEST = Step(
    name="self-test",
    title="a self-test of the packages and the graphics card",
    inputs=lambda c: [c.gpu.name if c.gpu else None, c.engine.imports],
    is_intact=lambda c: True,
    run=_self_test,
    needs_torch=True,
    needs_card=True,
)
