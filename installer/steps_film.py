"""The last step of InfiniteTalk: a film of half a second, with a tiny random model, by the worker's own code.

Runs in the start script's Python; the film is made in the engine's. Weights of the real model are not needed, so
nothing is downloaded for it; whatever does not fit together shows here, and not in the first job.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from installer.context import Context
from installer.step import Step, failed, visible_gpu
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import child_environment
from launcher.state import lock_digest

NAME = "film"
# Seconds on an idle machine; a cold disk, a virus scanner and a busy processor took two minutes together.
DEADLINE_S = 900.0
# In front of the answer, workers/infinitetalk/selftest.py.
MARK = "all-in-one:"
SCRIPT = Path(__file__).resolve().parents[1] / "workers" / "infinitetalk" / "selftest.py"
_ANSWER = {"code", "error", "detail", "device", "seconds", "frames", "width", "height"}
_FIXES = {
    "gpu_oom": (
        "close other programs that use the graphics card, then run this again.",
        "请关闭占用显卡的其他程序，然后再次运行。",
    ),
    "host_oom": ("close other programs, then run this again.", "请关闭其他程序，然后再次运行。"),
    "disk_full": (
        "free some space on this drive, then run this again: what was downloaded is kept.",
        "请清理本磁盘空间后再次运行：已下载的内容会保留。",
    ),
    "gpu_unsupported": (
        "update the NVIDIA driver and restart; then run this again.",
        "请更新 NVIDIA 驱动并重启，然后再次运行。",
    ),
}
_OTHER = (
    "run this again with --repair; if it stays so, report it with the lines above.",
    "请加 --repair 再次运行；若仍失败，请附上上面的内容反馈。",
)
_STATUS = {"disk_full": Exit.DISK, "gpu_unsupported": Exit.GPU_UNSUPPORTED, "gpu_oom": Exit.GPU_UNSUPPORTED}


def _run(context: Context, facts: dict[str, Any]) -> None:
    private = context.core / "tools" / "film-test"
    try:
        shutil.rmtree(private, ignore_errors=True)
        private.mkdir(parents=True)
        found, outcome = _film(context, private, str(facts.get("device", "cpu")))
    finally:
        shutil.rmtree(private, ignore_errors=True)
    if found is None:
        raise failed(NAME, f"The engine did not start, or not within {DEADLINE_S:.0f} s.", outcome)
    code = found["code"]
    if code is not None:
        fix, fix_zh = _FIXES.get(code, _OTHER)
        raise LauncherError(
            _STATUS.get(code, Exit.DEPENDENCIES),
            f"Step “{NAME}” failed. {found['error']} ({code})",
            details=tuple(str(found["detail"]).splitlines()[-5:]),
            fix=fix,
            fix_zh=fix_zh,
        )
    size = f"{found['width']}x{found['height']}"
    context.console.plain(
        f"     {found['frames']} pictures of {size} on {found['device']} in {found['seconds']} s"
    )
    facts["device"] = found["device"]
    facts["selftest_seconds"] = found["seconds"]


def _film(context: Context, private: Path, device: str) -> tuple[dict[str, Any] | None, Outcome]:
    environment = {**visible_gpu(context), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    outcome = context.runner.capture(
        [str(context.python), "-I", "-X", "utf8", str(SCRIPT), str(private), "--device", device],
        timeout_s=DEADLINE_S,
        env=child_environment(environment),
    )
    for line in reversed(outcome.lines):
        if line.startswith(MARK):
            try:
                found = json.loads(line.removeprefix(MARK))
            except ValueError:
                break
            if isinstance(found, dict) and found.keys() >= _ANSWER:
                return found, outcome
    return None, outcome


FILM = Step(
    name=NAME,
    title="a first film of half a second, with a tiny random model",
    inputs=lambda c: [c.gpu.name if c.gpu else None, lock_digest(SCRIPT)],
    is_intact=lambda c: True,
    run=_run,
    needs_torch=True,
)
