"""The last step: the program starts once, as the worker will start it. Runs in the start script's Python.

A package that is missing or does not fit, a driver that PyTorch does not like, a copy of another version: all of that
shows here, and not in the first job.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from installer.checkout import is_own
from installer.context import Context
from installer.start_probe import MARK
from installer.step import Step, failed, visible_gpu
from installer.steps_ffmpeg import tools_folder
from launcher.errors import Exit, LauncherError
from launcher.project import child_environment

NAME = "start"
# 10 s on a fast disk, 40 s on a cold one; two minutes were seen on a busy machine whose virus scanner reads along.
DEADLINE_S = 900.0


def _run(context: Context, facts: dict[str, Any]) -> None:
    private = context.core / "tools" / "start-test"
    try:
        shutil.rmtree(private, ignore_errors=True)
        private.mkdir(parents=True)
        found, outcome = _probe(context, private)
    finally:
        shutil.rmtree(private, ignore_errors=True)
    if found is None:
        raise failed(
            NAME, f"{context.engine.title} did not start, or not within {DEADLINE_S:.0f} s.", outcome
        )
    if found["error"]:
        upstream = context.engine.upstream
        own = upstream is not None and is_own(context.core, upstream)
        raise LauncherError(
            Exit.DEPENDENCIES,
            f"Step “{NAME}” failed. {context.engine.title} is installed but does not start.",
            details=(str(found["error"]), *str(found["output"]).splitlines()[-5:]),
            fix="your own copy of it may need other packages: move it away and run this again, to use the tested one."
            if own
            else "run this again with --repair; if it stays so, report it with the lines above.",
            fix_zh="您自己的副本可能需要其他依赖：请移走后再次运行，以使用经过测试的版本。"
            if own
            else "请加 --repair 再次运行；若仍失败，请附上上面的内容反馈。",
        )
    facts["started_version"] = found["version"]
    facts["models"] = found["models"]
    facts["start_seconds"] = found["seconds"]


def _probe(context: Context, private: Path) -> tuple[dict[str, Any] | None, Any]:
    probe = Path(__file__).with_name("start_probe.py")
    environment = {
        **visible_gpu(context),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "PATH": os.pathsep.join([str(tools_folder(context)), os.environ.get("PATH", os.defpath)]),
    }
    outcome = context.runner.capture(
        [str(context.python), "-I", "-X", "utf8", str(probe), str(context.core), str(private)],
        timeout_s=DEADLINE_S,
        env=child_environment(environment),
    )
    for line in reversed(outcome.lines):
        if line.startswith(MARK):
            try:
                found = json.loads(line.removeprefix(MARK))
            except ValueError:
                break
            if (
                isinstance(found, dict)
                and {"error", "output", "version", "models", "seconds"} <= found.keys()
            ):
                return found, outcome
    return None, outcome


START = Step(
    name=NAME,
    title="its first start",
    inputs=lambda c: [c.gpu.name if c.gpu else None],
    is_intact=lambda c: True,
    run=_run,
    needs_torch=True,
    needs_card=True,
)
